"""SidecarSets on a virtual node without OpenKruise: the operation example that ACK documents, and how sidecars live.

The node serves the webhook too. Its service account has what deploy/ grants to both.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import yaml

from tests.sidecarset.destinations import ECI

from .clients import Cluster
from .home import UNTIL_TOLD, Home, ends, now
from .identities import Access
from .nodes import IMAGE, ROOT, NodeProcess, on, shell
from .probes import free_ports
from .showing import Json, apply, container_status, pod
from .waiting import eventually
from .webhooks import NAMESPACE, configuration, is_injected, names, sidecar_set, sidecar_sets, webhook_account

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.identity]

EXAMPLE = ROOT / "deploy" / "examples" / "sidecarset"
SETUP = ROOT / "integration" / "setup"
VIRTUAL_NODE = "serverless.alibabacloud.com/virtual-node"
BUSY = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


@pytest.fixture(scope="module", autouse=True)
def images() -> None:
    """Those that the example names."""
    subprocess.run([SETUP / "busybox-image.sh", "busybox"], check=True)
    subprocess.run([SETUP / "http-echo-image.sh"], check=True)


@pytest.fixture(scope="module")
def node(
    cluster: Cluster, access: Access, image: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeProcess]:
    """One that serves the webhook, by the permissions of both."""
    name = f"node-{uuid4().hex[:8]}"
    whose = ["--serviceaccount=vkprovider:vkprovider", "--group=system:nodes"]
    bindings = f"test-{name}"
    (port,) = free_ports(1)
    with webhook_account(cluster, tmp_path_factory.mktemp("account")):
        cluster.kubectl("create", "clusterrolebinding", bindings, "--clusterrole=vkprovider-webhook", *whose)
        cluster.kubectl(
            "create", "rolebinding", bindings, "--role=vkprovider-webhook", f"--namespace={NAMESPACE}", *whose
        )
        flags = ["--webhook", f"--webhook-port={port}"]
        with NodeProcess(cluster, name, tmp_path_factory.mktemp(name), access, *flags) as joined:
            eventually(lambda: name in json.dumps(configuration(cluster).get("webhooks", [])))
            yield joined
        cluster.kubectl("delete", "clusterrolebinding", bindings)
        cluster.kubectl("delete", "rolebinding", bindings, f"--namespace={NAMESPACE}")


@pytest.fixture
def home(cluster: Cluster, namespace: str, node: NodeProcess) -> Home:
    return Home(cluster, namespace, node)


def sidecar(name: str, script: str, **fields: Any) -> Json:
    return shell(name, script, image=IMAGE, imagePullPolicy="IfNotPresent", **fields)


def marked(variable: str) -> Json:
    return {"env": [{"name": variable, "value": "true"}]}


def for_virtual_nodes(name: str, *containers: Json, **spec: Any) -> Json:
    """A pod that nothing but its label leads to the node."""
    return pod(name, {"containers": [{"image": IMAGE} | each for each in containers]} | spec, labels={ECI: "true"})


def manifest(name: str) -> Json:
    read: Json = yaml.safe_load((EXAMPLE / name).read_text())
    return read


def pods(cluster: Cluster, namespace: str) -> list[Json]:
    return list(cluster.get("pods", f"--namespace={namespace}")["items"])


@pytest.fixture
def example(cluster: Cluster) -> Iterator[None]:
    """The manifests as they stand; a node of its own has besides what deploy/ has for the bindings' namespaces."""
    names = ("filebeat-config", "sidecarset", "sidecarset-resourcebinding")
    files = [f"--filename={EXAMPLE / name}.yaml" for name in names]
    if os.environ.get("VKPROVIDER_TEST_IDENTITY") == "node":
        files.append(f"--filename={ROOT / 'deploy' / 'sidecarset' / 'rbac-bound-namespace.yaml'}")
    cluster.kubectl("apply", *files)
    yield
    cluster.kubectl("delete", *files)


