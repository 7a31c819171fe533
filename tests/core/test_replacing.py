"""A container that is replaced by one of another image: what is published until the new one is up."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.given import at, container, deleted, exited, given, native, pod, running, state
from tests.core.told import EXEC, published
from vkprovider.core.actions import Decision, HookFailed, PullImage, RunHook, StartContainer, StartFailed
from vkprovider.core.decide import decide
from vkprovider.core.record import PodMemory, PodRecord
from vkprovider.core.view import Verdicts
from vkprovider.model.observed import ContainerState, Run
from vkprovider.model.pod import Pod

POLICIES = ("Always", "OnFailure", "Never")
FIELDS: dict[str, Any] = {"readinessProbe": EXEC, "lifecycle": {"postStart": EXEC}}


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
        self.stopping = self.look(self.app)
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
    assert [e.message for e in steps.stopping.events] == ["Container app definition changed, will be restarted"]
    assert is_as_before(steps.stopping)
    ended = steps.look(steps.dead)
    (pull,) = ended.actions
    assert isinstance(pull, PullImage)
    assert is_as_before(ended)
    assert is_as_before(steps.look(steps.dead, in_flight={"app": pull}))
    created = new_instance(steps.new, Run.CREATED)
    start = StartContainer(key="app", attempt=1, sandbox_id=created.sandbox_id, image_id="i", backoff_seconds=0)
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


def test_an_image_that_cannot_be_had_is_told():
    steps = Replacement()
    failed = StartFailed(key="app", attempt=1, reason="ErrImagePull", message="no such image", image="busybox:2")
    shown = published(steps.look(steps.dead, news=(failed,)), "app")
    assert shown["state"]["waiting"]["reason"] == "ErrImagePull"
    assert shown["lastState"]["terminated"]["exitCode"] == 143
    assert shown["ready"] is False


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
    stop = decide(given(new, sidecar, app))
    ended = decide(given(new, exited(old, "s", 143), app, record=stop.record))
    assert [a.key for a in ended.actions] == ["s"]
    assert published(ended, "s")["state"].keys() == {"running"}


def test_while_it_is_not_initialized_a_replaced_sidecar_holds_back_what_comes_next():
    old, new = (pod(container("app"), inits=(native("s", image=i),)) for i in ("busybox:1", "busybox:2"))
    stop = decide(given(new, *running(old, "s")))
    ended = decide(given(new, exited(old, "s", 143), record=stop.record))
    assert [a.key for a in ended.actions] == ["s"]
