"""Who is started next: docs/reference/sidecars.md, "Kinds of container", and kuberuntime_container.go 1.4."""

from __future__ import annotations

import msgspec
import pytest

from tests.core.given import (
    MARK,
    SANDBOX,
    container,
    exited,
    given,
    marked,
    native,
    pod,
    pulled,
    running,
    sandbox,
    state,
)
from vkprovider.core.actions import (
    CreateSandbox,
    PrepareVolumes,
    PullImage,
    RemoveContainer,
    RemoveSandbox,
    RunHook,
    SignalContainer,
    StartContainer,
)
from vkprovider.core.decide import decide
from vkprovider.core.record import ImageReady, PodMemory
from vkprovider.core.view import PodView, Verdicts
from vkprovider.model.observed import Run
from vkprovider.model.refs import ContainerID

EXEC = {"exec": {"command": ["true"]}}


def starts(view: PodView) -> list[str]:
    """The containers a decision begins to start, with the pull that comes first."""
    return [a.key for a in decide(view).actions if isinstance(a, PullImage | StartContainer)]


def test_volumes_then_sandbox_come_before_anything():
    p = pod(container("app"))
    assert decide(given(p, sandboxes=(), memory=PodMemory())).actions == (PrepareVolumes(),)
    assert decide(given(p, sandboxes=())).actions == (CreateSandbox(attempt=0),)


def test_an_image_is_pulled_then_the_container_started():
    p = pod(container("app", imagePullPolicy="Always"))
    (pull,) = decide(given(p)).actions
    assert pull == PullImage(key="app", image="busybox:1.28", policy="Always", attempt=0)
    ready = PodMemory(volumes_ready=True, images={"app": ImageReady(attempt=0, image="busybox:1.28", image_id="i")})
    (start,) = decide(given(p, memory=ready)).actions
    assert start == StartContainer(key="app", attempt=0, sandbox_id=SANDBOX, image_id="i", backoff_seconds=0)


def test_a_container_has_the_runtime_of_its_sandbox():
    ready = PodMemory(volumes_ready=True, images={"app": ImageReady(attempt=0, image="busybox:1.28", image_id="i")})
    slow = msgspec.structs.replace(sandbox(), runtime="slow")
    (start,) = decide(given(pod(container("app")), sandboxes=(slow,), memory=ready)).actions
    assert isinstance(start, StartContainer)
    assert start.runtime == "slow"


MIXED = pod(
    container("app1"),
    marked("m1"),
    container("app2"),
    marked("m2"),
    inits=(container("init"), native("native")),
)


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ([], ["init"]),
        (["-init"], ["native"]),
        (["-init", "native"], ["m1"]),
        (["-init", "native", "m1"], ["m2"]),
        (["-init", "native", "m1", "m2"], ["app1"]),
        (["-init", "native", "m1", "m2", "app1"], ["app2"]),
        (["-init", "native", "m1", "m2", "app1", "app2"], []),
    ],
)
def test_the_start_order_of_a_mixed_pod(there: list[str], expected: list[str]):
    instances = [exited(MIXED, n[1:]) if n.startswith("-") else state(MIXED, n) for n in there]
    assert starts(given(MIXED, *instances)) == expected


def test_a_startup_probe_of_a_sidecar_holds_the_apps_back():
    p = pod(container("app"), marked("side", startupProbe=EXEC))
    side = running(p, "side")
    assert starts(given(p, *side)) == []
    assert starts(given(p, *side, verdicts={side[0].id: Verdicts(started=True)})) == ["app"]


def test_readiness_does_not_hold_the_apps_back():
    p = pod(container("app"), native_side := marked("side", readinessProbe=EXEC))
    assert native_side["name"] == "side"
    assert starts(given(p, *running(p, "side"))) == ["app"]


def test_post_start_runs_once_and_holds_the_next_one_back():
    p = pod(container("app"), inits=(native("side", lifecycle={"postStart": EXEC}),))
    view = given(p, *running(p, "side"))
    first = decide(view)
    (hook,) = first.actions
    assert isinstance(hook, RunHook)
    assert first.record.hooks == ("side-0/PostStart",)
    during = msgspec.structs.replace(view, record=first.record, in_flight={"side": hook})
    assert decide(during).actions == ()
    assert starts(msgspec.structs.replace(view, record=first.record)) == ["app"]


