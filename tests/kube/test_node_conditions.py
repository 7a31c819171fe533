from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.node.virtual_clock import T0
from vkprovider.core.actions import PodEvent
from vkprovider.kube.node.conditions import (
    RUNTIME_DOWN,
    SHUTTING_DOWN,
    node_conditions,
    same_conditions,
    transitions,
    without_heartbeats,
)

FINE = [
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("NetworkUnavailable", "False", "RouteCreated", "RouteController created a route"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
]


def said(conditions: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [tuple(condition[field] for field in ("type", "status", "reason", "message")) for condition in conditions]


def test_a_node_that_is_fine() -> None:
    conditions = node_conditions((), (), (), T0)
    assert said(conditions) == FINE
    times = {(one["lastHeartbeatTime"], one["lastTransitionTime"]) for one in conditions}
    assert times == {("2026-01-01T12:00:00Z", "2026-01-01T12:00:00Z")}


@pytest.mark.parametrize(
    ("pressure", "reason", "message"),
    [
        ("MemoryPressure", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
        ("DiskPressure", "KubeletHasDiskPressure", "kubelet has disk pressure"),
        ("PIDPressure", "KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
    ],
)
def test_a_node_under_pressure(pressure: str, reason: str, message: str) -> None:
    shown = said(node_conditions((), {pressure}, (), T0))
    assert shown == [(pressure, "True", reason, message) if line[0] == pressure else line for line in FINE]


@pytest.mark.parametrize(
    ("problems", "message"),
    [
        ((RUNTIME_DOWN,), "container runtime is down"),
        ((SHUTTING_DOWN,), "node is shutting down"),
        ((RUNTIME_DOWN, SHUTTING_DOWN), "[container runtime is down, node is shutting down]"),
    ],
)
def test_a_node_that_is_not_ready(problems: tuple[str, ...], message: str) -> None:
    assert said(node_conditions((), (), problems, T0))[-1] == ("Ready", "False", "KubeletNotReady", message)


def test_a_condition_keeps_the_time_of_its_last_change() -> None:
    before = node_conditions((), (), (), T0)
    after = node_conditions(before, {"DiskPressure"}, (), T0 + timedelta(minutes=1))
    changed = {one["type"]: one["lastTransitionTime"] for one in after}
    assert changed.pop("DiskPressure") == "2026-01-01T12:01:00Z"
    assert set(changed.values()) == {"2026-01-01T12:00:00Z"}
    assert {one["lastHeartbeatTime"] for one in after} == {"2026-01-01T12:01:00Z"}


def test_transitions_of_a_new_node_tell_of_all_but_its_readiness() -> None:
    reasons = [event.reason for event in transitions("vk", (), node_conditions((), (), (), T0))]
    assert reasons == ["NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID"]


def test_transitions_tell_of_changes_only() -> None:
    fine = node_conditions((), (), (), T0)
    bad = node_conditions(fine, {"MemoryPressure", "DiskPressure", "PIDPressure"}, ("x",), T0)
    assert [*transitions("vk", fine, fine)] == []
    assert [event.reason for event in transitions("vk", fine, bad)] == [
        "NodeHasInsufficientMemory",
        "NodeHasDiskPressure",
        "NodeHasInsufficientPID",
        "NodeNotReady",
    ]
    assert [*transitions("vk", bad, fine)][-1] == PodEvent(
        type="Normal", reason="NodeReady", message="Node vk status is now: NodeReady"
    )


def test_a_node_that_the_controller_gave_up_becomes_ready_again() -> None:
    given_up = [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]
    events = [event.reason for event in transitions("vk", given_up, node_conditions(given_up, (), (), T0))]
    assert events[-1] == "NodeReady"


def test_a_heartbeat_is_no_news() -> None:
    before = node_conditions((), (), (), T0)
    later = node_conditions(before, (), (), T0 + timedelta(minutes=1))
    assert before != later
    assert without_heartbeats({"conditions": before, "a": 1}) == without_heartbeats({"conditions": later, "a": 1})
    assert without_heartbeats({"conditions": before, "a": 1}) != without_heartbeats({"conditions": before, "a": 2})
    assert "lastHeartbeatTime" in before[0]


def test_conditions_of_others_do_not_count() -> None:
    ours = node_conditions((), (), (), T0)
    assert same_conditions([*ours, {"type": "KernelDeadlock", "status": "False"}], ours)
    assert not same_conditions(ours[1:], ours)
    assert not same_conditions([*ours[:-1], {**ours[-1], "status": "Unknown"}], ours)
    assert not same_conditions([*ours[:-1], {**ours[-1], "message": "else"}], ours)
