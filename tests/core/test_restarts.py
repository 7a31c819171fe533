"""Who runs again, and when: kuberuntime_manager.go computePodActions and doBackOff."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.core.given import at, container, deleted, exited, given, marked, native, pod, pulled, running, sandbox, state
from tests.core.told import EXEC, published, signals, stopped
from vkprovider.core.actions import (
    ActionFailed,
    CreateSandbox,
    Decision,
    PullImage,
    RemoveContainer,
    SignalContainer,
    StartContainer,
    StartFailed,
)
from vkprovider.core.decide import decide
from vkprovider.core.record import ImageReady, PodMemory, PodRecord, Stop
from vkprovider.core.view import PodView, Verdicts
from vkprovider.model.observed import ContainerState, Run
from vkprovider.model.pod import Pod

POLICIES = ("Always", "OnFailure", "Never")
ALWAYS = pod(container("app"), policy="Always")


def starts(decision: Decision) -> list[str]:
    return [a.key for a in decision.actions if isinstance(a, PullImage | StartContainer)]


def started(of: Pod, *instances: ContainerState, **more: Any) -> list[str]:
    return starts(decide(given(of, *instances, **more)))


# --- the matrix of policies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [
        ("Always", 0, True),
        ("Always", 1, True),
        ("OnFailure", 0, False),
        ("OnFailure", 1, True),
        ("Never", 0, False),
        ("Never", 1, False),
    ],
)
def test_an_app_that_has_ended(policy: str, code: int, again: bool):
    p = pod(container("app"), container("other"), policy=policy)
    assert started(p, exited(p, "app", code), *running(p, "other")) == (["app"] if again else [])


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("code", "oom"), [(0, False), (1, False), (0, True)])
def test_an_init_container_that_has_ended(policy: str, code: int, oom: bool):
    p = pod(container("app"), inits=(container("init"),), policy=policy)
    good = code == 0 and not oom
    decision = decide(given(p, exited(p, "init", code, oom_killed=oom)))
    assert starts(decision) == (["app"] if good else [] if policy == "Never" else ["init"])
    assert decision.status["phase"] == ("Pending" if good or policy != "Never" else "Failed")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("code", [0, 1, 137])
@pytest.mark.parametrize("kind", ["marked", "native"])
def test_a_sidecar_that_has_ended_runs_again_always(policy: str, code: int, kind: str):
    p = pod(container("app"), marked("s"), policy=policy)
    if kind == "native":
        p = pod(container("app"), inits=(native("s"),), policy=policy)
    assert started(p, exited(p, "s", code), *running(p, "app")) == ["s"]
    assert started(p, exited(p, "s", code)) == ["s"]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("verdicts", [Verdicts(live=False), Verdicts(started=False)])
def test_an_app_that_fails_a_probe(policy: str, verdicts: Verdicts):
    p = pod(container("app", livenessProbe=EXEC, startupProbe=EXEC), container("other"), policy=policy)
    app, other = running(p, "app", "other")
    ends = decide(given(p, app, other, verdicts={app.id: verdicts}))
    assert signals(ends) == [("app", "TERM")]
    dead = exited(p, "app", 143)
    assert started(p, dead, other, record=ends.record) == ([] if policy == "Never" else ["app"])


@pytest.mark.parametrize("policy", POLICIES)
def test_a_container_in_an_unknown_state_is_killed_before_it_is_restarted(policy: str):
    p = pod(container("app"), policy=policy)
    unknown = decide(given(p, state(p, "app", Run.UNKNOWN)))
    assert signals(unknown) == [("app", "TERM")]
    assert starts(unknown) == []
    message = 'Container is in "unknown" state, try killing it before restart'
    assert [(e.reason, e.message) for e in unknown.events] == [("Killing", message)]


def test_a_container_that_is_being_started_may_be_out_of_sight():
    """An engine that takes long over a start shows nothing of the container until it is done."""
    p = pod(container("app"), policy="Never")
    (start,) = decide(given(p, memory=pulled(p, "app", attempt=0))).actions
    assert isinstance(start, StartContainer)
    decision = decide(given(p, state(p, "app", Run.UNKNOWN), in_flight={"app": start}))
    assert decision.actions == ()
    assert decision.events == ()
    assert decision.wake_at is not None


def test_what_could_not_be_seen_is_looked_at_again():
    p = pod(container("app"))
    unseen = state(p, "app", Run.UNKNOWN)
    killed = Stop(cause="unknown", term_at=at(90), kill_at=at(95), term_sent=True, kill_sent=True)
    record = PodRecord(start_time=at(0), stops={unseen.id: killed})
    assert decide(given(p, unseen, record=record)).wake_at == at(130)
    assert decide(given(p, *running(p, "app"))).wake_at is None


@pytest.mark.parametrize("policy", POLICIES)
def test_a_new_image_replaces_a_container_under_every_policy(policy: str):
    old = pod(container("app"), container("other"), policy=policy)
    new = pod(container("app", image="busybox:2"), container("other"), policy=policy)
    ends = decide(given(new, *running(old, "app", "other"), memory=pulled(new, "app")))
    assert [e.message for e in ends.events] == ["Container app definition changed, will be restarted"]
    dead, other = exited(old, "app", 143), *running(old, "other")
    assert started(new, dead, other, record=ends.record) == ["app"]


def test_a_new_image_of_a_native_sidecar_replaces_it():
    old, new = (pod(container("app"), inits=(native("s", image=i),)) for i in ("busybox:1.28", "busybox:2"))
    ends = decide(given(new, *running(old, "s", "app"), memory=pulled(new, "s")))
    assert [e.message for e in ends.events] == ["Init container s definition changed"]


def test_a_new_image_of_an_init_container_restarts_nothing():
    old, new = (pod(container("app"), inits=(container("i", image=i),)) for i in ("busybox:1.28", "busybox:2"))
    assert decide(given(new, *running(old, "i"))).actions == ()
    assert decide(given(new, exited(old, "i"), *running(old, "app"))).actions == ()


@pytest.mark.parametrize("change", [{"env": [{"name": "A", "value": "b"}]}, {"command": ["true"]}])
def test_other_changes_restart_nothing(change: dict[str, Any]):
    old, new = pod(container("app")), pod(container("app", **change))
    assert decide(given(new, *running(old, "app"))).actions == ()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("there", [None, Run.CREATED, Run.EXITED])
def test_nothing_starts_once_a_pod_is_deleted(policy: str, there: Run | None):
    p = deleted(pod(container("app"), marked("side"), inits=(native("n"),), policy=policy))
    instances = [] if there is None else [state(p, name, there) for name in ("n", "side", "app")]
    assert started(p, *instances) == []


def test_a_native_sidecar_that_restarts_while_no_app_runs_holds_the_apps_back():
    """The trap of kuberuntime_container.go: with all apps down and a sidecar not started, the pod initializes anew."""
    p = pod(container("app"), inits=(native("s", startupProbe=EXEC),), policy="Always")
    (side,), down = running(p, "s"), exited(p, "app", 1)
    assert started(p, side, down) == []
    assert started(p, side, down, verdicts={side.id: Verdicts(started=True)}) == ["app"]
    assert started(p, side, *running(p, "app")) == []


# --- sandboxes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "codes", "again"),
    [
        ("Always", (0, 0), True),
        ("OnFailure", (0, 1), True),
        ("OnFailure", (0, 0), False),
        ("Never", (1, 1), False),
    ],
)
def test_a_lost_sandbox_is_made_again_if_anything_is_to_run_in_it(policy: str, codes: tuple[int, int], again: bool):
    p = pod(container("a"), container("b"), policy=policy)
    ended = [exited(p, name, code) for name, code in zip("ab", codes, strict=True)]
    decision = decide(given(p, *ended, sandboxes=(sandbox(2, ready=False),)))
    assert (CreateSandbox(attempt=3) in decision.actions) is again
    assert (decision.record.ending is None) is again


def test_in_a_new_sandbox_an_app_that_has_succeeded_for_good_stays_ended():
    p = pod(container("a"), container("b"), inits=(container("init"),), policy="OnFailure")
    dead = (exited(p, "a", 0), exited(p, "b", 137), exited(p, "init"))
    new = (sandbox(1), sandbox(0, ready=False))
    assert started(p, *dead, sandboxes=new) == ["init"]
    init = exited(p, "init", attempt=1, sandbox_id=new[0].id)
    assert started(p, init, *dead, sandboxes=new) == ["b"]


def test_sidecars_and_init_containers_run_again_in_a_new_sandbox():
    p = pod(container("app"), marked("m"), inits=(container("i"), native("n")), policy="Always")
    new = (sandbox(1), sandbox(0, ready=False))
    dead = [exited(p, name, 0) for name in ("i", "n", "m", "app")]
    order = []
    for name in ("i", "n", "m", "app"):
        order += started(p, *dead, sandboxes=new)
        run = Run.EXITED if name == "i" else Run.RUNNING
        dead.insert(0, state(p, name, run, attempt=1, sandbox_id=new[0].id))
    assert order == ["i", "n", "m", "app"]


def test_what_runs_without_its_sandbox_is_stopped_once():
    p = pod(container("app"), policy="Always")
    lost = (sandbox(ready=False),)
    first = decide(given(p, *running(p, "app"), sandboxes=lost))
    assert [(e.reason, e.message) for e in first.events] == [("Killing", "Stopping container app")]
    later = decide(given(p, *running(p, "app"), sandboxes=lost, record=first.record, when=101))
    assert (later.events, later.record.stops) == ((), first.record.stops)


def test_a_new_sandbox_waits_for_what_is_still_in_flight():
    pull = PullImage(key="app", image="busybox:1.28", policy="Always", attempt=0)
    assert decide(given(ALWAYS, sandboxes=(), in_flight={"app": pull})).actions == ()
    assert decide(given(ALWAYS, sandboxes=(), in_flight={"": CreateSandbox(attempt=0)})).actions == ()


# --- back-off ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "due"), [(0, 99), (10, 109), (20, 119), (40, 139), (80, 179), (160, 259), (300, 399), (9000, 399)]
)
@pytest.mark.parametrize("code", [0, 1])
def test_the_label_says_how_long_to_wait(label: int, due: int, code: int):
    down = exited(ALWAYS, "app", code, start=98, end=99, backoff_seconds=label)
    if due > 100:
        early = decide(given(ALWAYS, down))
        assert (starts(early), early.wake_at) == ([], at(due))
    assert started(ALWAYS, down, when=due) == ["app"]


def test_a_container_that_ran_ten_minutes_and_one_second_begins_anew():
    for seconds, expected in ((600, []), (601, ["app"])):
        down = exited(ALWAYS, "app", 1, start=0, end=seconds, backoff_seconds=300)
        assert started(ALWAYS, down, when=seconds + 1) == expected


def test_a_new_image_begins_anew():
    down = exited(pod(container("app", image="busybox:1"), policy="Always"), "app", 1, end=99, backoff_seconds=300)
    assert started(ALWAYS, down) == ["app"]


@pytest.mark.parametrize("cause", ["liveness", "startup", "definition", "resize", "sandbox", "unknown"])
def test_what_vkprovider_stopped_itself_does_not_back_off(cause: str):
    record = msgspec.structs.replace(stopped("app", cause=cause), ending=None)
    down = exited(ALWAYS, "app", 143, end=99, backoff_seconds=300)
    assert started(ALWAYS, down, record=record) == ["app"]


def test_the_next_label():
    image = PodMemory(volumes_ready=True, images={"app": ImageReady(attempt=6, image="busybox:1.28", image_id="i")})
    ran_long = exited(ALWAYS, "app", 1, attempt=5, start=0, end=700, backoff_seconds=300)
    (start,) = decide(given(ALWAYS, ran_long, when=700, memory=image)).actions
    assert isinstance(start, StartContainer)
    assert (start.attempt, start.backoff_seconds) == (6, 10)


def test_a_container_that_never_ran_backs_off_as_one_that_crashed():
    image = PodMemory(volumes_ready=True, images={"app": ImageReady(attempt=1, image="busybox:1.28", image_id="i")})
    dead = exited(ALWAYS, "app", 128, end=99, backoff_seconds=20, start_error="no")
    dead = msgspec.structs.replace(dead, started_at=None)
    (start,) = decide(given(ALWAYS, dead, when=119, memory=image)).actions
    assert isinstance(start, StartContainer)
    assert start.backoff_seconds == 40


def test_a_back_off_is_told_once():
    down = exited(ALWAYS, "app", 1, attempt=1, start=98, end=99, backoff_seconds=10)
    first = decide(given(ALWAYS, down))
    (event,) = first.events
    assert (event.type, event.reason) == ("Warning", "BackOff")
    assert event.message == "Back-off restarting failed container app in pod p_default(u)"
    assert event.field_path == "spec.containers{app}"
    assert decide(given(ALWAYS, down, memory=first.memory, when=101)).events == ()


# --- what fails is not tried again at once -----------------------------------------------------------------------


def failing(of: Pod, failure: Any, *instances: ContainerState, **more: Any) -> tuple[Decision, PodView]:
    """The decision at the failure, and the next look without news."""
    first = decide(given(of, *instances, when=100, news=(failure,), **more))
    return first, given(of, *instances, when=100, memory=first.memory, record=first.record)


@pytest.mark.parametrize(
    ("reason", "wait"),
    [
        ("ErrImagePull", 10),
        ("InvalidImageName", 10),
        ("ErrImageNeverPull", 10),
        ("CreateContainerConfigError", 10),
        ("CreateContainerError", 10),
        ("RunContainerError", 10),
    ],
)
def test_a_failed_start_waits(reason: str, wait: int):
    p = pod(container("app"))
    failed = StartFailed(key="app", attempt=0, reason=reason, message="no", image="busybox:1.28")
    first, later = failing(p, failed)
    assert (starts(first), starts(decide(later))) == ([], [])
    assert starts(decide(msgspec.structs.replace(later, now=at(100 + wait)))) == ["app"]


def test_a_start_that_leaves_its_container_as_it_was_waits_as_well():
    p = pod(container("app"))
    failed = StartFailed(key="app", attempt=0, reason="RunContainerError", message="no")
    first, later = failing(p, failed, state(p, "app", Run.CREATED))
    assert (first.actions, first.wake_at) == ((), at(110))
    assert published(first, "app")["state"]["waiting"]["reason"] == "RunContainerError"
    assert starts(decide(msgspec.structs.replace(later, now=at(110)))) == ["app"]


def test_a_start_whose_container_shows_the_error_is_a_crash():
    failed = StartFailed(key="app", attempt=0, reason="RunContainerError", message="no")
    dead = exited(ALWAYS, "app", 128, start=99, start_error="no")
    first, _ = failing(ALWAYS, failed, dead)
    assert starts(first) == ["app"]
    assert published(first, "app")["lastState"]["terminated"]["reason"] == "StartError"


def test_pulls_back_off_longer_and_longer_up_to_five_minutes():
    p, memory, waits, now = pod(container("app")), PodMemory(volumes_ready=True), [], 0.0
    failed = StartFailed(key="app", attempt=0, reason="ErrImagePull", message="no", image="busybox:1.28")
    for _ in range(8):
        memory = decide(given(p, when=now, news=(failed,), memory=memory)).memory
        retry_at = memory.failures["app"].retry_at
        waits.append((retry_at - at(now)).total_seconds())
        now = (retry_at - at(0)).total_seconds()
    assert waits == [10, 20, 40, 80, 160, 300, 300, 300]


def test_an_engine_that_does_not_answer_is_asked_again_after_a_second():
    p = pod(container("app"))
    first, later = failing(p, ActionFailed(key="app", action="StartContainer", message="timed out"))
    assert (starts(first), first.wake_at) == ([], at(101))
    assert starts(decide(msgspec.structs.replace(later, now=at(101)))) == ["app"]


@pytest.mark.parametrize("grace", [30, 0])
def test_a_signal_that_failed_is_sent_again_after_a_second(grace: int):
    p = deleted(pod(container("app")), grace=grace, when=100)
    (app,) = running(p, "app")
    failed = ActionFailed(key="app", action="SignalContainer", message="permission denied")
    first, later = failing(p, failed, app)
    assert (first.actions, first.wake_at) == ((), at(101))
    (again,) = decide(msgspec.structs.replace(later, now=at(101))).actions
    assert again == SignalContainer(key="app", container_id=app.id, signal="KILL" if grace == 0 else "")


def test_a_removal_that_failed_is_tried_again_after_a_second():
    p = ALWAYS
    instances = (state(p, "app", attempt=2), exited(p, "app", attempt=1), exited(p, "app", attempt=0))
    failed = ActionFailed(key="app", action="RemoveContainer", message="device or resource busy")
    first, later = failing(p, failed, *instances)
    assert (first.actions, first.wake_at) == ((), at(101))
    (again,) = decide(msgspec.structs.replace(later, now=at(101))).actions
    assert again == RemoveContainer(key="app", container_id=instances[2].id)
