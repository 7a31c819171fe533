"""What is published of the pod as a whole, a row per rule: kubelet_pods.go getPhase and generate.go. The corner cases
are in test_phase and test_conditions.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.core.given import T0, at, container, deleted, exited, given, pod, running, sandbox
from tests.core.rows import (
    ALWAYS,
    BACKED_OFF,
    INIT,
    NEVER,
    ON_FAILURE,
    PROBED_SIDE,
    SIDE,
    SIZED,
    TWO,
    Row,
    broken,
    times_of_day,
)
from tests.core.told import EXEC
from vkprovider.core.actions import StartFailed
from vkprovider.core.decide import decide
from vkprovider.core.record import Ending, PodRecord
from vkprovider.model.pod import Pod, decode_pod

INIT_ALWAYS = pod(container("app"), inits=(container("init"),), policy="Always")
HOOKED = pod(container("app", lifecycle={"postStart": EXEC}))
GATED = pod(container("app"), readinessGates=[{"conditionType": "gate"}])
DELETED = Ending(cause="Deleted", began_at=at(1), deadline=at(31))


def failing(reason: str, message: str = "why", attempt: int = 0) -> dict[str, Any]:
    news = StartFailed(key="app", attempt=attempt, reason=reason, message=message, image="busybox:1.28")
    return {"news": (news,)}


def generation(of: Pod, number: int) -> Pod:
    return msgspec.structs.replace(of, metadata=msgspec.structs.replace(of.metadata, generation=number))


def with_gate(status: str) -> Pod:
    return decode_pod(GATED.raw | {"status": {"conditions": [{"type": "gate", "status": status}]}})


def record(ending: Ending | None = None, **more: Any) -> PodRecord:
    return PodRecord(start_time=T0, ips=("10.0.0.7",), ending=ending, **more)


PHASES = [
    Row("getPhase row 1: a failed init container under Never", INIT, (exited(INIT, "init", 1),), "phase", "Failed"),
    Row("getPhase row 1: not under Always", INIT_ALWAYS, (exited(INIT_ALWAYS, "init", 1),), "phase", "Pending"),
    Row("getPhase row 2: an init container is to come", INIT, (), "phase", "Pending"),
    Row("getPhase row 2: or runs", INIT, running(INIT, "init"), "phase", "Pending"),
    Row("getPhase row 2: a sidecar has not started", PROBED_SIDE, running(PROBED_SIDE, "side"), "phase", "Pending"),
    Row("getPhase row 2: an app waits that never ran", TWO, running(TWO, "a"), "phase", "Pending"),
    Row(
        "getPhase row 2: nor is an image that cannot be had Running",
        TWO,
        running(TWO, "b"),
        "phase",
        "Pending",
        failing("ErrImagePull"),
    ),
    Row("getPhase row 2: or is in its first postStart", HOOKED, running(HOOKED, "app"), "phase", "Pending"),
    Row(
        "getPhase row 3: one runs, none is unknown", TWO, (*running(TWO, "a"), exited(TWO, "b", 1)), "phase", "Running"
    ),
    Row(
        "getPhase row 3: sidecars do not count when they are down",
        SIDE,
        (*running(SIDE, "app"), exited(SIDE, "side")),
        "phase",
        "Running",
    ),
    Row(
        "getPhase row 4: the end, all succeeded",
        ALWAYS,
        (exited(ALWAYS, "app"),),
        "phase",
        "Succeeded",
        {"record": record(DELETED)},
    ),
    Row(
        "getPhase row 4: the end, one did not",
        ALWAYS,
        (exited(ALWAYS, "app", 1),),
        "phase",
        "Failed",
        {"record": record(DELETED)},
    ),
    Row("getPhase row 5: Always", ALWAYS, (exited(ALWAYS, "app"),), "phase", "Running"),
    Row("getPhase row 6: all succeeded", ON_FAILURE, (exited(ON_FAILURE, "app"),), "phase", "Succeeded"),
    Row("getPhase row 6: under Never too", NEVER, (exited(NEVER, "app"),), "phase", "Succeeded"),
    Row("getPhase row 7: Never", NEVER, (exited(NEVER, "app", 1),), "phase", "Failed"),
    Row("getPhase row 8: OnFailure", ON_FAILURE, (exited(ON_FAILURE, "app", 1),), "phase", "Running"),
    Row("getPhase row 9: nothing yet", NEVER, (), "phase", "Pending", {"sandboxes": ()}),
    Row("a crash loop is Running", ALWAYS, (exited(ALWAYS, "app", 1, **BACKED_OFF),), "phase", "Running"),
]

NOT_READY = {"status": "False", "reason": "ContainersNotReady", "message": "containers with unready status: [app]"}
MISSING = 'corresponding condition of pod readiness gate "gate" does not exist.'
UNTRUE = 'the status of pod readiness gate "gate" is not "True", but False'

CONDITIONS = [
    Row("PodScheduled", NEVER, (), "PodScheduled.status", "True"),
    Row("PodReadyToStartContainers", NEVER, (), "PodReadyToStartContainers", {"status": "True"}),
    Row("not without a sandbox", NEVER, (), "PodReadyToStartContainers", {"status": "False"}, {"sandboxes": ()}),
    Row(
        "nor with one that is down",
        NEVER,
        (),
        "PodReadyToStartContainers",
        {"status": "False"},
        {"sandboxes": (sandbox(ready=False),)},
    ),
    Row("Initialized without init containers", NEVER, (), "Initialized", {"status": "True"}),
    Row("Initialized when they are done", INIT, (exited(INIT, "init"),), "Initialized", {"status": "True"}),
    Row("a sidecar is done when it has started", SIDE, running(SIDE, "side"), "Initialized", {"status": "True"}),
    Row("Initialized once an app ever ran", SIDE, running(SIDE, "app"), "Initialized", {"status": "True"}),
    Row(
        "not Initialized",
        INIT,
        (),
        "Initialized",
        {
            "status": "False",
            "reason": "ContainersNotInitialized",
            "message": "containers with incomplete status: [init]",
        },
    ),
    Row(
        "Initialized of a completed pod",
        NEVER,
        (exited(NEVER, "app"),),
        "Initialized",
        {"status": "True", "reason": "PodCompleted"},
    ),
    Row("ContainersReady", NEVER, running(NEVER, "app"), "ContainersReady", {"status": "True"}),
    Row("not ContainersReady", NEVER, (), "ContainersReady", NOT_READY),
    Row("sidecars are named first", SIDE, (), "ContainersReady.message", "containers with unready status: [side app]"),
    Row(
        "ContainersReady of a completed pod",
        NEVER,
        (exited(NEVER, "app"),),
        "ContainersReady",
        {"status": "False", "reason": "PodCompleted"},
    ),
    Row(
        "of a failed one",
        NEVER,
        (exited(NEVER, "app", 1),),
        "ContainersReady",
        {"status": "False", "reason": "PodFailed"},
    ),
    Row("Ready as ContainersReady", NEVER, (), "Ready", NOT_READY),
    Row(
        "a readiness gate without its condition",
        GATED,
        running(GATED, "app"),
        "Ready",
        {"status": "False", "reason": "ReadinessGatesNotReady", "message": MISSING},
    ),
    Row(
        "a readiness gate that is False",
        with_gate("False"),
        running(GATED, "app"),
        "Ready",
        {"status": "False", "reason": "ReadinessGatesNotReady", "message": UNTRUE},
    ),
    Row("a readiness gate that is True", with_gate("True"), running(GATED, "app"), "Ready", {"status": "True"}),
    Row("no artificial False on deletion", deleted(NEVER), running(NEVER, "app"), "Ready", {"status": "True"}),
    Row("observedGeneration", generation(NEVER, 3), (), "Ready.observedGeneration", 3),
]

POD_FIELDS = [
    Row("observedGeneration of the status", generation(NEVER, 3), (), "observedGeneration", 3),
    Row("hostIP", NEVER, (), "hostIP", "127.0.0.1"),
    Row("hostIPs", NEVER, (), "hostIPs", [{"ip": "127.0.0.1"}]),
    Row("podIP", NEVER, (), "podIP", "10.0.0.7"),
    Row("podIPs", NEVER, (), "podIPs", [{"ip": "10.0.0.7"}]),
    Row("podIP outlives the sandbox", NEVER, (exited(NEVER, "app"),), "podIP", "10.0.0.7", {"sandboxes": ()}),
    Row("on the host's network it is the host's", pod(container("app"), hostNetwork=True), (), "podIP", "127.0.0.1"),
    Row("startTime", NEVER, (), "startTime", "12:00:00"),
    Row("startTime is set once", NEVER, (), "startTime", "12:01:40", {"record": PodRecord()}),
    Row("qosClass", SIZED, (), "qosClass", "Burstable"),
    Row(
        "qosClass as the API has it",
        decode_pod(SIZED.raw | {"status": {"qosClass": "Guaranteed"}}),
        (),
        "qosClass",
        "Guaranteed",
    ),
    Row("no legacy resize", SIZED, running(SIZED, "app"), "resize", None),
]


ALL = [*PHASES, *CONDITIONS, *POD_FIELDS]


@pytest.mark.parametrize("row", ALL, ids=[row.rule for row in ALL])
def test_a_rule(row: Row):
    assert broken(row) == []


def test_every_rule_has_its_own_name():
    assert len({row.rule for row in ALL}) == len(ALL)


def test_conditions_are_in_order_and_change_their_time_with_their_status():
    before = decide(given(NEVER, when=10))
    after = decide(given(NEVER, *running(NEVER, "app"), when=20, memory=before.memory))
    times = {c["type"]: times_of_day(c["lastTransitionTime"]) for c in after.status["conditions"]}
    assert list(times.items()) == [
        ("PodReadyToStartContainers", "12:00:10"),
        ("Initialized", "12:00:10"),
        ("Ready", "12:00:20"),
        ("ContainersReady", "12:00:20"),
        ("PodScheduled", "12:00:10"),
    ]
    assert all(c["lastProbeTime"] is None for c in after.status["conditions"])


def test_terminal_phases_are_for_ever():
    over = decide(given(NEVER, exited(NEVER, "app", 3)))
    revived = decide(given(NEVER, *running(NEVER, "app"), record=over.record))
    assert revived.status == over.status