def test_a_waiting_app_shows_that_the_pod_initializes():
    p = pod(container("app"), marked("side"))
    (app, side) = decide(given(p)).status["containerStatuses"]
    assert app["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert side["state"] == {"waiting": {"reason": "ContainerCreating"}}


@pytest.mark.parametrize("policy", ["Never", "OnFailure", "Always"])
@pytest.mark.parametrize("kind", ["marked", "native"])
def test_an_ended_sidecar_is_started_again_under_every_policy(policy: str, kind: str):
    sides = {"marked": pod(container("app"), marked("side"), policy=policy)}
    sides["native"] = pod(container("app"), inits=(native("side"),), policy=policy)
    p = sides[kind]
    view = given(p, *running(p, "app"), exited(p, "side", 3))
    assert starts(view) == ["side"]


def test_the_second_restart_waits_for_the_back_off_in_the_label():
    p = pod(container("app"), marked("side"))
    dead = exited(p, "side", 1, attempt=1, start=95, end=96, backoff_seconds=10)
    view = given(p, *running(p, "app"), dead, when=100)
    decision = decide(view)
    assert decision.actions == ()
    assert decision.wake_at is not None
    assert (decision.wake_at - view.now).total_seconds() == 6
    (_, side) = decision.status["containerStatuses"]
    message = "back-off 10s restarting failed container=side pod=p_default(u)"
    assert side["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
    assert side["lastState"]["terminated"]["exitCode"] == 1
    assert side["restartCount"] == 1
    assert [(e.reason, e.type) for e in decision.events] == [("BackOff", "Warning")]
    assert starts(given(p, *running(p, "app"), dead, when=106)) == ["side"]


def test_labels_double_the_back_off_up_to_five_minutes():
    p = pod(container("app"), marked("side"))
    seen = []
    for attempt, label in enumerate((0, 10, 20, 160, 300)):
        dead = exited(p, "side", 1, attempt=attempt, start=1, end=2, backoff_seconds=label)
        image = ImageReady(attempt=attempt + 1, image="busybox:1.28", image_id="i")
        memory = PodMemory(volumes_ready=True, images={"side": image})
        (start,) = decide(given(p, *running(p, "app"), dead, when=1000, memory=memory)).actions
        assert isinstance(start, StartContainer)
        seen.append(start.backoff_seconds)
    assert seen == [10, 20, 40, 300, 300]


def test_a_container_that_ran_ten_minutes_starts_over():
    p = pod(container("app"), marked("side"))
    dead = exited(p, "side", 1, attempt=5, start=0, end=700, backoff_seconds=300)
    assert starts(given(p, *running(p, "app"), dead, when=701)) == ["side"]


def test_a_created_container_is_taken_up_not_doubled():
    p = pod(container("app"))
    image = ImageReady(attempt=0, image="busybox:1.28", image_id="i")
    memory = PodMemory(volumes_ready=True, images={"app": image})
    (start,) = decide(given(p, state(p, "app", Run.CREATED), memory=memory)).actions
    assert isinstance(start, StartContainer)
    assert start.attempt == 0


def test_init_containers_before_one_with_a_record_are_over():
    p = pod(container("app"), inits=(container("one"), container("two")))
    assert starts(given(p, exited(p, "two"))) == ["app"]


def test_a_failed_init_container_is_retried_unless_never():
    p = pod(container("app"), inits=(container("init"),), policy="OnFailure")
    assert starts(given(p, exited(p, "init", 1))) == ["init"]


def test_apps_start_one_after_the_other_and_a_failed_one_does_not_stop_the_next():
    p = pod(container("a"), container("b"))
    pull = PullImage(key="a", image="busybox:1.28", policy="IfNotPresent", attempt=0)
    assert starts(given(p, in_flight={"a": pull})) == []
    from vkprovider.core.actions import StartFailed  # noqa: PLC0415

    news = (StartFailed(key="a", attempt=0, reason="ErrImagePull", message="no", image="busybox:1.28"),)
    assert starts(given(p, news=news)) == ["b"]


def test_launch_priorities_wait_for_readiness():
    first = {"name": "ECI_CONTAINER_LAUNCH_PRIORITY", "value": "100"}
    p = pod(container("late"), container("early", env=[first], readinessProbe=EXEC))
    assert starts(given(p)) == ["early"]
    early = running(p, "early")
    assert starts(given(p, *early)) == []
    assert starts(given(p, *early, verdicts={early[0].id: Verdicts(ready=True)})) == ["late"]


def test_marked_sidecars_of_equal_priority_start_together():
    low, high = ({"name": "ECI_CONTAINER_LAUNCH_PRIORITY", "value": v} for v in ("1", "5"))
    p = pod(container("app"), marked("a", env=[low]), marked("b", env=[high]), marked("c", env=[high]))
    assert starts(given(p)) == ["b", "c"]
    assert starts(given(p, *running(p, "b", "c"))) == ["a"]


def test_marked_sidecars_with_priorities_wait_for_readiness():
    low, high = ({"name": "ECI_CONTAINER_LAUNCH_PRIORITY", "value": v} for v in ("1", "5"))
    p = pod(container("app"), marked("a", env=[low]), marked("b", env=[high], readinessProbe=EXEC))
    b = running(p, "b")
    assert starts(given(p, *b)) == []
    assert starts(given(p, *b, verdicts={b[0].id: Verdicts(ready=True)})) == ["a"]


def test_a_changed_image_replaces_a_running_container_even_under_never():
    old = pod(container("app"), container("other"))
    new = pod(container("app", image="busybox:2"), container("other"))
    instances = running(old, "app", "other")
    decision = decide(given(new, *instances, memory=pulled(new, "app")))
    assert decision.actions == (SignalContainer(key="app", container_id=ContainerID("app-0"), signal=""),)
    assert decision.events[0].message == "Container app definition changed, will be restarted"
    dead = exited(old, "app", 143)
    assert starts(given(new, dead, instances[1], record=decision.record)) == ["app"]


def test_old_instances_and_sandboxes_are_pruned():
    p = pod(container("app"), policy="Always")
    instances = (state(p, "app", attempt=2), exited(p, "app", attempt=1), exited(p, "app", attempt=0))
    decision = decide(given(p, *instances, sandboxes=(sandbox(1), sandbox(0, ready=False))))
    assert RemoveContainer(key="app", container_id=ContainerID("app-0")) in decision.actions
    assert RemoveSandbox(sandbox_id=ContainerID("sandbox-0")) in decision.actions


def test_a_lost_sandbox_runs_init_again_in_full():
    p = pod(container("app"), inits=(container("init"),), policy="Always")
    dead = (exited(p, "app", 137), exited(p, "init"))
    decision = decide(given(p, *dead, sandboxes=(sandbox(ready=False),)))
    assert decision.actions == (CreateSandbox(attempt=1),)
    assert [e.reason for e in decision.events] == ["SandboxChanged"]
    assert starts(given(p, *dead, sandboxes=(sandbox(1), sandbox(0, ready=False)))) == ["init"]


def test_a_sandbox_that_is_still_being_made_is_not_a_lost_one():
    p = pod(container("app"))
    making = {"": CreateSandbox(attempt=0)}
    decision = decide(given(p, sandboxes=(sandbox(ready=False),), in_flight=making))
    assert (decision.actions, decision.events) == ((), ())


def test_a_lost_sandbox_stops_what_still_runs_first():
    p = pod(container("app"), policy="Always")
    decision = decide(given(p, *running(p, "app"), sandboxes=(sandbox(ready=False),)))
    assert decision.actions == (SignalContainer(key="app", container_id=ContainerID("app-0"), signal=""),)


def test_a_lost_sandbox_ends_a_pod_that_may_not_run_again():
    p = pod(container("app"))
    decision = decide(given(p, exited(p, "app", 137), sandboxes=(sandbox(ready=False),)))
    assert decision.record.ending is not None
    assert decision.status["phase"] == "Failed"


def test_marks_are_ignored_where_no_app_would_be_left():
    p = pod(marked("a"), container("b", env=[MARK]))
    decision = decide(given(p))
    assert [e.reason for e in decision.events] == ["SidecarMarkIgnored"]
    assert starts(given(p)) == ["a"]
    again = given(p, memory=decision.memory)
    assert decide(again).events == ()
