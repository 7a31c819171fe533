"""Pods that the node itself ends, their objects staying (pkg/kubelet/nodeshutdown)."""

from __future__ import annotations

import pytest

from tests.core.given import at, container, deleted, exited, given, marked, pod, running
from tests.core.told import confirmed, signals
from vkprovider.core.actions import PullImage, RemoveSandbox
from vkprovider.core.decide import decide
from vkprovider.core.view import Eviction

WHY = Eviction(reason="Terminated", message="it goes")
POD = pod(container("app"), marked("side"), policy="Always")


def test_it_ends_in_order_and_fails_whatever_the_exit_codes():
    first = decide(given(POD, *running(POD, "app", "side"), when=0, eviction=WHY))
    assert signals(first) == [("app", "TERM")]
    assert first.record.ending is not None
    assert (first.record.ending.cause, first.record.ending.deadline) == ("Evicted", at(30))
    assert {event.reason for event in first.events} == {"Killing"}
    assert (first.status["phase"], first.status.get("reason")) == ("Running", None)
    app = exited(POD, "app", 0, end=1)
    second = decide(given(POD, app, *running(POD, "side"), when=1, eviction=WHY, **confirmed(first)))
    assert signals(second) == [("side", "TERM")]
    side = exited(POD, "side", 0, end=2)
    last = decide(given(POD, app, side, when=2, eviction=WHY, **confirmed(second)))
    assert (last.status["phase"], last.status["reason"], last.status["message"]) == ("Failed", "Terminated", "it goes")
    assert [type(action) for action in last.actions] == [RemoveSandbox]
    target = next(c for c in last.status["conditions"] if c["type"] == "DisruptionTarget")
    assert (target["status"], target["reason"], target["message"]) == ("True", "TerminationByKubelet", "it goes")


@pytest.mark.parametrize(("cut", "deadline"), [(None, 30), (60, 30), (5, 5), (0, 1)])
def test_the_grace_can_be_cut(cut: int | None, deadline: int):
    why = Eviction(reason="Terminated", message="", grace_seconds=cut)
    ending = decide(given(POD, *running(POD, "app", "side"), when=0, eviction=why)).record.ending
    assert ending is not None
    assert ending.deadline == at(deadline)


def test_an_end_that_has_begun_stays_what_it_is_but_may_be_cut_as_well():
    gone = deleted(POD)
    first = decide(given(gone, *running(POD, "app", "side"), when=0))
    why = Eviction(reason="Terminated", message="it goes", grace_seconds=5)
    second = decide(given(gone, *running(POD, "app", "side"), when=1, eviction=why, **confirmed(first)))
    ending = second.record.ending
    assert ending is not None
    assert (ending.cause, ending.reason, ending.deadline) == ("Deleted", "", at(6))


def test_a_pod_that_ends_by_itself_is_not_blamed_on_the_node():
    job = pod(container("app"), marked("side"))
    decision = decide(given(job, exited(job, "app", 0), *running(job, "side"), eviction=WHY))
    assert decision.record.ending is not None
    assert decision.record.ending.cause == "Completed"


def test_nothing_is_pulled_for_a_pod_that_is_to_end():
    pulling = {"app": PullImage(key="app", image="busybox:1.28", policy="Always", attempt=0)}
    decision = decide(given(POD, in_flight=pulling, eviction=WHY))
    assert decision.cancel == {"app"}
