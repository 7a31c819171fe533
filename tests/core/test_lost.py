"""Containers that someone removed behind vkprovider's back."""

from __future__ import annotations

import pytest

from tests.core.given import container, deleted, exited, given, marked, native, pod, running, state
from tests.core.told import published
from vkprovider.core.actions import Decision, PullImage, RemoveSandbox, TeardownPod
from vkprovider.core.decide import decide
from vkprovider.model.observed import ContainerState, Run
from vkprovider.model.pod import Pod

WORDS = "The container could not be located when the pod was deleted.  The container used to be Running"


def after(of: Pod, seen: tuple[ContainerState, ...], there: tuple[ContainerState, ...] = ()) -> Decision:
    """The decision of a look that finds ``there`` of what the look before it saw."""
    before = decide(given(of, *seen))
    return decide(given(of, *there, when=101, record=before.record))


def test_one_that_ran_counts_as_killed_and_is_restarted_with_the_next_count():
    p = pod(container("app"), policy="Always")
    decision = after(p, (state(p, "app", attempt=2, start=5),))
    assert [(a.key, a.attempt) for a in decision.actions if isinstance(a, PullImage)] == [("app", 3)]
    shown = published(decision, "app")
    assert shown["restartCount"] == 2
    assert shown["lastState"]["terminated"] == {
        "exitCode": 137,
        "reason": "ContainerStatusUnknown",
        "message": WORDS,
        "startedAt": "2026-01-01T12:00:05Z",
        "finishedAt": "2026-01-01T12:01:41Z",
        "containerID": "docker://app-2",
    }
    assert decision.status["phase"] == "Running"


def test_under_never_the_pod_has_failed():
    p = pod(container("app"))
    decision = after(p, running(p, "app"))
    assert [type(a) for a in decision.actions] == [RemoveSandbox]
    over = decide(given(p, when=102, record=decision.record, memory=decision.memory, sandboxes=()))
    assert over.status["phase"] == "Failed"
    assert published(over, "app")["state"]["terminated"]["reason"] == "ContainerStatusUnknown"


@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
def test_while_another_app_runs_it_is_started_whatever_its_policy(policy: str):
    p = pod(container("app"), container("other"), policy=policy)
    app, other = running(p, "app", "other")
    decision = after(p, (app, other), (other,))
    assert [(a.key, a.attempt) for a in decision.actions if isinstance(a, PullImage)] == [("app", 1)]
    assert decision.status["phase"] == "Running"


def test_under_never_a_sidecar_that_runs_does_not_start_an_app_again():
    p = pod(container("app"), inits=(native("side"),))
    app, side = running(p, "app", "side")
    decision = after(p, (app, side), (side,))
    assert decision.record.ending is not None
    assert not any(isinstance(a, PullImage) for a in decision.actions)


def test_a_sidecar_runs_again_under_never():
    p = pod(container("app"), marked("side"))
    app, side = running(p, "app", "side")
    decision = after(p, (app, side), (app,))
    assert [a.key for a in decision.actions] == ["side"]


def test_one_that_had_ended_keeps_its_exit_code():
    p = pod(container("app"), container("other"))
    ended, other = exited(p, "app", 3), *running(p, "other")
    decision = after(p, (ended, other), (other,))
    assert decision.actions == ()
    terminated = published(decision, "app")["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (3, "Error")


def test_an_init_container_that_was_pruned_is_not_run_again():
    p = pod(container("app"), inits=(container("init"),))
    init = exited(p, "init")
    decision = after(p, (init,))
    assert [a.key for a in decision.actions] == ["app"]


def test_it_is_remembered_across_a_crash():
    p = pod(container("app"), policy="Always")
    lost = after(p, running(p, "app"))
    again = decide(given(p, when=102, record=lost.record))
    assert [a.attempt for a in again.actions if isinstance(a, PullImage)] == [1]


def test_it_is_forgotten_when_two_newer_ones_are_there():
    p = pod(container("app"), policy="Always")
    lost = after(p, running(p, "app"))
    assert [c.id for c in lost.record.lost] == ["app-0"]
    one = decide(given(p, state(p, "app", attempt=1), record=lost.record))
    assert published(one, "app")["lastState"]["terminated"]["containerID"] == "docker://app-0"
    two = decide(given(p, state(p, "app", attempt=2), exited(p, "app", attempt=1), record=one.record))
    assert two.record.lost == ()


def test_one_that_is_there_again_was_never_lost():
    p = pod(container("app"), policy="Always")
    lost = after(p, running(p, "app"))
    back = decide(given(p, *running(p, "app"), record=lost.record))
    assert (back.record.lost, back.actions) == ((), ())


def test_one_that_never_ran_leaves_nothing():
    p = pod(container("app"))
    decision = after(p, (state(p, "app", Run.CREATED),))
    assert [a.attempt for a in decision.actions if isinstance(a, PullImage)] == [0]


def test_what_a_deletion_removes_is_not_lost():
    p = deleted(pod(container("app")))
    decision = after(p, (exited(p, "app", 143),))
    assert decision.record.lost == ()


def test_one_that_vanishes_while_its_pod_is_deleted_holds_nothing_up():
    p = deleted(pod(container("app")))
    decision = after(p, running(p, "app"))
    assert [type(a) for a in decision.actions] == [TeardownPod]
    terminated = published(decision, "app")["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (137, "ContainerStatusUnknown")
    assert terminated["message"] == "The container could not be located when the pod was terminated"