def test_the_example_from_its_first_to_its_last_command(
    cluster: Cluster, namespace: str, node: NodeProcess, example: None
) -> None:
    """B3, B4, B5, B6, B7, B8, B12, B14, B16: what ACK documents, and what its commands print."""
    there = f"--namespace={namespace}"
    eventually(lambda: is_injected(cluster, namespace, "filebeat"))
    cluster.kubectl("apply", there, f"--filename={EXAMPLE / 'echo-server.yaml'}")
    row = r"echo-server-[a-z0-9]+-[a-z0-9]{5} +2/2 +Running +0 +\d+s"
    shown = rf"NAME +READY +STATUS +RESTARTS +AGE\n{row}\n"
    eventually(lambda: re.fullmatch(shown, cluster.kubectl("get", "pod", there)), 40)
    (made,) = pods(cluster, namespace)
    assert names(made) == ["filebeat", "echo-server"]
    assert made["metadata"]["labels"][VIRTUAL_NODE] == "true"
    assert made["spec"]["nodeName"] == node.name
    config = manifest("filebeat-config.yaml")["data"]["filebeat.yml"]
    log = cluster.kubectl("logs", "deployment/echo-server", "--container=filebeat", there)
    whole_lines, _, _ = config.rpartition("\n")  # the last one is not ended while it sleeps
    assert log == f"{whole_lines}\n"
    command = ["exec", "deployment/echo-server", there, "--container=filebeat", "--"]
    line = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d) stderr F .* Server is listening on :8080\n"
    assert re.fullmatch(line, cluster.kubectl(*command, "cat", "/var/log/std/echo-server/0.log"))
    assert cluster.kubectl(*command, "cat", "/etc/filebeat.yml") == config
    counted = r"NAME +MATCHED +UPDATED +READY +AGE\nfilebeat-sidecarset +1 +1 +1 +\d+s\n"
    eventually(lambda: re.fullmatch(counted, cluster.kubectl("get", "sidecarset", "filebeat-sidecarset")))
    cluster.kubectl("delete", "deployment", "echo-server", there)
    eventually(lambda: all("deletionTimestamp" in each["metadata"] for each in pods(cluster, namespace)))
    cluster.kubectl("delete", "pods", "--all", "--grace-period=1", there)  # the sidecar would take its 30 seconds


def test_a_sidecar_finds_its_own_log_when_it_starts(cluster: Cluster, namespace: str, home: Home) -> None:
    """B15."""
    mount = {"name": "stdlog", "mountPath": "/var/log/std", "readOnly": True}
    sleeps = {"exec": {"command": ["pidof", "sleep"]}, "periodSeconds": 1}
    script = "cat /var/log/std/filebeat/0.log && sleep 36000"
    filebeat = sidecar("filebeat", script, volumeMounts=[mount], readinessProbe=sleeps)
    volumes = [{"name": "stdlog", "csi": {"driver": "stdlogplugin.csi.alibabacloud.com"}}]
    with sidecar_sets(cluster, sidecar_set("filebeat", filebeat, volumes=volumes)):
        eventually(lambda: is_injected(cluster, namespace, "filebeat"))
        apply(cluster, namespace, for_virtual_nodes("web", shell("app", BUSY), terminationGracePeriodSeconds=1))
        home.until_phase("Running", "web")
        ready = {"type": "Ready", "status": "True"}
        eventually(lambda: any(ready.items() <= each.items() for each in home.status("web")["conditions"]))
        stands = container_status(home.status("web"), "filebeat")
        assert ("running" in stands["state"], stands["restartCount"]) == (True, 0)


def test_an_injected_sidecar_ends_after_the_app(cluster: Cluster, namespace: str, home: Home) -> None:
    """B17."""
    agent = sidecar("agent", BUSY, **marked("ECI_SIDECAR_CONTAINER"))
    with sidecar_sets(cluster, sidecar_set("agents", agent)):
        eventually(lambda: is_injected(cluster, namespace, "agent"))
        slow = "trap 'sleep 1; exit 0' TERM; while :; do sleep 0.1; done"
        apply(cluster, namespace, for_virtual_nodes("app", shell("app", slow)))
        home.until_phase("Running", "app")
        uid, since = home.uid("app"), now()
        home.delete("app")
        eventually(lambda: "app" not in home.there(), 40)
        assert ends(since, uid) == [("kill", "app"), ("die", "app"), ("kill", "agent"), ("die", "agent")]


