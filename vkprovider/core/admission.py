"""Whether a pod that was bound to this node may run on it. The scheduler is not the only one who binds pods.

Checks, their order, reasons and texts are those of the kubelet's admit handlers: pkg/kubelet/eviction (Admit),
pkg/kubelet/lifecycle/predicate.go and pkg/kubelet/nodeshutdown. A pod is asked for once when it is first seen, and
again when the node has been restarted, the oldest first; never one that is over or being ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from vkprovider.core.claims import Claim, claim, collide, in_units
from vkprovider.core.exits import timestamp
from vkprovider.core.placement import NO_EXECUTE, NO_SCHEDULE, Taint, matches_node, tolerates
from vkprovider.core.resources import BEST_EFFORT, qos_class
from vkprovider.core.sysctls import forbidden_sysctl
from vkprovider.core.unhonoured import unhonoured
from vkprovider.model.pod import Pod

MEMORY_PRESSURE, DISK_PRESSURE, PID_PRESSURE = "MemoryPressure", "DiskPressure", "PIDPressure"
PRESSURES = (MEMORY_PRESSURE, DISK_PRESSURE, PID_PRESSURE)

OS_LABEL = "kubernetes.io/os"
UNSUPPORTED = "UnsupportedField"
PODS = "pods"

_FIRST = ("cpu", "memory", "ephemeral-storage")  # the order in which resources are looked at; others follow
_CRITICAL_PRIORITY = 2_000_000_000
_UNDER_MEMORY_PRESSURE = Taint(key="node.kubernetes.io/memory-pressure", effect=NO_SCHEDULE)


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """What admission has to know of the node. ``allocatable`` are quantities by resource name."""

    name: str
    labels: Mapping[str, str] = {}
    taints: tuple[Taint, ...] = ()
    allocatable: Mapping[str, str] = {}
    pressures: tuple[str, ...] = ()  # of PRESSURES, those it is under
    os: str = "linux"
    shutting_down: bool = False
    unsafe_sysctls: tuple[str, ...] = ()  # those allowed to pods all the same


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """Why a pod may not run: reason and message of the Warning event that says so."""

    reason: str
    message: str


def node_view(
    node: Mapping[str, Any], *, shutting_down: bool = False, unsafe_sysctls: tuple[str, ...] = ()
) -> NodeView:
    """The v1.Node as the API server has it: users edit labels and taints, and what they say counts."""
    metadata, spec, status = node["metadata"], node.get("spec") or {}, node.get("status") or {}
    conditions = {condition["type"]: condition["status"] for condition in status.get("conditions") or ()}
    return NodeView(
        name=metadata["name"],
        labels=metadata.get("labels") or {},
        taints=tuple(
            Taint(key=taint["key"], value=taint.get("value", ""), effect=taint["effect"])
            for taint in spec.get("taints") or ()
        ),
        allocatable=status.get("allocatable") or {},
        pressures=tuple(pressure for pressure in PRESSURES if conditions.get(pressure) == "True"),
        os=(status.get("nodeInfo") or {}).get("operatingSystem") or "linux",
        shutting_down=shutting_down,
        unsafe_sysctls=unsafe_sysctls,
    )


def admit(pod: Pod, node: NodeView, others: Iterable[Claim]) -> Rejection | None:
    """None if ``pod`` may run beside ``others``, the claims of all pods here that are admitted and not over."""
    return next(_objections(pod, node, tuple(others)), None)


def priority(pod: Pod) -> int:
    """Of its priority class, as the API server has filled it in."""
    given: int = (pod.raw.get("spec") or {}).get("priority") or 0
    return given


def is_critical(pod: Pod) -> bool:
    """Whether a pod must run whatever the node lacks (pkg/kubelet/types/pod_update.go IsCriticalPod)."""
    return priority(pod) >= _CRITICAL_PRIORITY


def rejected_status(pod: Pod, rejection: Rejection, at: datetime) -> dict[str, Any]:
    """The v1.PodStatus of a pod that was not admitted (pkg/kubelet/kubelet.go rejectPod)."""
    published: Mapping[str, Any] = pod.raw.get("status") or {}
    status: dict[str, Any] = {
        "phase": "Failed",
        "reason": rejection.reason,
        "message": f"Pod was rejected: {rejection.message}",
        "startTime": published.get("startTime") or timestamp(at),
        "qosClass": _qos(pod),
    }
    if pod.metadata.generation:
        status["observedGeneration"] = pod.metadata.generation
    return status


def _objections(pod: Pod, node: NodeView, others: Sequence[Claim]) -> Iterator[Rejection]:
    spec: Mapping[str, Any] = pod.raw.get("spec") or {}
    yield from _pressure(pod, spec, node)
    forbidden = forbidden_sysctl(pod.spec, node.unsafe_sysctls)
    if forbidden is not None:
        yield Rejection(reason="SysctlForbidden", message=forbidden)
    yield from _platform(pod, spec, node)
    refused = unhonoured(spec).refused
    if refused:
        yield Rejection(reason=UNSUPPORTED, message="; ".join(refused))
    mine = claim(pod)
    yield from _resources(mine, node, others)
    if not matches_node(spec, node.name, node.labels):
        yield _predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")
    if any(collide(mine.ports, other.ports) for other in others):
        yield _predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports")
    evicting = (taint for taint in node.taints if taint.effect == NO_EXECUTE)
    if not all(tolerates(spec.get("tolerations") or (), taint) for taint in evicting):
        yield _predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate")
    if node.shutting_down:
        yield Rejection(reason="NodeShutdown", message="Pod was rejected as the node is shutting down.")


def _pressure(pod: Pod, spec: Mapping[str, Any], node: NodeView) -> Iterator[Rejection]:
    if not node.pressures or is_critical(pod):
        return
    if node.pressures == (MEMORY_PRESSURE,):
        patient = tolerates(spec.get("tolerations") or (), _UNDER_MEMORY_PRESSURE)
        if patient or _qos(pod) != BEST_EFFORT:
            return
    yield Rejection(reason="Evicted", message=f"The node had condition: [{' '.join(node.pressures)}]. ")


def _platform(pod: Pod, spec: Mapping[str, Any], node: NodeView) -> Iterator[Rejection]:
    if pod.metadata.labels.get(OS_LABEL, node.os) != node.os:
        message = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"
        yield Rejection(reason="PodOSSelectorNodeLabelDoesNotMatch", message=message)
    if (spec.get("os") or {}).get("name", node.os) != node.os:
        message = "Failed to admit pod as the OS field doesn't match node OS"
        yield Rejection(reason="PodOSNotSupported", message=message)
    if (spec.get("securityContext") or {}).get("supplementalGroupsPolicy") == "Strict":
        message = "SupplementalGroupsPolicy=Strict is not supported in this node"
        yield Rejection(reason="SupplementalGroupsPolicyNotSupported", message=message)
    if spec.get("hostUsers") is False:  # in a kubelet's words (pkg/kubelet/userns/userns_manager.go), if not its reason
        message = "can't set `spec.hostUsers: false`, runtime does not support user namespaces"
        yield Rejection(reason=UNSUPPORTED, message=message)


def _resources(mine: Claim, node: NodeView, others: Sequence[Claim]) -> Iterator[Rejection]:
    wanted = {PODS: 1} | {name: mine.amounts.get(name, 0) for name in _FIRST}
    wanted |= {name: amount for name, amount in mine.amounts.items() if _is_counted(name, node)}
    for name, requested in wanted.items():
        used = len(others) if name == PODS else sum(other.amounts.get(name, 0) for other in others)
        capacity = in_units(name, node.allocatable.get(name, 0))
        if requested > 0 and requested > capacity - used:
            numbers = f"requested: {requested}, used: {used}, capacity: {capacity}"
            yield Rejection(reason=f"OutOf{name}", message=f"Node didn't have enough resource: {name}, {numbers}")


def _is_counted(name: str, node: NodeView) -> bool:
    """Extended resources that the node does not have are somebody else's (predicate.go)."""
    return name in node.allocatable or "/" not in name or "kubernetes.io/" in name


def _predicate(name: str, reason: str) -> Rejection:
    return Rejection(reason=name, message=f"Predicate {name} failed: {reason}")


def _qos(pod: Pod) -> str:
    return pod.status.qos_class or qos_class(pod.spec)
