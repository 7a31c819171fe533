"""The phase: kubelet_pods.go getPhase row by row, with marked sidecars left out of it as native ones are."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.given import (
    at,
    container,
    deleted,
    exited,
    given,
    marked,
    native,
    pod,
    running,
    sandbox,
    state,
)
from tests.core.told import EXEC
from vkprovider.core.actions import PullImage, StartContainer
from vkprovider.core.decide import decide
from vkprovider.core.record import Ending, PodRecord
from vkprovider.core.view import Verdicts
from vkprovider.model.observed import ContainerState, Run
from vkprovider.model.pod import Pod

POLICIES = ("Never", "OnFailure", "Always")


def phase(of: Pod, *instances: ContainerState, **more: Any) -> str:
    return str(decide(given(of, *instances, **more)).status["phase"])


# --- while the pod lives -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_a_pod_is_pending_until_every_app_has_run(policy: str):
    p = pod(container("a"), container("b"), policy=policy)
    (a,) = running(p, "a")
    assert phase(p, sandboxes=()) == "Pending"
    assert phase(p) == "Pending"
    assert phase(p, state(p, "a", Run.CREATED)) == "Pending"
    assert phase(p, a) == "Pending"
    assert phase(p, a, state(p, "b", Run.CREATED)) == "Pending"
    assert phase(p, a, *running(p, "b")) == "Running"


@pytest.mark.parametrize("run", [Run.PAUSED, Run.UNKNOWN])
def test_what_may_run_counts_as_running(run: Run):
    p = pod(container("app"))
    assert phase(p, state(p, "app", run)) == "Running"


@pytest.mark.parametrize("policy", POLICIES)
def test_init_containers_keep_a_pod_pending(policy: str):
    p = pod(container("app"), inits=(container("one"), container("two")), policy=policy)
    assert phase(p, *running(p, "one")) == "Pending"
    assert phase(p, exited(p, "one")) == "Pending"
    assert phase(p, exited(p, "one"), *running(p, "two")) == "Pending"


@pytest.mark.parametrize(("policy", "expected"), [("Never", "Failed"), ("OnFailure", "Pending"), ("Always", "Pending")])
def test_a_failed_init_container(policy: str, expected: str):
    p = pod(container("app"), inits=(container("init"),), policy=policy)
    assert phase(p, exited(p, "init", 1)) == expected
    assert phase(p, exited(p, "init", 0, oom_killed=True)) == expected


def test_a_native_sidecar_counts_until_it_has_started():
    p = pod(container("app"), inits=(native("side", startupProbe=EXEC),))
    side, app = running(p, "side", "app")
    started = {side.id: Verdicts(started=True)}
    assert phase(p, side) == "Pending"
    assert phase(p, side, verdicts=started) == "Pending"
    assert phase(p, side, app, verdicts=started) == "Running"
    assert phase(p, side, app) == "Running"  # a later start of it does not count while an app runs


@pytest.mark.parametrize("kind", ["marked", "native"])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_sidecar_that_is_down_is_no_concern_of_the_phase(kind: str, policy: str):
    p = pod(container("app"), marked("s"), policy=policy)
    if kind == "native":
        p = pod(container("app"), inits=(native("s"),), policy=policy)
    down = exited(p, "s", 1, attempt=1, start=90, end=99, backoff_seconds=10)
    assert phase(p, *running(p, "app"), down) == "Running"


def test_a_marked_sidecar_that_cannot_start_leaves_the_pod_pending():
    p = pod(container("app"), marked("side"))
    assert phase(p) == "Pending"
    assert phase(p, *running(p, "side")) == "Pending"


@pytest.mark.parametrize(
    ("policy", "codes", "expected"),
    [
        ("Always", (0, 0), "Running"),
        ("Always", (1, 1), "Running"),
        ("OnFailure", (0, 0), "Succeeded"),
        ("OnFailure", (0, 1), "Running"),
        ("Never", (0, 0), "Succeeded"),
        ("Never", (0, 1), "Failed"),
        ("Never", (1, 1), "Failed"),
    ],
)
def test_when_all_apps_have_ended(policy: str, codes: tuple[int, int], expected: str):
    p = pod(container("a"), container("b"), policy=policy)
    ended = [exited(p, name, code, start=90, end=99) for name, code in zip("ab", codes, strict=True)]
    assert phase(p, *ended) == expected


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("code", [0, 1])
def test_an_app_that_runs_keeps_the_pod_running(policy: str, code: int):
    p = pod(container("a"), container("b"), policy=policy)
    assert phase(p, exited(p, "a", code), *running(p, "b")) == "Running"


def test_a_crash_loop_is_running():
    p = pod(container("app"), policy="Always")
    assert phase(p, exited(p, "app", 1, attempt=3, start=90, end=99, backoff_seconds=40)) == "Running"


def test_after_a_lost_sandbox_a_pod_that_initializes_again_is_pending():
    p = pod(container("app"), inits=(container("init"),), policy="Always")
    dead = (exited(p, "app", 137), exited(p, "init"))
    new = (sandbox(1), sandbox(0, ready=False))
    assert phase(p, *dead, sandboxes=new) == "Pending"
    again = state(p, "init", attempt=1, sandbox_id=new[0].id)
    assert phase(p, again, *dead, sandboxes=new) == "Pending"


# --- at the end of the pod ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("codes", "expected"), [((0, 0), "Succeeded"), ((0, 143), "Failed"), ((137, 143), "Failed")])
def test_a_deleted_pod_has_succeeded_if_every_app_ended_well(policy: str, codes: tuple[int, int], expected: str):
    p = deleted(pod(container("a"), container("b"), policy=policy))
    ended = [exited(p, name, code) for name, code in zip("ab", codes, strict=True)]
    assert phase(p, *ended) == expected


@pytest.mark.parametrize("policy", POLICIES)
def test_a_pod_that_is_deleted_before_everything_ran_has_failed(policy: str):
    p = deleted(pod(container("a"), container("b"), policy=policy))
    assert phase(p, sandboxes=()) == "Failed"
    assert phase(p, exited(p, "a")) == "Failed"
    assert phase(p, exited(p, "a"), state(p, "b", Run.CREATED)) == "Failed"


def test_a_pod_that_is_deleted_while_it_initializes_has_failed():
    p = deleted(pod(container("app"), inits=(container("init"),)))
    assert phase(p, *running(p, "init")) == "Pending"
    assert phase(p, exited(p, "init", 143)) == "Failed"


@pytest.mark.parametrize("kind", ["marked", "native"])
def test_the_phase_stays_until_the_last_container_has_ended(kind: str):
    p = pod(container("app"), marked("s")) if kind == "marked" else pod(container("app"), inits=(native("s"),))
    assert phase(p, *running(p, "s"), exited(p, "app", 1)) == "Running"
    ending = Ending(cause="Completed", began_at=at(10), deadline=at(40))
    record = PodRecord(start_time=at(0), ending=ending)
    assert phase(p, exited(p, "s", 137), exited(p, "app", 1), record=record) == "Failed"


@pytest.mark.parametrize(
    "busy",
    [
        PullImage(key="app", image="busybox:1.28", policy="Always", attempt=0),
        StartContainer(key="app", attempt=0, sandbox_id=sandbox().id, image_id="i", backoff_seconds=0),
    ],
)
def test_the_phase_stays_until_nothing_can_start_any_more(busy: Any):
    p = deleted(pod(container("app")))
    assert phase(p, in_flight={"app": busy}) == "Pending"


def test_a_sidecar_that_is_in_back_off_when_the_apps_are_done_holds_nothing_up():
    p = pod(container("app"), marked("side"))
    down = exited(p, "side", 1, attempt=1, start=90, end=99, backoff_seconds=300)
    assert phase(p, exited(p, "app"), down) == "Succeeded"


def test_a_deadline_fails_a_pod_whatever_its_apps_say():
    p = pod(container("app"), activeDeadlineSeconds=60)
    record = decide(given(p, *running(p, "app"), when=60)).record
    assert phase(p, exited(p, "app", 0), record=record) == "Failed"


@pytest.mark.parametrize(
    ("policy", "codes", "expected"),
    [("Never", (0, 137), "Failed"), ("Never", (0, 0), "Succeeded"), ("OnFailure", (0, 0), "Succeeded")],
)
def test_a_lost_sandbox_where_nothing_may_run_again(policy: str, codes: tuple[int, int], expected: str):
    p = pod(container("a"), container("b"), policy=policy)
    ended = [exited(p, name, code) for name, code in zip("ab", codes, strict=True)]
    decision = decide(given(p, *ended, sandboxes=(sandbox(ready=False),)))
    assert decision.status["phase"] == expected
    assert decision.record.ending is not None


def test_under_on_failure_a_lost_sandbox_is_made_again_if_an_app_failed():
    p = pod(container("a"), container("b"), policy="OnFailure")
    ended = (exited(p, "a", 137), exited(p, "b", 0))
    assert phase(p, *ended, sandboxes=(sandbox(ready=False),)) == "Running"


def test_a_lost_sandbox_of_a_pod_that_never_ran_is_made_again_even_under_never():
    p = pod(container("app"))
    decision = decide(given(p, sandboxes=(sandbox(ready=False),)))
    assert decision.record.ending is None
    assert decision.status["phase"] == "Pending"