def test_a_job_completes_though_its_sidecar_never_ends(cluster: Cluster, namespace: str, home: Home) -> None:
    """B18. Its exit code does not count."""
    agent = sidecar("agent", "trap '' TERM; while :; do sleep 0.1; done", **marked("ECI_SIDECAR_CONTAINER"))
    with sidecar_sets(cluster, sidecar_set("agents", agent)):
        eventually(lambda: is_injected(cluster, namespace, "agent"))
        template = for_virtual_nodes("x", shell("app", "true"), restartPolicy="Never", terminationGracePeriodSeconds=2)
        spec = {"template": {"metadata": {"labels": {ECI: "true"}}, "spec": template["spec"]}, "backoffLimit": 0}
        apply(cluster, namespace, {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": spec})
        wait = ["wait", "job/job", "--for=condition=Complete", f"--namespace={namespace}", "--timeout=40s"]
        cluster.kubectl(*wait)
        (made,) = pods(cluster, namespace)
        assert names(made) == ["agent", "app"]
        assert made["status"]["phase"] == "Succeeded"


def test_sidecars_start_before_the_app_and_end_after_it(cluster: Cluster, namespace: str, home: Home) -> None:
    """B19: one that is marked as ACS has it, one by ECI's priorities."""
    first = sidecar("first", BUSY, **marked("__IS_SIDECAR__"))
    with sidecar_sets(cluster, sidecar_set("agents", first)):
        eventually(lambda: is_injected(cluster, namespace, "first"))
        app = shell("app", UNTIL_TOLD.replace("exit 3", "exit 0"))
        apply(cluster, namespace, for_virtual_nodes("app", app, restartPolicy="Never", terminationGracePeriodSeconds=5))
        home.until_phase("Running", "app")
        home.tell("app", "app")
        home.until_phase("Succeeded", "app")
        of = {name: container_status(home.status("app"), name)["state"]["terminated"] for name in ("first", "app")}
        assert of["first"]["startedAt"] <= of["app"]["startedAt"]
        assert of["app"]["finishedAt"] <= of["first"]["finishedAt"]


@pytest.mark.skipif(os.environ.get("VKPROVIDER_TEST_IDENTITY") == "node", reason="nodes of their own label no pods")
def test_a_pod_that_came_otherwise_is_labelled_and_told_what_it_misses(
    cluster: Cluster, namespace: str, home: Home
) -> None:
    """A toleration led it here, and a zone that no other node is in."""
    zone = f"zone-{uuid4().hex[:8]}"
    cluster.kubectl("label", "node", home.node.name, f"zone={zone}")
    late = on(home.node.name, shell("app", BUSY)) | {"nodeSelector": {"zone": zone}}
    with sidecar_sets(cluster, sidecar_set("agents", sidecar("agent", BUSY))):
        eventually(lambda: is_injected(cluster, namespace, "agent"))
        apply(cluster, namespace, pod("late", late))
        home.until_phase("Running", "late")
        eventually(lambda: home.there()["late"]["metadata"].get("labels") == {VIRTUAL_NODE: "true"})
        assert names(home.there()["late"]) == ["app"]
        eventually(lambda: [reason for reason, _ in home.events("late") if reason == "SidecarSetNotInjected"])
        (message,) = [message for reason, message in home.events("late") if reason == "SidecarSetNotInjected"]
        assert message.startswith("SidecarSet agents is for pods of virtual nodes")
        uid = home.uid("late")
        home.delete("late")
        eventually(lambda: not home.there())
        assert container_of(uid) == []


def container_of(uid: str) -> list[str]:
    mine = ["docker", "ps", "--all", "--quiet", f"--filter=label=io.kubernetes.pod.uid={uid}"]
    return subprocess.check_output(mine, text=True).split()


def test_daemonsets_have_no_pod_on_it(cluster: Cluster, namespace: str, node: NodeProcess) -> None:
    """B22: the taint keeps them away, and the webhook does not help them over it."""
    labels = {"app": "agent"}
    spec = {
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels | {ECI: "true"}},
            "spec": {"containers": [{"name": "app", "image": IMAGE}]},
        },
    }
    apply(
        cluster, namespace, {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": spec}
    )

    def status() -> Json:
        found: Json = cluster.get("daemonset", "agent", f"--namespace={namespace}")["status"]
        return found

    eventually(lambda: status().get("observedGeneration"))
    assert status()["desiredNumberScheduled"] == 0
    assert pods(cluster, namespace) == []
