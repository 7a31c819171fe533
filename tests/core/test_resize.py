"""In-place resize, from what is asked to what runs: allocation_manager.go and computePodResizeAction."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.core.given import T0, at, container, deleted, exited, given, native, pod, running, state
from tests.core.told import published, signals
from vkprovider.core.actions import ContainerResized, Decision, ResizeContainer, ResizeFailed, StartContainer
from vkprovider.core.allocation import as_allocated, same
from vkprovider.core.decide import decide
from vkprovider.core.record import ImageReady, PodMemory, PodRecord
from vkprovider.core.view import Room
from vkprovider.model.container import ResourceRequirements
from vkprovider.model.observed import ContainerState, Run
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ContainerID

SMALL = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
LARGE = {"requests": {"cpu": "200m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}}
TIGHT = {"requests": {"cpu": "100m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}}
PLENTY = Room(allocatable={"cpu": 4000, "memory": 1 << 32})


def asking(resources: dict[str, Any], generation: int = 2, *, sidecar: bool = False, **fields: Any) -> Pod:
    """A pod whose container "app", or sidecar "side", asks for these resources."""
    if sidecar:
        asked = pod(container("app"), inits=(native("side", resources=resources, **fields),), policy="Always")
    else:
        asked = pod(container("app", resources=resources, **fields), policy="Always")
    return msgspec.structs.replace(asked, metadata=msgspec.structs.replace(asked.metadata, generation=generation))


def requirements(resources: dict[str, Any]) -> ResourceRequirements:
    return msgspec.convert(resources, ResourceRequirements)


def allocated(resources: dict[str, Any], **more: Any) -> PodRecord:
    given_to = {"app": requirements(resources), "side": requirements(resources)}
    return PodRecord(start_time=T0, ips=("10.0.0.7",), allocated=given_to, **more)


def instance(of: Pod, resources: dict[str, Any] = SMALL, name: str = "app", **more: Any) -> ContainerState:
    return state(of, name, resources=requirements(resources), **more)


def condition(decision: Decision, kind: str) -> dict[str, Any] | None:
    return next((c for c in decision.status["conditions"] if c["type"] == kind), None)


def look(asked: dict[str, Any], **more: Any) -> Decision:
    """A look at a pod that was given SMALL, runs with it, and asks for something else by now."""
    p = more.pop("pod", None) or asking(asked)
    instances = more.pop("instances", (instance(p),))
    return decide(given(p, *instances, **{"room": PLENTY, "record": allocated(SMALL)} | more))


# --- what was given ----------------------------------------------------------------------------------------------


def test_what_a_pod_was_admitted_with_is_its_own():
    p = asking(SMALL, 1)
    first = decide(given(p, room=Room(allocatable={"cpu": 1, "memory": 1})))
    assert first.record.allocated == {"app": requirements(SMALL)}
    assert condition(first, "PodResizePending") is None
    assert first.events == ()


def test_plain_init_containers_are_given_nothing_that_could_change():
    p = pod(container("app"), inits=(container("init", resources=SMALL), native("side", resources=SMALL)))
    assert set(decide(given(p)).record.allocated) == {"side", "app"}


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ({"requests": {"cpu": "100m"}}, {"requests": {"cpu": "0.1"}}, True),
        ({"requests": {"cpu": 1}}, {"requests": {"cpu": "1000m"}}, True),
        ({"limits": {"memory": "1Gi"}}, {"limits": {"memory": "1024Mi"}}, True),
        ({"limits": {"memory": "1Gi"}}, {"requests": {"memory": "1Gi"}}, False),
        ({"limits": {"cpu": "1"}}, {}, False),
        ({"limits": {"ephemeral-storage": "1Gi"}}, {}, True),
    ],
)
def test_the_same_by_value(one: dict[str, Any], other: dict[str, Any], equal: bool):
    assert same(requirements(one), requirements(other)) is equal


def test_a_pod_lives_by_what_it_was_given():
    p = asking(LARGE)
    assert as_allocated(p, allocated(SMALL)).spec.containers[0].resources == requirements(SMALL)
    assert as_allocated(p, allocated(LARGE)) is p
    assert as_allocated(p, PodRecord()) is p
    side = asking(LARGE, sidecar=True)
    assert as_allocated(side, allocated(SMALL)).spec.init_containers[0].resources == requirements(SMALL)


# --- does it fit -------------------------------------------------------------------------------------------------


def test_what_fits_is_allocated_and_under_way():
    decision = look(LARGE)
    assert decision.record.allocated["app"] == requirements(LARGE)
    (action,) = decision.actions
    assert action == ResizeContainer(
        key="app", container_id=ContainerID("app-0"), resources=requirements(LARGE), less_memory=False
    )
    progress = condition(decision, "PodResizeInProgress")
    assert progress is not None
    assert (progress["status"], progress["observedGeneration"], progress.get("reason")) == ("True", 2, None)
    (event,) = decision.events
    assert (event.type, event.reason, event.field_path) == ("Normal", "ResizeStarted", "")
    assert event.message == (
        'Pod resize started: {"containers":[{"name":"app","resources":{"limits":{"memory":"256Mi"},'
        '"requests":{"cpu":"200m","memory":"96Mi"}}}],"generation":2}'
    )


FULL = "Node didn't have enough resource: "
NEVER = "Node didn't have enough capacity: "


@pytest.mark.parametrize(
    ("room", "reason", "message"),
    [
        (Room(allocatable={"cpu": 100, "memory": 1 << 30}), "Infeasible", NEVER + "cpu, requested: 200, capacity: 100"),
        (
            Room(allocatable={"cpu": 100, "memory": 1000}),
            "Infeasible",
            NEVER + "memory, requested: 100663296, capacity: 1000",
        ),
        (
            Room(allocatable={"cpu": 1000, "memory": 1 << 30}, used={"cpu": 900}),
            "Deferred",
            FULL + "cpu, requested: 200, used: 900, capacity: 1000",
        ),
        (
            Room(allocatable={"cpu": 1000, "memory": 100663296}, used={"cpu": 100, "memory": 1}),
            "Deferred",
            FULL + "memory, requested: 100663296, used: 1, capacity: 100663296",
        ),
    ],
    ids=["cpu-never", "memory-first", "cpu-now", "memory-now"],
)
def test_what_does_not_fit_is_pending(room: Room, reason: str, message: str):
    decision = look(LARGE, room=room)
    pending = condition(decision, "PodResizePending")
    assert pending is not None
    assert (pending["status"], pending["reason"], pending["message"]) == ("True", reason, message)
    assert pending["observedGeneration"] == 2
    assert decision.record.allocated["app"] == requirements(SMALL)
    assert decision.actions == ()
    (event,) = decision.events
    assert (event.type, event.reason) == ("Warning", f"Resize{reason}")
    assert event.message.startswith(f"Pod resize {reason}: ")
    assert json.loads(event.message.partition(": ")[2])["error"] == message
    again = look(LARGE, room=room, memory=decision.memory, record=decision.record)
    assert again.events == ()


def test_a_deferred_resize_is_tried_again_and_an_infeasible_one_is_not():
    full = Room(allocatable={"cpu": 1000, "memory": 1 << 30}, used={"cpu": 900})
    assert look(LARGE, room=full, when=100).wake_at == at(280)
    assert look(LARGE, room=Room(allocatable={"cpu": 1, "memory": 1})).wake_at is None


def test_a_deferred_resize_goes_on_when_there_is_room():
    full = Room(allocatable={"cpu": 1000, "memory": 1 << 30}, used={"cpu": 900})
    before = look(LARGE, room=full)
    after = look(LARGE, memory=before.memory, record=before.record)
    assert condition(after, "PodResizePending") is None
    assert [a.key for a in after.actions] == ["app"]


def test_a_resize_that_is_taken_back_is_no_longer_pending():
    before = look(LARGE, room=Room(allocatable={"cpu": 1, "memory": 1}))
    after = look(SMALL, memory=before.memory, record=before.record)
    assert condition(after, "PodResizePending") is None
    assert after.events == ()


def test_a_pod_that_ends_is_given_no_more():
    p = deleted(asking(LARGE))
    ending = decide(given(p, instance(p), room=PLENTY, record=allocated(SMALL)))
    later = decide(given(p, instance(p), room=PLENTY, record=ending.record))
    assert later.record.allocated["app"] == requirements(SMALL)
    assert not any(isinstance(a, ResizeContainer) for a in (*ending.actions, *later.actions))
    over = decide(given(p, exited(p, "app", 0), record=ending.record))
    assert condition(over, "PodResizePending") is condition(over, "PodResizeInProgress") is None


# --- running containers ------------------------------------------------------------------------------------------


def test_a_resize_is_completed_when_the_container_has_it():
    begun = look(LARGE)
    done = ContainerResized(key="app", container_id=ContainerID("app-0"), resources=requirements(LARGE))
    decision = look(LARGE, record=begun.record, memory=begun.memory, news=(done,))
    assert condition(decision, "PodResizeInProgress") is None
    (event,) = decision.events
    assert (event.type, event.reason) == ("Normal", "ResizeCompleted")
    assert event.message.startswith('Pod resize completed: {"containers":[{"name":"app","resources":{"limits":')
    assert decision.actions == ()
    assert decision.record.resizing is None


def test_it_is_under_way_after_a_crash_as_before():
    begun = look(LARGE)
    again = look(LARGE, record=begun.record, memory=PodMemory(volumes_ready=True))
    assert [type(a) for a in again.actions] == [ResizeContainer]
    assert condition(again, "PodResizeInProgress") is not None
    assert again.events == ()


def test_an_update_whose_answer_was_lost_is_made_again_even_if_nothing_is_wanted_any_more():
    begun = look(LARGE)
    back = look(SMALL, record=begun.record, memory=PodMemory(volumes_ready=True))
    (action,) = back.actions
    assert isinstance(action, ResizeContainer)
    assert action.resources == requirements(SMALL)
    done = ContainerResized(key="app", container_id=ContainerID("app-0"), resources=requirements(SMALL))
    over = look(SMALL, record=back.record, memory=back.memory, news=(done,))
    assert (over.actions, over.record.updates, over.record.resizing) == ((), (), None)


def test_status_shows_what_runs_and_what_was_allocated():
    begun = look(LARGE)
    status = published(begun, "app")
    assert status["resources"] == SMALL
    assert status["allocatedResources"] == LARGE["requests"]
    done = ContainerResized(key="app", container_id=ContainerID("app-0"), resources=requirements(LARGE))
    status = published(look(LARGE, record=begun.record, news=(done,)), "app")
    assert (status["resources"], status["allocatedResources"]) == (LARGE, LARGE["requests"])


def test_a_sidecar_is_resized_too():
    p = asking(LARGE, sidecar=True)
    decision = decide(given(p, instance(p, name="side"), *running(p, "app"), room=PLENTY, record=allocated(SMALL)))
    assert [(a.key, type(a)) for a in decision.actions] == [("side", ResizeContainer)]


@pytest.mark.parametrize("run", [Run.CREATED, Run.PAUSED, Run.UNKNOWN])
def test_what_does_not_run_is_not_resized(run: Run):
    p = asking(LARGE)
    waiting = state(p, "app", run, resources=requirements(SMALL))
    decision = look(LARGE, pod=p, instances=(waiting,))
    assert not any(isinstance(a, ResizeContainer) for a in decision.actions)


def test_the_next_instance_begins_with_what_was_allocated():
    p = asking(LARGE)
    ready = {"app": ImageReady(attempt=0, image="busybox:1.28", image_id="sha256:1")}
    memory = PodMemory(volumes_ready=True, images=ready)
    full = Room(allocatable={"cpu": 1000, "memory": 1 << 30}, used={"cpu": 900})
    decision = decide(given(p, room=full, record=allocated(SMALL), memory=memory))
    assert [type(a) for a in decision.actions] == [StartContainer]
    assert as_allocated(p, decision.record).spec.containers[0].resources == requirements(SMALL)


def test_nothing_else_is_done_to_a_container_meanwhile():
    begun = look(LARGE)
    during = look(LARGE, record=begun.record, memory=begun.memory, in_flight={"app": begun.actions[0]})
    assert during.actions == ()


# --- less memory -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "less"),
    [(TIGHT, True), (LARGE, False), (SMALL | {"requests": {"cpu": "50m"}}, False)],
)
def test_a_smaller_limit_is_held_against_what_is_used(asked: dict[str, Any], less: bool):
    actions = look(asked).actions
    assert [a.less_memory for a in actions if isinstance(a, ResizeContainer)] == [less]


def test_a_failed_update_is_an_error_and_tried_again():
    begun = look(TIGHT)
    failed = ResizeFailed(key="app", message="cannot decrease memory limits: no")
    told = look(TIGHT, record=begun.record, memory=begun.memory, news=(failed,), when=100)
    progress = condition(told, "PodResizeInProgress")
    assert progress is not None
    assert (progress["reason"], progress["message"]) == ("Error", "cannot decrease memory limits: no")
    assert [(e.type, e.reason) for e in told.events] == [("Warning", "ResizeError")]
    assert (told.actions, told.wake_at) == ((), at(110))
    again = look(TIGHT, record=told.record, memory=told.memory, when=110)
    assert [type(a) for a in again.actions] == [ResizeContainer]
    same_again = look(TIGHT, record=again.record, memory=again.memory, news=(failed,), when=111)
    assert same_again.events == ()


# --- resize policies ---------------------------------------------------------------------------------------------

RESTART = {"resizePolicy": [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]}


def test_a_policy_may_want_a_new_instance():
    p = asking(LARGE, **RESTART)
    decision = look(LARGE, pod=p, instances=(instance(p),))
    assert [(e.reason, e.message) for e in decision.events if e.reason == "Killing"] == [
        ("Killing", "Container app resize requires restart")
    ]
    assert signals(decision) == [("app", "TERM")]
    down = exited(p, "app", 0, end=100, resources=requirements(SMALL))
    later = look(LARGE, pod=p, instances=(down,), record=decision.record, memory=decision.memory)
    assert [(a.key, type(a).__name__) for a in later.actions] == [("app", "PullImage")]
    assert later.record.ending is None


@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
def test_it_is_started_again_under_every_policy(policy: str):
    p = pod(container("app", resources=LARGE, **RESTART), policy=policy)
    stop = look(LARGE, pod=p, instances=(instance(p),))
    down = exited(p, "app", 0, end=100, resources=requirements(SMALL))
    later = look(LARGE, pod=p, instances=(down,), record=stop.record, memory=stop.memory)
    assert [(a.key, type(a).__name__) for a in later.actions] == [("app", "PullImage")]


def test_a_policy_is_for_its_own_resource_alone():
    more_cpu = SMALL | {"requests": {"cpu": "300m", "memory": "64Mi"}}
    p = asking(more_cpu, **RESTART)
    decision = look(more_cpu, pod=p, instances=(instance(p),))
    assert [type(a) for a in decision.actions] == [ResizeContainer]


# --- the back-off ------------------------------------------------------------------------------------------------


def test_a_container_that_crashed_and_got_other_resources_starts_over_at_once():
    p = asking(LARGE)
    down = exited(p, "app", 137, attempt=5, start=90, end=99, backoff_seconds=160, resources=requirements(SMALL))
    waits = look(LARGE, pod=asking(SMALL), instances=(down,), when=100)
    assert (waits.actions, waits.wake_at) == ((), at(259))
    ready = {"app": ImageReady(attempt=6, image="busybox:1.28", image_id="sha256:1")}
    memory = PodMemory(volumes_ready=True, images=ready)
    (start,) = look(LARGE, pod=p, instances=(down,), when=100, memory=memory).actions
    assert isinstance(start, StartContainer)
    assert start.backoff_seconds == 10
