"""The threshold automaton against tables and against a plain reading of its rules."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vkprovider.core.actions import ProbeFailed, ProbeTarget
from vkprovider.core.probing import Attempt, Outcome, ProbeState, advance, begin, complaint, verdicts
from vkprovider.core.view import Verdicts
from vkprovider.model.probe import Probe
from vkprovider.model.refs import ContainerID

OUTCOMES = {"s": Outcome.SUCCESS, "w": Outcome.WARNING, "f": Outcome.FAILURE, "e": Outcome.ERROR}
VERDICTS = {True: "T", False: "F", None: "-"}


def thresholds(success: int, failure: int) -> Probe:
    return Probe(success_threshold=success, failure_threshold=failure)


def play(kind: str, probe: Probe, results: str) -> tuple[str, ProbeState]:
    """The verdict after each result, a dot behind those that were published as new, and the last state."""
    state, seen = begin(kind), ""
    for result in results:
        state, published = advance(state, probe, OUTCOMES[result])
        seen += VERDICTS[state.verdict] + ("." if published else "")
    return seen, state


@pytest.mark.parametrize(("kind", "verdict"), [("startup", None), ("liveness", True), ("readiness", False)])
def test_a_new_instance_begins_with_the_initial_verdict(kind, verdict):
    assert begin(kind) == ProbeState(kind=kind, verdict=verdict, last=None, run=0, held=False)


@pytest.mark.parametrize(
    ("kind", "success", "failure", "results", "verdicts"),
    [
        # readiness: both thresholds, as often as it likes
        ("readiness", 1, 3, "s", "T."),
        ("readiness", 1, 3, "f", "F"),
        ("readiness", 1, 3, "sfffs", "T.TTF.T."),
        ("readiness", 1, 3, "sffsff", "T.TTTTT"),
        ("readiness", 3, 1, "ssfsss", "FFFFFT."),
        ("readiness", 1, 1, "sfsf", "T.F.T.F."),
        ("readiness", 2, 2, "sfsfsf", "FFFFFF"),
        ("readiness", 2, 2, "ssffss", "FT.TF.FT."),
        ("readiness", 1, 3, "sffffff", "T.TTF.FFF"),
        # liveness: alive until shown otherwise, and then never again
        ("liveness", 1, 3, "fff", "TTF."),
        ("liveness", 1, 3, "ffsff", "TTTTT"),
        ("liveness", 1, 1, "f", "F."),
        ("liveness", 1, 3, "sfff", "TTTF."),
        ("liveness", 1, 1, "fsss", "F.FFF"),
        # startup: unknown until decided, and then never again
        ("startup", 1, 3, "s", "T."),
        ("startup", 1, 3, "ffs", "--T."),
        ("startup", 1, 3, "fff", "--F."),
        ("startup", 1, 3, "sfff", "T.TTT"),
        ("startup", 1, 1, "fs", "F.F"),
        # a warning is a success, an error is nothing
        ("readiness", 1, 1, "w", "T."),
        ("readiness", 2, 1, "sw", "FT."),
        ("liveness", 1, 2, "fef", "TTF."),
        ("liveness", 1, 2, "eeee", "TTTT"),
        ("startup", 1, 3, "efefef", "-----F."),
        # the API server's default for an absent threshold never reaches this code as less than one
        ("readiness", 0, 0, "sf", "T.F."),
    ],
)
def test_runs_of_equal_results_become_verdicts(kind, success, failure, results, verdicts):
    assert play(kind, thresholds(success, failure), results)[0] == verdicts


@pytest.mark.parametrize(
    ("kind", "results", "held"),
    [
        ("liveness", "ff", True),
        ("liveness", "sssss", False),
        ("startup", "s", True),
        ("startup", "ff", True),
        ("startup", "f", False),
        ("readiness", "ffff", False),
        ("readiness", "ssss", False),
    ],
)
def test_a_decided_probe_is_held(kind, results, held):
    assert play(kind, thresholds(1, 2), results)[1].held is held


PROBES = st.builds(thresholds, st.integers(1, 4), st.integers(1, 4))
KINDS = st.sampled_from(["startup", "liveness", "readiness"])
RESULTS = st.text("swfe", max_size=30)


def counted(results: str) -> list[bool]:
    return [r != "f" for r in results if r != "e"]


@given(KINDS, PROBES, RESULTS)
def test_a_verdict_changes_only_after_as_many_equal_results_as_its_threshold(kind, probe, results):
    state = begin(kind)
    for done, result in enumerate(results, 1):
        before = state
        state, published = advance(state, probe, OUTCOMES[result])
        assert published == (state.verdict is not before.verdict)
        if published:
            threshold = probe.success_threshold if state.verdict else probe.failure_threshold
            assert counted(results[:done])[-threshold:] == [state.verdict] * threshold


@given(KINDS, PROBES, RESULTS)
def test_as_many_equal_results_as_the_threshold_always_become_the_verdict(kind, probe, results):
    _, state = play(kind, probe, results)
    for good, threshold in ((True, probe.success_threshold), (False, probe.failure_threshold)):
        if counted(results)[-threshold:] == [good] * threshold and not state.held:
            assert state.verdict is good


@given(KINDS, PROBES, RESULTS)
def test_errors_leave_no_trace(kind, probe, results):
    assert play(kind, probe, results)[1] == play(kind, probe, results.replace("e", ""))[1]


@given(KINDS, PROBES, RESULTS, RESULTS)
def test_nothing_moves_a_held_probe(kind, probe, results, more):
    _, state = play(kind, probe, results)
    if state.held:
        assert play(kind, probe, results + more)[1] == state


@given(KINDS, PROBES, RESULTS, st.sampled_from("sf"))
def test_a_steady_result_leads_to_a_steady_state(kind, probe, results, steady):
    _, state = play(kind, probe, results + steady * 4)
    assert advance(state, probe, OUTCOMES[steady]) == (state, False)


def test_verdicts_are_named_after_what_they_establish():
    assert verdicts({"startup": True, "readiness": False}) == Verdicts(started=True, ready=False, live=None)
    assert verdicts({"liveness": False}) == Verdicts(live=False)
    assert verdicts({}) == Verdicts()


@pytest.mark.parametrize(
    ("kind", "outcome", "reason", "message"),
    [
        ("liveness", Outcome.FAILURE, "Unhealthy", "Liveness probe failed: out of cheese"),
        ("readiness", Outcome.FAILURE, "Unhealthy", "Readiness probe failed: out of cheese"),
        ("startup", Outcome.FAILURE, "Unhealthy", "Startup probe failed: out of cheese"),
        (
            "startup",
            Outcome.ERROR,
            "Unhealthy",
            "Startup probe errored and resulted in unknown state: out of cheese",
        ),
        ("readiness", Outcome.WARNING, "ProbeWarning", "Readiness probe warning: out of cheese"),
    ],
)
def test_an_attempt_that_did_not_succeed_is_told_in_the_kubelets_words(kind, outcome, reason, message):
    assert complaint(target(kind), Attempt(outcome, "out of cheese")) == ProbeFailed(
        key="app", reason=reason, message=message
    )


def test_a_success_is_no_news():
    assert complaint(target("liveness"), Attempt(Outcome.SUCCESS, "fine")) is None


def target(kind: str) -> ProbeTarget:
    return ProbeTarget(
        container_id=ContainerID("c"),
        container="app",
        kind=kind,
        probe=Probe(),
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        pod_ip="10.0.0.7",
    )
