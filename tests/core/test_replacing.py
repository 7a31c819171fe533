"""A container that is replaced by one of another image, or after a failed probe: what is done for it while the old run
goes on, and what is published until the new one is up.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.given import at, container, deleted, exited, given, marked, native, pod, pulled, running, state
from tests.core.told import EXEC, published, signals
from vkprovider.core.actions import Decision, HookFailed, PullDone, PullImage, RunHook, StartContainer, StartFailed
from vkprovider.core.decide import decide
from vkprovider.core.record import PodMemory, PodRecord
from vkprovider.core.view import Verdicts
from vkprovider.model.observed import ContainerState, Run
from vkprovider.model.pod import Pod
from vkprovider.model.probe import LifecycleHandler

POLICIES = ("Always", "OnFailure", "Never")
FIELDS: dict[str, Any] = {"readinessProbe": EXEC, "lifecycle": {"postStart": EXEC}}


HAD = PullDone(key="app", image="busybox:2", attempt=1, image_id="sha256:2")
MISSING = StartFailed(key="app", attempt=1, reason="ErrImagePull", message="no such image", image="busybox:2")


def of(image: str, policy: str = "Never") -> Pod:
    return pod(container("app", image=image, **FIELDS), container("other"), policy=policy)


def new_instance(of: Pod, run: Run, **more: Any) -> ContainerState:
    return state(of, "app", run, attempt=1, start=102, **more)


class Replacement:
    """A pod whose app is replaced, look by look."""

    def __init__(self, policy: str = "Never") -> None:
        self.old, self.new = of("busybox:1", policy), of("busybox:2", policy)
        self.app, self.other = running(self.old, "app", "other")
        self.verdicts = {self.app.id: Verdicts(ready=True)}
        self.record = PodRecord(start_time=at(0), hooks=("app-0/PostStart",))
        self.memory = PodMemory(volumes_ready=True)
        self.bringing = self.look(self.app)
        self.stopping = self.look(self.app, news=(HAD,))
        self.dead = exited(self.old, "app", 143, end=101)

    def look(self, *instances: ContainerState, of: Pod | None = None, **more: Any) -> Decision:
        fields = {"when": 102, "record": self.record, "memory": self.memory, "verdicts": self.verdicts} | more
        decision = decide(given(of or self.new, *instances, self.other, **fields))
        self.record, self.memory = decision.record, decision.memory
        return decision


def is_as_before(decision: Decision) -> bool:
    shown = published(decision, "app")
    conditions = {c["type"]: c["status"] for c in decision.status["conditions"]}
    assert (shown["state"], shown["lastState"]) == ({"running": {"startedAt": "2026-01-01T12:00:00Z"}}, {})
    assert (shown["image"], shown["containerID"], shown["restartCount"]) == ("busybox:1", "docker://app-0", 0)
    assert (shown["ready"], shown["started"]) == (True, True)
    assert conditions["Ready"] == conditions["ContainersReady"] == "True"
    return decision.status["phase"] == "Running"


@pytest.mark.parametrize("policy", POLICIES)
def test_the_old_run_stands_until_the_new_one_is_up(policy: str):
    steps = Replacement(policy)
    assert [(a.key, type(a)) for a in steps.bringing.actions] == [("app", PullImage)]
    assert [e.reason for e in steps.bringing.events] == []
    assert is_as_before(steps.bringing)
    killing = [e.message for e in steps.stopping.events if e.reason == "Killing"]
    assert killing == ["Container app definition changed, will be restarted"]
    assert signals(steps.stopping) == [("app", "TERM")]
    assert is_as_before(steps.stopping)
    ended = steps.look(steps.dead)
    (start,) = ended.actions
    assert isinstance(start, StartContainer)
    assert start.image_id == "sha256:2"
    assert is_as_before(ended)
    assert is_as_before(steps.look(steps.dead, in_flight={"app": start}))
    created = new_instance(steps.new, Run.CREATED)
    assert is_as_before(steps.look(created, steps.dead, in_flight={"app": start}))
    fresh = new_instance(steps.new, Run.RUNNING)
    begun = steps.look(fresh, steps.dead)
    (hook,) = begun.actions
    assert isinstance(hook, RunHook)
    assert is_as_before(begun)
    assert is_as_before(steps.look(fresh, steps.dead, in_flight={"app": hook}))
    up = published(steps.look(fresh, steps.dead), "app")
    assert (up["image"], up["containerID"], up["restartCount"]) == ("busybox:2", "docker://app-1", 1)
    assert up["lastState"]["terminated"]["exitCode"] == 143
    assert (up["started"], up["ready"]) == (True, False)


def test_an_image_that_cannot_be_had_costs_nobody_a_life():
    """Risky otherwise: a kubelet has stopped the old run by then, and shows that it waits."""
    steps = Without()
    assert is_as_before(steps.failed)
    assert steps.failed.actions == ()
    told = [e.message for e in steps.failed.events]
    assert told == ['Failed to pull image "busybox:2": no such image', "Error: ErrImagePull"]
    assert [(a.key, type(a)) for a in steps.look(steps.app, when=113).actions] == [("app", PullImage)]


class Without(Replacement):
    """One whose image cannot be had: at 102 s, with the next try at 112 s."""

    def __init__(self, policy: str = "Never") -> None:
        super().__init__(policy)
        self.record, self.memory = PodRecord(start_time=at(0), hooks=self.record.hooks), PodMemory(volumes_ready=True)
        self.look(self.app)
        self.failed = self.look(self.app, news=(MISSING,))


def test_the_next_image_is_tried_at_once():
    steps, third = Without(), of("busybox:3")
    (pull,) = steps.look(steps.app, of=third, when=103).actions
    assert isinstance(pull, PullImage)
    assert pull.image == "busybox:3"


def test_an_image_that_nobody_wants_any_more_is_not_waited_for():
    steps, third = Without(), of("busybox:3")
    (pull,) = steps.look(steps.app, when=113).actions
    assert steps.look(steps.app, of=third, when=114, in_flight={"app": pull}).cancel == {"app"}
    assert steps.look(steps.app, of=steps.old, when=114).memory.failures == {}
    assert steps.look(steps.app, of=steps.old, when=115).actions == ()


@pytest.mark.parametrize("policy", ["Always", "Never"])
def test_what_ends_by_itself_while_its_new_image_cannot_be_had(policy: str):
    steps = Without(policy)
    shown = published(steps.look(exited(steps.old, "app", 3, end=103), when=103), "app")
    kind, why = next(iter(shown["state"].items()))
    assert (kind, why["reason"]) == (("waiting", "ImagePullBackOff") if policy == "Always" else ("terminated", "Error"))


def test_what_ends_for_good_is_not_waited_for_either():
    steps = Replacement()
    (pull,) = steps.bringing.actions
    steps.record, steps.memory = PodRecord(start_time=at(0), hooks=steps.record.hooks), PodMemory(volumes_ready=True)
    assert steps.look(exited(steps.old, "app", 0), in_flight={"app": pull}).cancel == {"app"}


def test_nobody_waits_for_the_image_of_a_later_run():
    steps = Replacement("Always")
    (pull,) = steps.bringing.actions
    steps.other, steps.memory = exited(steps.old, "other", 1, end=101), PodMemory(volumes_ready=True)
    steps.record = PodRecord(start_time=at(0), hooks=steps.record.hooks)
    assert [a.key for a in steps.look(steps.app, in_flight={"app": pull}).actions] == ["other"]


def test_an_end_does_not_wait_for_an_image():
    steps = Without()
    assert ("app", "TERM") in signals(steps.look(steps.app, of=deleted(steps.new), when=103))
    begun = Without()
    (pull,) = begun.look(begun.app, when=113).actions
    cancelling = begun.look(begun.app, of=deleted(begun.new), when=114, in_flight={"app": pull})
    assert "app" in cancelling.cancel
    assert ("app", "TERM") in signals(begun.look(begun.app, of=deleted(begun.new), when=114))


def test_a_failed_probe_does_not_wait_for_an_image():
    steps = Without("Always")
    (pull,) = steps.look(steps.app, when=113).actions
    dead = {steps.app.id: Verdicts(ready=True, live=False)}
    assert steps.look(steps.app, when=114, in_flight={"app": pull}, verdicts=dead).cancel == {"app"}
    assert signals(steps.look(steps.app, when=114, verdicts=dead)) == [("app", "TERM")]


def test_one_that_is_not_up_yet_is_stopped_for_its_new_image_at_once():
    """Its postStart is under way: nothing that is worth keeping runs."""
    steps = Replacement()
    hook = RunHook(key="app", container_id=steps.app.id, hook="PostStart", handler=LifecycleHandler())
    steps.record, steps.memory = PodRecord(start_time=at(0), hooks=("app-0/PostStart",)), PodMemory(volumes_ready=True)
    decision = steps.look(steps.app, in_flight={"app": hook})
    assert decision.cancel == {"app"}
    assert [e.reason for e in decision.events] == ["Killing"]


def test_a_crash_of_vkprovider_in_between_shows_no_end():
    """The API server would not let it be taken back."""
    steps = Replacement()
    after = steps.look(steps.dead, memory=PodMemory(), verdicts={})
    assert published(after, "app")["state"].keys() == {"running"}
    ready = steps.look(steps.dead, memory=PodMemory(volumes_ready=True), verdicts={})
    assert [(a.key, type(a)) for a in ready.actions] == [("app", PullImage)]
    assert published(ready, "app")["state"].keys() == {"running"}


def test_a_new_run_whose_post_start_fails_is_told_and_restarted():
    steps = Replacement("Always")
    fresh = new_instance(steps.new, Run.RUNNING)
    (_hook,) = steps.look(fresh, steps.dead).actions
    failed = HookFailed(key="app", container_id=fresh.id, hook="PostStart", message="Exec lifecycle hook failed")
    stop = steps.look(fresh, steps.dead, news=(failed,))
    assert published(stop, "app")["restartCount"] == 1
    down = new_instance(steps.new, Run.EXITED, code=137, end=103, backoff_seconds=0)
    after = steps.look(down, steps.dead, when=103)
    assert published(after, "app")["state"] == {
        "waiting": {"reason": "PostStartHookError", "message": "Exec lifecycle hook failed"}
    }
    assert [a.key for a in after.actions] == ["app"]


def test_a_new_run_that_crashes_is_told():
    steps = Replacement()
    down = new_instance(steps.new, Run.EXITED, code=3, end=103)
    shown = published(steps.look(down, steps.dead, when=103), "app")
    assert shown["state"]["terminated"]["exitCode"] == 3


def test_an_end_in_between_shows_what_is():
    steps = Replacement()
    shown = published(steps.look(steps.dead, of=deleted(steps.new)), "app")
    assert shown["state"]["terminated"]["exitCode"] == 143


def test_a_native_sidecar_is_replaced_alike():
    old, new = (pod(container("app"), inits=(native("s", image=i),)) for i in ("busybox:1", "busybox:2"))
    sidecar, app = running(old, "s", "app")
    stop = decide(given(new, sidecar, app, memory=pulled(new, "s")))
    ended = decide(given(new, exited(old, "s", 143), app, record=stop.record))
    assert [a.key for a in ended.actions] == ["s"]
    assert published(ended, "s")["state"].keys() == {"running"}


@pytest.mark.parametrize("verdicts", [Verdicts(live=False), Verdicts(started=False)])
@pytest.mark.parametrize("kind", ["app", "native", "marked"])
def test_what_a_probe_had_killed_is_shown_as_running_until_its_successor_is(kind: str, verdicts: Verdicts):
    probes = {"livenessProbe": EXEC, "startupProbe": EXEC}
    p = {
        "app": pod(container("c", **probes), container("other"), policy="OnFailure"),
        "native": pod(container("other"), inits=(native("c", **probes),)),
        "marked": pod(container("other"), marked("c", **probes)),
    }[kind]
    old, other = running(p, "c", "other")
    stop = decide(given(p, old, other, verdicts={old.id: verdicts}))
    dead = exited(p, "c", 137, end=100)
    for instances in ((dead,), (state(p, "c", Run.CREATED, attempt=1, start=101), dead)):
        shown = published(decide(given(p, *instances, other, record=stop.record, when=101)), "c")
        assert (shown["state"].keys(), shown["restartCount"]) == ({"running"}, 0)
        assert shown["started"] is shown["ready"] is (verdicts.started is None)
    up = state(p, "c", attempt=1, start=101)
    shown = published(decide(given(p, up, dead, other, record=stop.record, when=101)), "c")
    assert (shown["containerID"], shown["restartCount"]) == ("docker://c-1", 1)
    assert shown["lastState"]["terminated"]["exitCode"] == 137


def test_what_a_probe_had_killed_and_has_to_wait_is_shown_as_waiting():
    p = pod(container("app", livenessProbe=EXEC, lifecycle={"postStart": EXEC}), policy="Always")
    first, old = exited(p, "app", 1, end=88), state(p, "app", attempt=1, start=90, backoff_seconds=20)
    hooks = PodRecord(start_time=at(0), hooks=("app-1/PostStart",))
    stop = decide(given(p, old, first, record=hooks, verdicts={old.id: Verdicts(live=False)}))
    dead = exited(p, "app", 137, attempt=1, start=90, end=101, backoff_seconds=20)
    down = decide(given(p, dead, first, record=stop.record, when=102))
    assert published(down, "app")["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    fresh = state(p, "app", attempt=2, start=121, backoff_seconds=40)
    hooked = decide(given(p, fresh, dead, record=stop.record, when=121))
    assert published(hooked, "app")["state"].keys() == {"waiting"}


def test_what_a_probe_had_killed_under_never_has_ended():
    p = pod(container("app", livenessProbe=EXEC), container("other"))
    app, other = running(p, "app", "other")
    stop = decide(given(p, app, other, verdicts={app.id: Verdicts(live=False)}))
    over = decide(given(p, exited(p, "app", 143), other, record=stop.record))
    assert published(over, "app")["state"]["terminated"]["exitCode"] == 143


def test_while_it_is_not_initialized_a_replaced_sidecar_holds_back_what_comes_next():
    old, new = (pod(container("app"), inits=(native("s", image=i),)) for i in ("busybox:1", "busybox:2"))
    stop = decide(given(new, *running(old, "s"), memory=pulled(new, "s")))
    assert signals(stop) == [("s", "TERM")]
    ended = decide(given(new, exited(old, "s", 143), record=stop.record))
    assert [a.key for a in ended.actions] == ["s"]


SWAPPED = {"env": [{"name": "KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT_WITH_IMAGE", "value": "exit:1"}]}


class Swap:
    """A pod of a Job whose app has ended with ``code``; OpenKruise gives the sidecar the image that makes it end."""

    def __init__(self, policy: str, code: int = 0) -> None:
        old, self.new = (
            pod(container("app"), container("tail", image=i, **SWAPPED), policy=policy) for i in ("tail:1", "exit:1")
        )
        self.app = exited(old, "app", code)
        (tail,) = running(old, "tail")
        self.before = decide(given(old, self.app, tail))
        self.stop = decide(given(self.new, self.app, tail, memory=pulled(self.new, "tail")))
        self.killed = exited(old, "tail", 137, end=101)
        self.down = self.look()

    def look(self, *instances: ContainerState) -> Decision:
        record, memory = self.stop.record, self.stop.memory
        return decide(given(self.new, self.app, *instances, self.killed, when=103, record=record, memory=memory))


@pytest.mark.parametrize(
    ("policy", "code", "phase"), [("Never", 0, "Succeeded"), ("Never", 3, "Failed"), ("OnFailure", 0, "Succeeded")]
)
def test_a_sidecar_of_a_job_gives_way_to_an_image_that_ends(policy: str, code: int, phase: str):
    steps = Swap(policy, code)
    for decision in (steps.before, steps.stop, steps.down, steps.look(state(steps.new, "tail", attempt=1, start=102))):
        assert decision.status["phase"] == "Running"
        assert published(decision, "tail")["state"].keys() == {"running"}
        assert published(decision, "app")["state"]["terminated"]["exitCode"] == code
    assert [(a.key, type(a)) for a in steps.down.actions] == [("tail", StartContainer)]
    ended = steps.look(exited(steps.new, "tail", attempt=1, start=102))
    assert ended.status["phase"] == phase
    shown = published(ended, "tail")
    assert (shown["image"], shown["restartCount"], shown["state"]["terminated"]["exitCode"]) == ("exit:1", 1, 0)


def test_an_image_that_lacks_the_sidecars_command_fails_the_pod():
    steps = Swap("Never")
    lacking = exited(steps.new, "tail", 128, attempt=1, start=102, start_error="no such file or directory")
    ended = steps.look(lacking)
    shown = published(ended, "tail")["state"]["terminated"]
    assert (shown["exitCode"], shown["reason"]) == (128, "StartError")
    assert ended.status["phase"] == "Failed"
