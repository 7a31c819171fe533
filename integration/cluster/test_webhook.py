"""``vkprovider webhook`` on a real API server: which pods it is asked about, and what it makes of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.sidecarset.destinations import CASES, ECI, LABELLED, REAL, VIRTUAL, is_as_it_should_be

from .clients import Cluster, KubectlError
from .controlplane import ControlPlane
from .showing import Json, apply, pod
from .waiting import eventually
from .webhooks import (
    CONFIGURATION,
    WebhookProcess,
    admitted,
    configuration,
    is_injected,
    names,
    of_openkruise,
    sidecar_set,
    sidecar_sets,
    webhook_account,
)

pytestmark = pytest.mark.cluster

KRUISE = "kruise-mutating-webhook-configuration"
VIRTUAL_NODE = "serverless.alibabacloud.com/virtual-node"
MANY = 200


@pytest.fixture(scope="module")
def account(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with webhook_account(control_plane, tmp_path_factory.mktemp("account")) as kubeconfig:
        yield kubeconfig


@pytest.fixture(scope="module", autouse=True)
def webhook(
    control_plane: ControlPlane, account: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebhookProcess]:
    with WebhookProcess(control_plane, tmp_path_factory.mktemp("webhook"), account) as process:
        yield process


@pytest.fixture(scope="module")
def nodes(control_plane: ControlPlane) -> Iterator[None]:
    """Nodes as objects alone: a virtual one, and another."""
    labels = {VIRTUAL: {"type": "virtual-kubelet"}, REAL: {}}
    items = [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": given}}
        for name, given in labels.items()
    ]
    control_plane.kubectl(
        "apply", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    )
    eventually(lambda: VIRTUAL in json.dumps(configuration(control_plane)))
    yield
    control_plane.kubectl("delete", "nodes", *labels)


def for_virtual_nodes(name: str, *containers: Json, **metadata: Any) -> Json:
    spec = {"containers": list(containers) or [{"name": "app", "image": "app"}]}
    return pod(name, spec, **({"labels": {ECI: "true"}} | metadata))


def test_pods_are_pinned_and_labelled_by_what_they_and_their_namespace_say(
    control_plane: ControlPlane, namespace: str, nodes: None
) -> None:
    """B1, B3, and labels that are forged."""
    inside = f"{namespace}-labelled"
    control_plane.kubectl("create", "namespace", inside)
    control_plane.kubectl("label", "namespace", inside, *(f"{key}={value}" for key, value in LABELLED.items()))
    try:
        eventually(lambda: control_plane.get("serviceaccounts", f"--namespace={inside}")["items"])
        probe = [case.pod for case in CASES if case.name == "inherited"]
        eventually(lambda: admitted(control_plane, inside, *probe)[0]["metadata"].get("labels"))
        for where, labelled in ((namespace, False), (inside, True)):
            cases = [case for case in CASES if case.labelled_namespace is labelled]
            made = admitted(control_plane, where, *(case.pod for case in cases))
            assert [
                case.name for case, each in zip(cases, made, strict=True) if not is_as_it_should_be(case, each)
            ] == []
    finally:
        control_plane.kubectl("delete", "namespace", inside, "--wait=false")


def test_only_pods_of_virtual_nodes_are_injected_and_as_the_set_is_now(
    control_plane: ControlPlane, namespace: str
) -> None:
    """B2, B5, B21. The token of the service account is mounted into what was injected, too."""
    first = sidecar_set("agents", {"name": "filebeat", "image": "filebeat:1"})
    with sidecar_sets(control_plane, first):
        eventually(lambda: is_injected(control_plane, namespace, "filebeat"))
        ours, other = admitted(
            control_plane, namespace, for_virtual_nodes("ours"), for_virtual_nodes("other", labels={})
        )
        assert (names(ours), names(other)) == (["filebeat", "app"], ["app"])
        filebeat = ours["spec"]["containers"][0]
        assert filebeat["volumeMounts"][0]["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
        assert ours["metadata"]["annotations"]["kruise.io/sidecarset-injected-list"] == "agents"
        apply(control_plane, namespace, for_virtual_nodes("before"))
        second = sidecar_set("agents", {"name": "filebeat", "image": "filebeat:2"})
        with sidecar_sets(control_plane, second):

            def image() -> str:
                (made,) = admitted(control_plane, namespace, for_virtual_nodes("new"))
                return str(made["spec"]["containers"][0]["image"])

            eventually(lambda: image() == "filebeat:2")
            apply(control_plane, namespace, for_virtual_nodes("after"))  # once it is counted, both have been looked at
            counted = {"matchedPods": 2, "updatedPods": 1}.items()
            eventually(lambda: counted <= control_plane.get("sidecarset", "agents").get("status", {}).items())
            before = control_plane.get("pod", "before", f"--namespace={namespace}")
            assert before["spec"]["containers"][0]["image"] == "filebeat:1"


def test_every_field_of_a_set_reaches_the_pod(control_plane: ControlPlane, namespace: str) -> None:
    """What the definition keeps of a set makes a pod that the API server takes. Of two volumes of one name the pod's
    own stays; once the set is paused, or elsewhere, the pod is left as it is.
    """
    agent = {
        "name": "agent",
        "image": "agent",
        "podInjectPolicy": "AfterAppContainer",
        "shareVolumePolicy": {"type": "enabled"},
        "transferEnv": [
            {"sourceContainerName": "app", "envName": "A"},
            {"sourceContainerNameFrom": {"fieldRef": {"fieldPath": "metadata.labels['main']"}}, "envNames": ["B"]},
        ],
        "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in ("clash", "config")],
    }
    init = [{"name": "prepare", "image": "i"}, {"name": "native", "image": "i", "restartPolicy": "Always"}]
    patches = [
        {"annotations": {"kept": "the set's"}},
        {"annotations": {"written": "the set's"}, "patchPolicy": "Overwrite"},
        {"annotations": {"merged": '{"b":2}'}, "patchPolicy": "MergePatchJson"},
    ]
    spec = {
        "namespace": namespace,
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "initContainers": init,
        "volumes": [{"name": name, "configMap": {"name": "a"}} for name in ("clash", "config", "unused")],
        "imagePullSecrets": [{"name": "registry"}],
        "patchPodMetadata": patches,
    }
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    app = {"name": "app", "image": "app", "env": env, "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    own = {name: "the pod's" for name in ("kept", "written")} | {"merged": '{"a":1}'}
    given = for_virtual_nodes("whole", app, labels={ECI: "true", "main": "app"}, annotations=own)
    given["spec"]["volumes"] = [{"name": name, "emptyDir": {}} for name in ("data", "clash")]

    def made(where: str = namespace) -> Json:
        (found,) = admitted(control_plane, where, given)
        return found

    with sidecar_sets(control_plane, sidecar_set("whole", agent, **spec)):
        eventually(lambda: names(made()) == ["app", "agent"])
        whole = made()
        assert names(whole, "initContainers") == ["native", "prepare"]
        sidecar = whole["spec"]["containers"][1]
        assert {each["name"]: each["value"] for each in sidecar["env"]} == {"A": "1", "B": "2", "IS_INJECTED": "true"}
        assert {each["mountPath"] for each in sidecar["volumeMounts"]} >= {"/clash", "/config", "/data"}
        volumes = {each["name"]: each for each in whole["spec"]["volumes"]}
        assert ("emptyDir" in volumes["clash"], "configMap" in volumes["config"]) == (True, True)
        assert "unused" not in volumes
        assert whole["spec"]["imagePullSecrets"] == [{"name": "registry"}]
        after = {"kept": "the pod's", "written": "the set's", "merged": '{"a":1,"b":2}'}
        assert whole["metadata"]["annotations"].items() >= after.items()
        assert names(made("default")) == ["app"]
        with sidecar_sets(control_plane, sidecar_set("whole", agent, **spec, injectionStrategy={"paused": True})):
            eventually(lambda: names(made()) == ["app"])


def test_pods_created_at_once_are_all_injected(control_plane: ControlPlane, namespace: str) -> None:
    with sidecar_sets(control_plane, sidecar_set("agents", {"name": "filebeat", "image": "filebeat"})):
        eventually(lambda: is_injected(control_plane, namespace, "filebeat"))
        lots = [[for_virtual_nodes(f"pod-{lot}-{n}") for n in range(MANY // 4)] for lot in range(4)]
        with ThreadPoolExecutor(len(lots)) as pool:
            for _ in pool.map(lambda pods: apply(control_plane, namespace, *pods), lots):
                pass
        found = control_plane.get("pods", f"--namespace={namespace}")["items"]
        assert len(found) == MANY
        assert {tuple(names(each)) for each in found} == {("filebeat", "app")}
        assert {each["metadata"]["labels"][VIRTUAL_NODE] for each in found} == {"true"}


def test_where_openkruise_is_it_injects(control_plane: ControlPlane, namespace: str) -> None:
    with sidecar_sets(control_plane, sidecar_set("agents", {"name": "filebeat", "image": "filebeat"})):
        eventually(lambda: is_injected(control_plane, namespace, "filebeat"))
        with openkruise(control_plane):
            eventually(lambda: is_injected(control_plane, namespace))
            (made,) = admitted(control_plane, namespace, for_virtual_nodes("pinned"))
            assert made["metadata"]["labels"][VIRTUAL_NODE] == "true"
        eventually(lambda: is_injected(control_plane, namespace, "filebeat"))


@contextmanager
def openkruise(cluster: Cluster) -> Iterator[None]:
    """A configuration of the name that OpenKruise gives its own stands for it."""
    kruise = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": KRUISE},
    }
    cluster.kubectl("create", "--filename=-", stdin=json.dumps(kruise))
    try:
        yield
    finally:
        cluster.kubectl("delete", "mutatingwebhookconfiguration", KRUISE)


def test_a_set_that_openkruise_would_refuse_is_refused(control_plane: ControlPlane, namespace: str) -> None:
    broken = sidecar_set("broken", {"name": "File_Beat", "image": "filebeat"})
    agent = {"name": "agent", "image": "agent"}
    with sidecar_sets(control_plane, sidecar_set("agents", agent)):
        eventually(lambda: is_injected(control_plane, namespace, "agent"))
        with pytest.raises(KubectlError, match=r"spec\.containers\[0\]\.name"):
            control_plane.kubectl("create", "--filename=-", stdin=json.dumps(broken))
        with pytest.raises(KubectlError, match="container agent already exist in agents"):
            control_plane.kubectl("create", "--filename=-", stdin=json.dumps(sidecar_set("others", agent)))
        grown = sidecar_set("agents", agent, {"name": "another", "image": "agent"})
        with pytest.raises(KubectlError, match="container another is not found"):
            control_plane.kubectl("apply", "--filename=-", stdin=json.dumps(grown))


def test_the_configuration_is_kept_as_it_is_to_be(control_plane: ControlPlane, webhook: WebhookProcess) -> None:
    """Called before OpenKruise's, for pods that are created, and it comes back where somebody has changed it."""
    wanted = configuration(control_plane)
    assert wanted["metadata"]["name"] < KRUISE
    for each in wanted["webhooks"]:
        told = {key: each[key] for key in ("failurePolicy", "timeoutSeconds", "reinvocationPolicy", "sideEffects")}
        assert told == {
            "failurePolicy": "Fail",
            "timeoutSeconds": 5,
            "reinvocationPolicy": "Never",
            "sideEffects": "None",
        }
    change = json.dumps({"webhooks": [wanted["webhooks"][0] | {"failurePolicy": "Ignore"}]})
    control_plane.kubectl("patch", "mutatingwebhookconfiguration", CONFIGURATION, "--type=merge", f"--patch={change}")
    eventually(lambda: configuration(control_plane)["webhooks"] == wanted["webhooks"])
    assert webhook.log.count("is registered") == 1


def test_the_definition_of_a_later_openkruise_makes_no_difference(
    control_plane: ControlPlane, namespace: str, webhook: WebhookProcess
) -> None:
    later = sidecar_set("agents", {"name": "filebeat", "image": "filebeat"}) | {"apiVersion": "apps.kruise.io/v1beta1"}
    with of_openkruise(control_plane) as serve:
        serve("v1beta1")
        with sidecar_sets(control_plane, later):
            eventually(lambda: is_injected(control_plane, namespace, "filebeat"), 40)
            eventually(lambda: "latestRevision" in control_plane.get("sidecarset", "agents").get("status", {}))
            webhook.stop()
            webhook.start()
            eventually(lambda: is_injected(control_plane, namespace, "filebeat"), 40)
            with openkruise(control_plane):
                eventually(lambda: is_injected(control_plane, namespace))
                (made,) = admitted(control_plane, namespace, for_virtual_nodes("pinned"))
                assert made["metadata"]["labels"][VIRTUAL_NODE] == "true"
    with sidecar_sets(control_plane, sidecar_set("agents", {"name": "filebeat", "image": "filebeat"})):
        eventually(lambda: is_injected(control_plane, namespace, "filebeat"), 40)
