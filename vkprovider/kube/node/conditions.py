"""The Node's conditions, in the kubelet's order, reasons and texts, and the events that their changes are worth. Pure.

pkg/kubelet/nodestatus/setters.go, pkg/kubelet/runtime.go. NetworkUnavailable is virtual-kubelet's: nobody else sets up
routes for a virtual node, and one without the condition is taken for unreachable by some route controllers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from vkprovider.core.actions import PodEvent
from vkprovider.core.admission import DISK_PRESSURE, MEMORY_PRESSURE, PID_PRESSURE
from vkprovider.core.exits import timestamp

READY = "Ready"
RUNTIME_DOWN = "container runtime is down"
SHUTTING_DOWN = "node is shutting down"

Condition = dict[str, Any]

_HEARTBEAT = "lastHeartbeatTime"


class _Wording(NamedTuple):
    """What a condition says while nothing is wrong and while it is, and the event of each change."""

    fine: tuple[str, str]
    fine_event: str
    bad: tuple[str, str]
    bad_event: str


_WORDINGS = {
    MEMORY_PRESSURE: _Wording(
        ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        "NodeHasSufficientMemory",
        ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
        "NodeHasInsufficientMemory",
    ),
    DISK_PRESSURE: _Wording(
        ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        "NodeHasNoDiskPressure",
        ("KubeletHasDiskPressure", "kubelet has disk pressure"),
        "NodeHasDiskPressure",
    ),
    PID_PRESSURE: _Wording(
        ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        "NodeHasSufficientPID",
        ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
        "NodeHasInsufficientPID",
    ),
}


def node_conditions(
    before: Sequence[Condition], under: Collection[str], problems: Sequence[str], at: datetime
) -> list[Condition]:
    """All conditions, Ready last. ``before`` are those of the Node as it is, ``problems`` why it is not ready."""
    return [_since(condition, before, timestamp(at)) for condition in _conditions(under, problems)]


def transitions(name: str, before: Sequence[Condition], after: Sequence[Condition]) -> Iterator[PodEvent]:
    """The events of what has changed. That a new node is ready is no change."""
    known = {condition["type"]: condition["status"] for condition in before}
    for condition in after:
        kind, status = condition["type"], condition["status"]
        if known.get(kind) == status or (kind == READY and kind not in known):
            continue
        if kind == READY:
            reason = "NodeReady" if status == "True" else "NodeNotReady"
        elif kind in _WORDINGS:
            reason = _WORDINGS[kind].bad_event if status == "True" else _WORDINGS[kind].fine_event
        else:
            continue
        yield PodEvent(type="Normal", reason=reason, message=f"Node {name} status is now: {reason}")


def without_heartbeats(status: Mapping[str, Any]) -> dict[str, Any]:
    """A status by which one can tell whether anything has changed."""
    conditions = [{k: v for k, v in one.items() if k != _HEARTBEAT} for one in status["conditions"]]
    return {**status, "conditions": conditions}


def same_conditions(before: Sequence[Condition], after: Sequence[Condition]) -> bool:
    """Whether ``before`` says all that ``after`` does; conditions that others have set may be there too."""
    fields = ("status", "reason", "message")
    known = {condition["type"]: [condition.get(field) for field in fields] for condition in before}
    return all(known.get(condition["type"]) == [condition[field] for field in fields] for condition in after)


def _conditions(under: Collection[str], problems: Sequence[str]) -> Iterator[tuple[str, str, str, str]]:
    for kind, wording in _WORDINGS.items():
        bad = kind in under
        yield kind, str(bad), *(wording.bad if bad else wording.fine)
    yield "NetworkUnavailable", "False", "RouteCreated", "RouteController created a route"
    if problems:
        message = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"  # as Go writes an Aggregate
        yield READY, "False", "KubeletNotReady", message
    else:
        yield READY, "True", "KubeletReady", "kubelet is posting ready status"


def _since(condition: tuple[str, str, str, str], before: Sequence[Condition], now: str) -> Condition:
    kind, status, reason, message = condition
    unchanged = next((one for one in before if one["type"] == kind and one["status"] == status), {})
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        _HEARTBEAT: now,
        "lastTransitionTime": unchanged.get("lastTransitionTime") or now,
    }
