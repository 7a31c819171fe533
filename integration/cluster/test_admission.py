"""Pods that nobody should have bound to the node: turned away, in the kubelet's words; and those that a taint ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .clients import Cluster
from .controlplane import ControlPlane
from .identities import Access
from .nodes import NodeProcess, on, shell
from .probes import free_ports
from .showing import Json, Showing, apply, events_of, in_docker, pod, showing, until_nothing_is_left
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.identity]

POLITE = "trap 'exit 0' TERM; sleep 1000 & wait"
TAINT = "example.com/leave=now:NoExecute"


@pytest.fixture(scope="module")
def small(
    cluster: Cluster, access: Access, image: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeProcess]:
    """A node that has room for one pod."""
    folder = tmp_path_factory.mktemp("small")
    with NodeProcess(cluster, folder.name.replace("_", "-"), folder, access, "--max-pods=1") as joined:
        yield joined


@pytest.fixture
def shown(cluster: Cluster, namespace: str) -> Iterator[Showing]:
    with showing(cluster, namespace) as shown:
        yield shown


def bound(name: str, node: NodeProcess, *containers: Json, **spec: object) -> Json:
    """A pod that goes to the node past the scheduler."""
    return pod(name, on(node.name, *containers, nodeName=node.name, automountServiceAccountToken=False, **spec))


def turned_away(cluster: Cluster, namespace: str, shown: Showing, name: str) -> tuple[str, str]:
    """Reason and message for which a pod was turned away, which its status and its only event must agree on."""
    shown.until_phase(name, "Failed")
    eventually(lambda: events_of(cluster, namespace, name))
    (event,) = events_of(cluster, namespace, name)
    last = shown.last(name)
    assert (last["reason"], last["message"]) == (event[0], f"Pod was rejected: {event[1]}")
    assert not last.get("containerStatuses")
    return event


def test_what_the_node_cannot_hold_is_turned_away(
    cluster: Cluster, namespace: str, small: NodeProcess, shown: Showing
) -> None:
    cpus = small_cpus(cluster, small)
    greedy = shell("app", "true", resources={"requests": {"cpu": "1000"}})
    apply(cluster, namespace, bound("elsewhere", small, shell("app", "true"), nodeSelector={"zone": "b"}))
    apply(cluster, namespace, bound("greedy", small, greedy))
    huge = {"hugepages-2Mi": "4Mi", "memory": "16Mi"}  # pages that the engine's host does not share out
    apply(cluster, namespace, bound("huge", small, shell("app", "true", resources={"limits": huge})))
    assert turned_away(cluster, namespace, shown, "elsewhere") == (
        "NodeAffinity",
        "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
    )
    assert turned_away(cluster, namespace, shown, "greedy") == (
        "OutOfcpu",
        f"Node didn't have enough resource: cpu, requested: 1000000, used: 0, capacity: {cpus}",
    )
    assert turned_away(cluster, namespace, shown, "huge") == (
        "OutOfhugepages-2Mi",
        "Node didn't have enough resource: hugepages-2Mi, requested: 4194304, used: 0, capacity: 0",
    )
    apply(cluster, namespace, bound("first", small, shell("app", POLITE)))
    shown.until_phase("first", "Running")
    apply(cluster, namespace, bound("second", small, shell("app", POLITE)))
    assert turned_away(cluster, namespace, shown, "second") == (
        "OutOfpods",
        "Node didn't have enough resource: pods, requested: 1, used: 1, capacity: 1",
    )
    cluster.kubectl("delete", f"--namespace={namespace}", "pods", "--all", "--timeout=20s")
    until_nothing_is_left(small)


def test_a_port_of_the_machine_that_a_pod_has_is_no_others(
    cluster: Cluster, namespace: str, node: NodeProcess, shown: Showing
) -> None:
    """Another protocol, another port, another address may still be had; any address is every one."""
    port, other = free_ports(2)

    def wants(name: str, **more: object) -> Json:
        ports = [{"containerPort": 7000, "hostPort": port, "hostIP": "127.0.0.1"} | more]
        return bound(name, node, shell("app", POLITE, ports=ports))

    apply(cluster, namespace, wants("first"))
    shown.until_phase("first", "Running")
    apply(cluster, namespace, wants("same"), wants("any", hostIP="0.0.0.0"))
    refused = ("NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports")
    for name in ("same", "any"):
        assert turned_away(cluster, namespace, shown, name) == refused
    free = {"udp": {"protocol": "UDP"}, "other": {"hostPort": other}, "elsewhere": {"hostIP": "127.0.0.2"}}
    apply(cluster, namespace, *(wants(name, **more) for name, more in free.items()))
    for name in free:
        shown.until_phase(name, "Running")
    cluster.kubectl("delete", f"--namespace={namespace}", "pod", "first", "--timeout=20s")
    apply(cluster, namespace, wants("next"))
    shown.until_phase("next", "Running")
    cluster.kubectl("delete", f"--namespace={namespace}", "pods", "--all", "--timeout=20s")
    until_nothing_is_left(node)


def small_cpus(cluster: Cluster, node: NodeProcess) -> int:
    """The allocatable CPUs in thousandths."""
    cpu = str(cluster.get("node", node.name)["status"]["allocatable"]["cpu"])
    return int(cpu[:-1]) if cpu.endswith("m") else int(cpu) * 1000


def test_who_does_not_tolerate_the_taint_is_turned_away(
    control_plane: ControlPlane, cluster: Cluster, namespace: str, small: NodeProcess, shown: Showing
) -> None:
    """The controller that deletes such pods, and might be first, is away."""
    if control_plane is not cluster:
        pytest.skip("the controller manager of this cluster is not ours to stop")
    cluster.kubectl("taint", "node", small.name, TAINT)
    control_plane.servers["kube-controller-manager"].stop()
    try:
        apply(cluster, namespace, bound("tainted", small, shell("app", "true")))
        assert turned_away(cluster, namespace, shown, "tainted") == (
            "TaintToleration",
            "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
        )
    finally:
        control_plane.servers["kube-controller-manager"].start()
        control_plane.servers["kube-controller-manager"].wait()
        cluster.kubectl("taint", "node", small.name, f"{TAINT}-")
    cluster.kubectl("delete", f"--namespace={namespace}", "pods", "--all", "--timeout=20s")
    until_nothing_is_left(small)


def test_a_taint_ends_the_pods_that_do_not_tolerate_it(
    cluster: Cluster, namespace: str, small: NodeProcess, shown: Showing
) -> None:
    """They end as pods that are deleted, and their last status keeps what the controller said of it."""
    apply(cluster, namespace, bound("evicted", small, shell("app", POLITE)))
    shown.until_phase("evicted", "Running")
    cluster.kubectl("taint", "node", small.name, TAINT)
    try:
        eventually(lambda: shown.is_gone("evicted"))
    finally:
        cluster.kubectl("taint", "node", small.name, f"{TAINT}-")
    until_nothing_is_left(small)
    last = shown.last("evicted")
    (target,) = (condition for condition in last["conditions"] if condition["type"] == "DisruptionTarget")
    assert (last["phase"], target["status"], target["reason"]) == ("Succeeded", "True", "DeletionByTaintManager")
    assert in_docker(small) == []
