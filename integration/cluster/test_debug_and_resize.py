"""``kubectl debug`` and ``kubectl patch --subresource resize`` on a pod that runs, against a real control plane."""

from __future__ import annotations

import json
import socket
import subprocess
from typing import Any

import pytest

from .clients import Cluster, KubectlError
from .nodes import IMAGE, NodeProcess, on, shell
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.identity]

FOREVER = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"
SMALL = {"requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}


def run(cluster: Cluster, namespace: str, node: str, *containers: dict[str, Any], **spec: Any) -> None:
    """A pod named p that runs."""
    body = on(node, *containers, restartPolicy="Always", **spec)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": body}
    cluster.kubectl("apply", f"--namespace={namespace}", "-f", "-", stdin=json.dumps(pod))
    cluster.kubectl("wait", f"--namespace={namespace}", "pod/p", "--for=condition=Ready", "--timeout=60s", seconds=70)


def status(cluster: Cluster, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get("pod", "p", f"--namespace={namespace}")["status"]
    return found


def container(cluster: Cluster, namespace: str, name: str = "app") -> dict[str, Any]:
    shown = status(cluster, namespace)
    groups = ("containerStatuses", "ephemeralContainerStatuses")
    everyone: list[dict[str, Any]] = [one for group in groups for one in shown.get(group, [])]
    return next((one for one in everyone if one["name"] == name), {})


def condition(cluster: Cluster, namespace: str, kind: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = status(cluster, namespace)["conditions"]
    return next((c for c in found if c["type"] == kind), {})


def reasons(cluster: Cluster, namespace: str, path: str = "") -> list[str]:
    """The reasons of the events on the pod, or on one container of it."""
    events = cluster.get("events", f"--namespace={namespace}")["items"]
    return [e["reason"] for e in events if e["involvedObject"].get("fieldPath", "") == path]


def inspect(container_id: str, form: str) -> str:
    command = ["docker", "inspect", "--format", form, container_id.removeprefix("docker://")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def processes(container_id: str) -> str:
    """What ``ps`` in a container shows."""
    command = ["docker", "exec", container_id.removeprefix("docker://"), "ps"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def debug(cluster: Cluster, namespace: str, name: str, script: str, *flags: str) -> None:
    there = ("debug", "p", f"--namespace={namespace}", f"--image={IMAGE}", "--image-pull-policy=IfNotPresent")
    cluster.kubectl(*there, f"--container={name}", "--attach=false", *flags, "--", "sh", "-c", script)


def resize(cluster: Cluster, namespace: str, **resources: Any) -> None:
    patch = {"spec": {"containers": [{"name": "app", "resources": resources}]}}
    there = ("patch", "pod", "p", f"--namespace={namespace}", "--subresource=resize")
    cluster.kubectl(*there, "--patch", json.dumps(patch))


# --- kubectl debug -----------------------------------------------------------------------------------------------


def test_a_debugger_sees_the_processes_of_its_target(cluster: Cluster, namespace: str, node: NodeProcess) -> None:
    run(cluster, namespace, node.name, shell("app", f": the target; {FOREVER}"))
    debug(cluster, namespace, "spy", FOREVER, "--target=app", "--profile=general")
    eventually(lambda: "running" in container(cluster, namespace, "spy").get("state", {}))
    spy = container(cluster, namespace, "spy")
    assert (spy["ready"], spy["restartCount"]) == (False, 0)
    assert "the target" in processes(spy["containerID"])
    assert status(cluster, namespace)["phase"] == "Running"
    assert condition(cluster, namespace, "Ready")["status"] == "True"
    path = "spec.ephemeralContainers{spy}"
    eventually(lambda: {"Pulled", "Created", "Started"} <= set(reasons(cluster, namespace, path)))
    cluster.kubectl("delete", "pod", "p", f"--namespace={namespace}", seconds=60)


def test_a_debugger_runs_once_whatever_becomes_of_it(cluster: Cluster, namespace: str, node: NodeProcess) -> None:
    run(cluster, namespace, node.name, shell("app", FOREVER))
    debug(cluster, namespace, "brief", "exit 3")
    eventually(lambda: "terminated" in container(cluster, namespace, "brief").get("state", {}))
    ended = container(cluster, namespace, "brief")
    assert (ended["state"]["terminated"]["exitCode"], ended["state"]["terminated"]["reason"]) == (3, "Error")
    node.kill()
    node.start()
    debug(cluster, namespace, "later", "exit 0")
    eventually(lambda: "terminated" in container(cluster, namespace, "later").get("state", {}))
    assert container(cluster, namespace, "brief") == ended
    assert "running" in container(cluster, namespace)["state"]


def test_a_debugger_is_talked_to(cluster: Cluster, namespace: str, node: NodeProcess) -> None:
    """In a pod, and in one on the node's own namespaces."""
    run(cluster, namespace, node.name, shell("app", FOREVER))
    there = (f"--namespace={namespace}", f"--image={IMAGE}", "--quiet", "--stdin", "--", "sh", "-c")
    heard = cluster.kubectl("debug", "p", *there, "read word; echo heard $word", stdin="it\n")
    assert heard == "heard it\n"
    script = "read word; echo $word; hostname; ls /host"
    word, host, *found = cluster.kubectl("debug", f"node/{node.name}", *there, script, stdin="it\n").split()
    assert (word, host) == ("it", socket.gethostname())
    assert {"etc", "proc", "usr"} <= set(found)


@pytest.fixture
def resizable(cluster: Cluster) -> None:
    """A control plane that lets pods be resized."""
    if cluster.version < (1, 33):
        pytest.skip("pods can be resized since 1.33")


# --- resize ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("resizable")
def test_a_running_container_gets_more_and_less(cluster: Cluster, namespace: str, node: NodeProcess) -> None:
    run(cluster, namespace, node.name, shell("app", FOREVER, resources=SMALL))
    before = container(cluster, namespace)
    assert before["resources"] == SMALL
    assert before["allocatedResources"] == SMALL["requests"]
    larger = {"requests": {"cpu": "150m", "memory": "48Mi"}, "limits": {"cpu": "300m", "memory": "96Mi"}}
    resize(cluster, namespace, **larger)
    eventually(lambda: container(cluster, namespace)["resources"] == larger)
    after = container(cluster, namespace)
    assert after["allocatedResources"] == larger["requests"]
    assert (after["containerID"], after["restartCount"]) == (before["containerID"], 0)
    form = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.CpuQuota}} {{.HostConfig.CpuShares}}"
    assert inspect(after["containerID"], form) == f"{96 << 20} {96 << 20} 30000 153"
    eventually(lambda: not condition(cluster, namespace, "PodResizeInProgress"))
    eventually(lambda: {"ResizeStarted", "ResizeCompleted"} <= set(reasons(cluster, namespace)))
    resize(cluster, namespace, **SMALL)
    eventually(lambda: container(cluster, namespace)["resources"] == SMALL)
    assert inspect(after["containerID"], "{{.HostConfig.Memory}}") == str(64 << 20)
    assert container(cluster, namespace)["containerID"] == before["containerID"]


@pytest.mark.usefixtures("resizable")
def test_a_policy_may_want_a_restart(cluster: Cluster, namespace: str, node: NodeProcess) -> None:
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    run(cluster, namespace, node.name, shell("app", FOREVER, resources=SMALL, resizePolicy=policy))
    before = container(cluster, namespace)["containerID"]
    resize(cluster, namespace, limits={"memory": "80Mi"})
    eventually(lambda: container(cluster, namespace)["restartCount"] == 1)
    eventually(lambda: "running" in container(cluster, namespace)["state"])
    after = container(cluster, namespace)
    assert after["containerID"] != before
    assert after["resources"]["limits"]["memory"] == "80Mi"
    assert inspect(after["containerID"], "{{.HostConfig.Memory}}") == str(80 << 20)
    events = cluster.get("events", f"--namespace={namespace}")["items"]
    assert "Container app resize requires restart" in [e["message"] for e in events if e["reason"] == "Killing"]


@pytest.mark.usefixtures("resizable")
def test_what_never_fits_is_infeasible_and_stays_so_over_a_restart(
    cluster: Cluster, namespace: str, node: NodeProcess
) -> None:
    run(cluster, namespace, node.name, shell("app", FOREVER, resources=SMALL))
    try:
        resize(cluster, namespace, requests={"cpu": "1000"}, limits={"cpu": "1000"})
    except KubectlError as refusal:
        if "node didn't have enough allocatable resources" not in refusal.stderr:
            raise
        pytest.skip("this API server refuses by itself what never fits")
    eventually(lambda: condition(cluster, namespace, "PodResizePending"))
    pending = condition(cluster, namespace, "PodResizePending")
    assert (pending["status"], pending["reason"]) == ("True", "Infeasible")
    assert pending["message"].startswith("Node didn't have enough capacity: cpu, requested: 1000000, capacity: ")
    eventually(lambda: "ResizeInfeasible" in reasons(cluster, namespace))
    assert container(cluster, namespace)["allocatedResources"] == SMALL["requests"]
    node.kill()
    node.start()
    cluster.kubectl("label", "pod", "p", f"--namespace={namespace}", "looked=again")
    assert container(cluster, namespace)["resources"] == SMALL
    resize(cluster, namespace, **SMALL)
    eventually(lambda: not condition(cluster, namespace, "PodResizePending"))


@pytest.mark.usefixtures("resizable")
def test_what_does_not_fit_now_waits_for_another_pod_to_go(cluster: Cluster, namespace: str, node: NodeProcess) -> None:
    (found,) = [n for n in cluster.get("nodes")["items"] if n["metadata"]["name"] == node.name]
    cores = int(found["status"]["allocatable"]["cpu"])
    big = on(node.name, shell("big", FOREVER, resources={"requests": {"cpu": f"{cores * 500}m"}}))
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "big"}, "spec": big}
    pod["spec"] |= {"automountServiceAccountToken": False}
    cluster.kubectl("apply", f"--namespace={namespace}", "-f", "-", stdin=json.dumps(pod))
    cluster.kubectl("wait", f"--namespace={namespace}", "pod/big", "--for=condition=Ready", "--timeout=60s", seconds=70)
    run(cluster, namespace, node.name, shell("app", FOREVER, resources=SMALL))
    wanted = {"cpu": f"{cores * 800}m"}
    resize(cluster, namespace, requests=wanted, limits=wanted)
    eventually(lambda: condition(cluster, namespace, "PodResizePending").get("reason") == "Deferred")
    message = condition(cluster, namespace, "PodResizePending")["message"]
    assert message.startswith(f"Node didn't have enough resource: cpu, requested: {cores * 800}, used: ")
    assert container(cluster, namespace)["allocatedResources"] == SMALL["requests"]
    cluster.kubectl("delete", "pod", "big", f"--namespace={namespace}", seconds=60)
    eventually(lambda: container(cluster, namespace)["resources"]["limits"]["cpu"] == wanted["cpu"])
    eventually(lambda: not condition(cluster, namespace, "PodResizePending"))


@pytest.mark.usefixtures("resizable")
def test_a_limit_below_what_is_used_is_an_error(cluster: Cluster, namespace: str, node: NodeProcess) -> None:
    hoard = f"dd if=/dev/zero of=/dev/shm/hoard bs=1M count=40; {FOREVER}"
    run(cluster, namespace, node.name, shell("app", hoard, resources=SMALL))
    eventually(lambda: "41943040" in processes_memory(container(cluster, namespace)["containerID"]))
    resize(cluster, namespace, requests={"memory": "8Mi"}, limits={"memory": "16Mi"})
    eventually(lambda: condition(cluster, namespace, "PodResizeInProgress").get("reason") == "Error")
    message = condition(cluster, namespace, "PodResizeInProgress")["message"]
    expected = 'cannot decrease memory limits: attempting to set container "app" memory limit (16777216) below current'
    assert message.startswith(expected)
    assert container(cluster, namespace)["resources"]["limits"]["memory"] == "64Mi"
    assert container(cluster, namespace)["allocatedResources"]["memory"] == "8Mi"


def processes_memory(container_id: str) -> str:
    """The size of the file that holds the memory."""
    command = ["docker", "exec", container_id.removeprefix("docker://"), "stat", "-c", "%s", "/dev/shm/hoard"]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout
