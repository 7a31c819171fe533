"""Containers that are added to a running pod for debugging: kuberuntime_manager.go, its ephemeral containers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.core.given import container, deleted, exited, given, native, pod, running, sandbox, state
from tests.core.told import signals
from vkprovider.core.actions import PullDone, PullImage, StartContainer
from vkprovider.core.create import Gathered, NodeFacts, plan_container
from vkprovider.core.decide import decide
from vkprovider.core.faults import Fault
from vkprovider.model.observed import ContainerState, Run
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ContainerID


def debugged(*containers: dict[str, Any], policy: str = "Always", target: str = "", **spec: Any) -> Pod:
    """A pod with an ephemeral container named spy."""
    spy = container("spy") | ({"targetContainerName": target} if target else {})
    return pod(*containers, policy=policy, ephemeralContainers=[spy], **spec)


def spy(of: Pod, run: Run = Run.RUNNING, **more: Any) -> ContainerState:
    alone = msgspec.structs.replace(of.spec, containers=of.spec.ephemeral_containers)
    return state(msgspec.structs.replace(of, spec=alone), "spy", run, **more)


def shown(of: Pod, *instances: ContainerState, **more: Any) -> dict[str, Any]:
    (status,) = decide(given(of, *instances, **more)).status["ephemeralContainerStatuses"]
    return dict(status)


P = debugged(container("app"))
PULLED = PullDone(key="spy", image="busybox:1.28", attempt=0, image_id="sha256:1")


def test_it_is_started_while_the_pod_runs():
    (pull,) = decide(given(P, *running(P, "app"))).actions
    assert isinstance(pull, PullImage)
    assert pull.key == "spy"
    decision = decide(given(P, *running(P, "app"), news=(PULLED,)))
    (start,) = decision.actions
    assert isinstance(start, StartContainer)
    assert [e.field_path for e in decision.events] == ["spec.ephemeralContainers{spy}"]


def test_it_is_started_even_while_the_pod_is_not_initialized():
    p = debugged(container("app"), inits=(container("init"),))
    assert [a.key for a in decide(given(p, *running(p, "init"))).actions] == ["spy"]


@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
@pytest.mark.parametrize("code", [0, 1])
def test_it_is_never_started_again(policy: str, code: int):
    p = debugged(container("app"), policy=policy)
    decision = decide(given(p, *running(p, "app"), spy(p, Run.EXITED, code=code)))
    assert decision.actions == ()
    assert decision.record.ending is None
    assert shown(p, *running(p, "app"), spy(p, Run.EXITED, code=code))["state"]["terminated"]["exitCode"] == code


def test_not_even_in_a_new_sandbox():
    dead = (exited(P, "app", 137), spy(P, Run.EXITED, code=137))
    decision = decide(given(P, *dead, sandboxes=(sandbox(1), sandbox(0, ready=False))))
    assert "spy" not in [a.key for a in decision.actions]


def test_it_says_nothing_of_ready_or_started_and_counts_for_neither():
    status = shown(P, *running(P, "app"), spy(P))
    assert status["ready"] is False
    assert "started" not in status
    decision = decide(given(P, *running(P, "app"), spy(P, Run.EXITED, code=1)))
    assert {c["type"]: c["status"] for c in decision.status["conditions"]}["Ready"] == "True"
    assert decision.status["phase"] == "Running"


def test_it_does_not_keep_the_pod_alive_and_ends_with_it():
    p = debugged(container("app"), inits=(native("side"),), policy="Never")
    ending = decide(given(p, exited(p, "app"), *running(p, "side"), spy(p)))
    assert ending.record.ending is not None
    assert signals(ending) == [("spy", "TERM")]  # with the apps: the sidecar's turn comes after
    assert ending.status["phase"] == "Running"
    gone = (exited(p, "app"), exited(p, "side", 143), spy(p, Run.EXITED, code=137))
    over = decide(given(p, *gone, record=ending.record))
    assert over.status["phase"] == "Succeeded"


def test_a_deletion_stops_it_and_starts_no_other():
    assert signals(decide(given(deleted(P), *running(P, "app"), spy(P)))) == [("app", "TERM"), ("spy", "TERM")]
    assert signals(decide(given(deleted(P), *running(P, "app")))) == [("app", "TERM")]


def test_statuses_are_sorted_by_name_and_absent_without_any():
    two = pod(container("app"), ephemeralContainers=[container("z"), container("b")])
    assert [s["name"] for s in decide(given(two)).status["ephemeralContainerStatuses"]] == ["b", "z"]
    assert "ephemeralContainerStatuses" not in decide(given(pod(container("app")))).status


# --- its target --------------------------------------------------------------------------------------------------

NODE = NodeFacts(name="node", memory=1 << 30)


def started(of: Pod, *instances: ContainerState) -> StartContainer:
    actions = decide(given(of, *instances, news=(PULLED,))).actions
    return next(a for a in actions if isinstance(a, StartContainer))


def planned_pid(of: Pod, start: StartContainer) -> str:
    return plan_container(of, of.spec.ephemeral_containers[0], start, NODE, Gathered()).pid


@pytest.mark.parametrize("spec", [{}, {"hostPID": True}, {"shareProcessNamespace": True}])
def test_it_enters_the_processes_of_its_target(spec: dict[str, Any]):
    p = debugged(container("app"), target="app", **spec)
    start = started(p, *running(p, "app"))
    assert planned_pid(p, start) == "container:app-0"


def test_without_a_target_it_sees_its_own_or_the_pods():
    assert planned_pid(P, started(P, *running(P, "app"))) == ""
    shared = debugged(container("app"), shareProcessNamespace=True)
    assert planned_pid(shared, started(shared, *running(shared, "app"))) == "container:sandbox-0"


def test_a_target_that_never_ran_is_said_to_be_missing():
    p = debugged(container("app"), target="other")
    start = started(p, *running(p, "app"))
    assert start.target_id == ContainerID("")
    with pytest.raises(Fault, match="unable to find target container other") as fault:
        planned_pid(p, start)
    assert fault.value.waiting_reason == "CreateContainerConfigError"
