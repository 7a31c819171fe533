"""What a node offers of its machine, and what happens when it runs low or a pod takes more than it said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .clients import Cluster
from .identities import Access
from .nodes import NodeProcess, on, shell
from .showing import Json, Showing, apply, events_of, pod, showing
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.identity]

IDLE = "exec sleep 1000"
GI = 1 << 30
PLENTY = "example.com/plenty"


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("resources")


@pytest.fixture
def shown(cluster: Cluster, namespace: str) -> Iterator[Showing]:
    with showing(cluster, namespace) as shown:
        yield shown


@pytest.fixture(scope="module")
def offering(
    cluster: Cluster, access: Access, image: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeProcess]:
    """A node with devices, that keeps something back, and is never under pressure."""
    folder = tmp_path_factory.mktemp("offering")
    flags = (
        f"--device={PLENTY}=/dev/zero:/dev/plenty:r*2",
        "--nvidia-gpus=0,1",
        "--system-reserved=memory=1Gi",
        "--kube-reserved=cpu=100m",
        "--eviction-hard=memory.available<100Mi",
        "--pod-max-pids=64",
    )
    with NodeProcess(cluster, folder.name.replace("_", "-"), folder, access, *flags) as joined:
        yield joined


def bound(name: str, node: NodeProcess, *containers: Json, **spec: object) -> Json:
    """A pod that goes to the node past the scheduler."""
    return pod(name, on(node.name, *containers, nodeName=node.name, automountServiceAccountToken=False, **spec))


def wanting(**limits: str | int) -> Json:
    return {"resources": {"limits": {name.replace("_", "-"): str(amount) for name, amount in limits.items()}}}


def condition(cluster: Cluster, node: NodeProcess, kind: str) -> tuple[str, str]:
    conditions = cluster.get("node", node.name)["status"]["conditions"]
    return next((c["status"], c["reason"]) for c in conditions if c["type"] == kind)


def test_capacity_and_what_pods_may_have_of_it(cluster: Cluster, offering: NodeProcess) -> None:
    status = cluster.get("node", offering.name)["status"]
    capacity, allocatable = status["capacity"], status["allocatable"]
    for name in (PLENTY, "nvidia.com/gpu"):
        assert capacity[name] == allocatable[name] == "2"
    assert allocatable["cpu"] == f"{int(capacity['cpu']) * 1000 - 100}m"
    assert int(capacity["memory"][:-2]) - int(allocatable["memory"][:-2]) == (GI + (100 << 20)) >> 10
    assert allocatable["ephemeral-storage"] == str(int(capacity["ephemeral-storage"][:-2]) << 10)


def test_devices_are_given_remembered_and_given_back(
    cluster: Cluster, namespace: str, offering: NodeProcess, shown: Showing
) -> None:
    both = {"resources": {"limits": {PLENTY: "2"}}}
    apply(cluster, namespace, bound("has", offering, shell("app", IDLE, **both)))
    shown.until_phase("has", "Running")
    read = cluster.kubectl("exec", f"--namespace={namespace}", "has", "--", "head", "-c2", "/dev/plenty")
    assert read == "\0\0"
    offering.kill()
    offering.start()
    apply(cluster, namespace, bound("comes-late", offering, shell("app", IDLE, **both)))
    shown.until_phase("comes-late", "Failed")
    last = shown.last("comes-late")
    numbers = "requested: 2, used: 2, capacity: 2"
    message = f"Pod was rejected: Node didn't have enough resource: {PLENTY}, {numbers}"
    assert (last["reason"], last["message"]) == (f"OutOf{PLENTY}", message)
    cluster.kubectl("delete", "pod", "has", f"--namespace={namespace}")
    eventually(lambda: shown.is_gone("has"))
    apply(cluster, namespace, bound("comes-again", offering, shell("app", "head -c2 /dev/plenty", **both)))
    shown.until_phase("comes-again", "Succeeded")


def test_a_pod_that_asks_as_a_whole(cluster: Cluster, namespace: str, offering: NodeProcess, shown: Showing) -> None:
    whole = {"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "100m", "memory": "32Mi"}}
    two = [shell(name, "cat /proc/1/oom_score_adj; exec sleep 1000") for name in ("a", "b")]
    apply(cluster, namespace, bound("whole", offering, *two, resources=whole))
    shown.until_phase("whole", "Running")
    assert shown.last("whole")["qosClass"] == "Burstable"
    uid = shown.objects("whole")[-1]["metadata"]["uid"]
    memory = Path(f"/sys/fs/cgroup/memory/vkprovider/pod{uid}/memory.limit_in_bytes")
    if memory.parents[2].exists():
        assert memory.read_text() == f"{64 << 20}\n"
        pids = Path(f"/sys/fs/cgroup/pids/vkprovider/pod{uid}/pids.max")
        assert pids.read_text() == "64\n"


def test_who_fills_the_disk_is_evicted(cluster: Cluster, namespace: str, offering: NodeProcess, shown: Showing) -> None:
    script = "head -c 20000000 /dev/zero > /file; exec sleep 1000"
    apply(cluster, namespace, bound("fills", offering, shell("app", script, **wanting(ephemeral_storage="4Mi"))))
    shown.until_phase("fills", "Failed", 90)
    last = shown.last("fills")
    message = "Pod ephemeral local storage usage exceeds the total limit of containers 4Mi. "
    assert (last["reason"], last["message"]) == ("Evicted", message)
    eventually(lambda: ("Evicted", message) in events_of(cluster, namespace, "fills"))


def test_memory_that_runs_low(
    cluster: Cluster, access: Access, namespace: str, image: None, folder: Path, shown: Showing
) -> None:
    """The threshold is more than any machine has."""
    name = folder.name.replace("_", "-")
    low = (
        "--eviction-hard=memory.available<999Ti",
        "--eviction-pressure-transition-period=5s",
        f"--device={PLENTY}=/dev/zero",
    )
    with NodeProcess(cluster, name, folder, access, *low) as node:
        assert condition(cluster, node, "MemoryPressure") == ("True", "KubeletHasInsufficientMemory")
        assert condition(cluster, node, "DiskPressure") == ("False", "KubeletHasNoDiskPressure")
        taint = "node.kubernetes.io/memory-pressure"
        eventually(lambda: taint in str(cluster.get("node", name)["spec"]["taints"]))
        apply(cluster, namespace, bound("careless", node, shell("app", IDLE)))
        shown.until_phase("careless", "Failed")
        last = shown.last("careless")
        message = "Pod was rejected: The node had condition: [MemoryPressure]. "
        assert (last["reason"], last["message"]) == ("Evicted", message)
        small = {"resources": {"requests": {"cpu": "1m"}}}  # of memory nothing is left
        dear = bound("dear", node, shell("app", IDLE, **small), priorityClassName="system-node-critical")
        apply(cluster, namespace, dear)
        apply(cluster, namespace, bound("cheap", node, shell("app", IDLE, **small)))
        shown.until_phase("cheap", "Failed", 40)
        last = shown.last("cheap")
        assert last["reason"] == "Evicted"
        assert re.fullmatch(
            r"The node was low on resource: memory\. Threshold quantity: 999Ti, available: \d+Ki\. "
            r"(Container app was using \d+(Ki|Mi), request is 0, has larger consumption of memory\. )?",
            last["message"],
        )
        disruption = next(c for c in last["conditions"] if c["type"] == "DisruptionTarget")
        assert (disruption["status"], disruption["reason"]) == ("True", "TerminationByKubelet")
        eventually(lambda: ("Evicted", last["message"]) in events_of(cluster, namespace, "cheap"))
        of_node = cluster.get("events", f"--field-selector=involvedObject.name={name}", "--all-namespaces")["items"]
        assert ("EvictionThresholdMet", "Attempting to reclaim memory") in {
            (e["reason"], e["message"]) for e in of_node
        }
        assert shown.last("dear")["phase"] == "Running"
        node.stop()
        enough = NodeProcess(cluster, name, folder, access, "--eviction-hard=")
        with enough:
            assert condition(cluster, enough, "MemoryPressure") == ("False", "KubeletHasSufficientMemory")
            assert PLENTY not in cluster.get("node", name)["status"]["capacity"]
