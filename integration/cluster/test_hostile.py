"""What a real API server lets pass of an author who means harm: it stays with its pod, and the node goes on."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from vkprovider.node.mounting import mounts

from .clients import Cluster, KubectlError
from .nodes import NodeProcess, on, shell
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

ENDLESS = 2**62
IDLE = "trap 'exit 0' TERM; sleep 1000 & wait"


def volume(**source: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "v", **source}], "automountServiceAccountToken": False}


def mounted(path: str, script: str = "true", **fields: Any) -> dict[str, Any]:
    return shell("app", script, volumeMounts=[{"name": "v", "mountPath": path, **fields}])


DOUBLING = [{"name": "V0", "value": "x" * 100}]
DOUBLING += [{"name": f"V{n}", "value": f"$(V{n - 1})$(V{n - 1})"} for n in range(1, 60)]
SAME = [{"key": "ca.crt", "path": path} for path in ("a", "a/b")]
ITEM = {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "a\0b"}]}}

# By name: the container, the rest of the spec, and what is said of it, as an event or in the status.
PODS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no-path": (mounted("/m"), volume(**ITEM), "embedded null byte"),
    "no-directory": (
        mounted("/m"),
        volume(configMap={"name": "kube-root-ca.crt", "items": SAME}),
        "invalid path: must not be below the file a: a/b",
    ),
    "no-sub-path": (
        mounted("/m", subPathExpr="$(P)") | {"env": [{"name": "P", "value": "../.."}]},
        volume(emptyDir={}),
        "unable to provision SubPath `../..`",
    ),
    "everywhere": (mounted("/"), volume(emptyDir={}), "invalid specification"),
    "doubling": (shell("app", "env", env=DOUBLING), {}, "grows over 128 KiB"),
    "no-text": (shell("app", "env", env=[{"name": "A", "value": "a\0b"}]), {}, "StartError"),
    "driver": (mounted("/m"), volume(nfs={"server": "example.com", "path": "/"}), "spec.volumes[0].nfs"),
}


@pytest.fixture
def kubectl(cluster: Cluster, namespace: str) -> Any:
    return lambda *arguments, **more: cluster.kubectl(*arguments, f"--namespace={namespace}", **more)


def create(kubectl: Any, node: NodeProcess, name: str, container: dict[str, Any], **spec: Any) -> None:
    metadata = {"name": name, "annotations": {"told": "\x1b]0;owned\x07\0\x1b[31m"}}
    raw = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": on(node.name, container, **spec)}
    kubectl("create", "-f", "-", stdin=json.dumps(raw))


def told(kubectl: Any, name: str) -> str:
    """All that events and the status say of a pod."""
    events = kubectl("get", "events", f"--field-selector=involvedObject.name={name}", "--output=json")
    return str([event["message"] for event in json.loads(events)["items"]]) + str(
        json.loads(kubectl("get", "pod", name, "--output=json"))["status"]
    )


def until_told(kubectl: Any, name: str, what: str) -> None:
    try:
        eventually(lambda: what in told(kubectl, name), 40)
    except AssertionError:
        pytest.fail(f"of {name} is not said {what!r} but {told(kubectl, name)}")


def test_pods_that_mean_harm_harm_nobody(node: NodeProcess, kubectl: Any) -> None:
    for name, (container, spec, _) in PODS.items():
        create(kubectl, node, name, container, **spec)
    create(kubectl, node, "endless", shell("app", IDLE), terminationGracePeriodSeconds=ENDLESS)
    for name, (_, _, what) in PODS.items():
        until_told(kubectl, name, what)
    kubectl("wait", "pod/endless", "--for=condition=Ready", "--timeout=30s")
    create(kubectl, node, "plain", shell("app", "true"))
    kubectl("wait", "pod/plain", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=30s")
    kubectl("delete", "pods", "--all", "--grace-period=1", "--timeout=60s")
    assert node.is_alive()
    assert ("Traceback" in node.log, "failed unexpectedly" in node.log, "\x1b" in node.log) == (False, False, False)


def test_what_the_api_server_refuses_by_itself(kubectl: Any) -> None:
    """Files of volumes that would be outside of them, or the layout's own, by objects' keys or pods' paths."""
    items = [[{"key": "k", "path": path}] for path in ("../x", "a/../x", "..", "/x", "..data")]
    pods = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"out-{number}"},
            "spec": {"containers": [shell("app", "true", image="x")], **volume(configMap={"name": "c", "items": item})},
        }
        for number, item in enumerate(items)
    ]
    maps = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"out-{number}"}, "data": {key: "x"}}
        for number, key in enumerate(("../x", "..", "..data"))
    ]
    listed = {"apiVersion": "v1", "kind": "List", "items": [*pods, *maps]}
    with pytest.raises(KubectlError) as refused:
        kubectl("create", "-f", "-", stdin=json.dumps(listed))
    said = str(refused.value).splitlines()
    for raw in listed["items"]:
        field = "spec.volumes[0].configMap.items[0].path" if raw["kind"] == "Pod" else "data["
        begin = f'{raw["kind"]} "{raw["metadata"]["name"]}" is invalid'
        assert [line for line in said if begin in line and field in line], (raw, said)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a tmpfs")
def test_tokens_are_in_memory_and_nowhere_afterwards(node: NodeProcess, kubectl: Any) -> None:
    create(kubectl, node, "web", shell("app", IDLE))
    kubectl("wait", "pod/web", "--for=condition=Ready", "--timeout=30s")
    (memory,) = (path for path in mounts(str(node.folder)) if path.endswith("/memory"))
    uid = json.loads(kubectl("get", "pod", "web", "--output=json"))["metadata"]["uid"]
    assert uid in os.listdir(memory)
    node.kill()
    kubectl("delete", "pod", "web", "--wait=false")
    node.start()
    kubectl("wait", "pod/web", "--for=delete", "--timeout=30s")
    eventually(lambda: uid not in os.listdir(memory))
