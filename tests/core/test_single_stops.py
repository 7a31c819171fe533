"""A single container that is stopped while its pod goes on: failed probes and hooks."""

from __future__ import annotations

import pytest

from tests.core.given import at, container, deleted, exited, given, native, pod, running, sandbox, state
from tests.core.told import EXEC, signals
from vkprovider.core.actions import CreateSandbox, HookFailed, PullImage, RunHook, SignalContainer
from vkprovider.core.decide import decide
from vkprovider.core.record import PodRecord
from vkprovider.core.view import Verdicts
from vkprovider.model.observed import Run


@pytest.mark.parametrize(
    ("verdicts", "message"),
    [
        (Verdicts(live=False), "Container app failed liveness probe, will be restarted"),
        (Verdicts(started=False), "Container app failed startup probe, will be restarted"),
    ],
)
def test_a_failed_probe_stops_one_container_and_restarts_it(verdicts: Verdicts, message: str):
    probe = EXEC | {"terminationGracePeriodSeconds": 3}
    p = pod(container("app", livenessProbe=probe, startupProbe=probe), policy="Always")
    (app,) = running(p, "app")
    decision = decide(given(p, app, when=100, verdicts={app.id: verdicts}))
    assert signals(decision) == [("app", "TERM")]
    assert decision.events[0].message == message
    assert decision.record.stops[app.id].kill_at == at(103)
    assert decision.record.ending is None


def test_a_probe_kill_under_never_fails_the_pod():
    p = pod(container("app", livenessProbe=EXEC))
    (app,) = running(p, "app")
    decision = decide(given(p, app, verdicts={app.id: Verdicts(live=False)}))
    assert decision.events[0].message == "Container app failed liveness probe"
    over = decide(given(p, exited(p, "app", 137), record=decision.record))
    assert over.status["phase"] == "Failed"


def test_a_native_sidecar_that_fails_its_liveness_probe_is_restarted_alone():
    p = pod(container("app"), inits=(native("side", livenessProbe=EXEC),))
    side, app = running(p, "side", "app")
    decision = decide(given(p, side, app, verdicts={side.id: Verdicts(live=False)}))
    assert signals(decision) == [("side", "TERM")]
    assert decision.events[0].message == "Init container side failed liveness probe"


def test_a_native_sidecar_that_fails_its_startup_probe_is_restarted_and_holds_the_next_one_back():
    p = pod(container("app"), inits=(native("side", startupProbe=EXEC), container("init")))
    (side,) = running(p, "side")
    decision = decide(given(p, side, verdicts={side.id: Verdicts(started=False)}))
    assert [(a.key, type(a)) for a in decision.actions] == [("side", SignalContainer)]
    assert decision.events[0].message == "Init container side failed startup probe"
    again = decide(given(p, exited(p, "side", 143), record=decision.record))
    assert [(a.key, type(a)) for a in again.actions] == [("side", PullImage)]


@pytest.mark.parametrize(("policy", "again"), [("Always", True), ("OnFailure", True), ("Never", False)])
def test_an_init_container_in_an_unknown_state_counts_as_failed(policy: str, again: bool):
    p = pod(container("app"), inits=(container("init"),), policy=policy)
    unknown = state(p, "init", Run.UNKNOWN)
    decision = decide(given(p, unknown))
    message = 'Container is in "unknown" state, try killing it before restart'
    assert [(e.reason, e.message) for e in decision.events] == [("Killing", message)]
    over = decide(given(p, exited(p, "init", 137), record=decision.record))
    assert [a.key for a in over.actions if isinstance(a, PullImage)] == (["init"] if again else [])
    assert (over.record.ending is None) is again


@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
def test_a_native_sidecar_in_an_unknown_state_is_killed_and_started(policy: str):
    p = pod(container("app"), inits=(native("side"),), policy=policy)
    app = running(p, "app")
    decision = decide(given(p, state(p, "side", Run.UNKNOWN), *app))
    assert signals(decision) == [("side", "TERM")]
    over = decide(given(p, exited(p, "side", 137), *app, record=decision.record))
    assert [a.key for a in over.actions if isinstance(a, PullImage)] == ["side"]


@pytest.mark.parametrize("policy", ["Always", "OnFailure"])
def test_what_was_stopped_with_its_sandbox_runs_again_even_if_it_ended_well(policy: str):
    p = pod(container("app"), policy=policy)
    lost = (sandbox(ready=False),)
    stop = decide(given(p, *running(p, "app"), sandboxes=lost))
    over = decide(given(p, exited(p, "app", 0), sandboxes=lost, record=stop.record))
    assert over.record.ending is None
    assert CreateSandbox(attempt=1) in over.actions


def test_a_paused_container_has_its_pre_stop_run_and_is_stopped():
    p = deleted(pod(container("app", lifecycle={"preStop": EXEC})))
    paused = state(p, "app", Run.PAUSED)
    first = decide(given(p, paused, when=0))
    (hook,) = first.actions
    assert isinstance(hook, RunHook)
    failed = HookFailed(key="app", container_id=paused.id, hook="PreStop", message="container is paused")
    after = decide(given(p, paused, when=1, record=first.record, news=(failed,)))
    assert [e.reason for e in after.events] == ["FailedPreStopHook"]
    assert signals(after) == [("app", "TERM")]


def test_a_failed_post_start_hook_stops_the_container():
    p = pod(container("app", lifecycle={"postStart": EXEC}), policy="Always")
    (app,) = running(p, "app")
    record = PodRecord(start_time=at(0), hooks=("app-0/PostStart",))
    news = (HookFailed(key="app", container_id=app.id, hook="PostStart"),)
    decision = decide(given(p, app, news=news, record=record))
    assert [(e.reason, e.message) for e in decision.events] == [
        ("FailedPostStartHook", "PostStartHook failed"),
        ("Killing", "FailedPostStartHook"),
    ]
    assert signals(decision) == [("app", "TERM")]


def test_a_probe_that_fails_during_a_post_start_hook_ends_that_first():
    p = pod(container("app", livenessProbe=EXEC, lifecycle={"postStart": EXEC}), policy="Always")
    (app,) = running(p, "app")
    begun = decide(given(p, app))
    (hook,) = begun.actions
    during = {"record": begun.record, "in_flight": {"app": hook}, "verdicts": {app.id: Verdicts(live=False)}}
    failed = decide(given(p, app, **during))
    assert (failed.cancel, signals(failed)) == ({"app"}, [])
    after = decide(given(p, app, record=failed.record))
    assert signals(after) == [("app", "TERM")]


def test_the_end_of_the_pod_takes_over_a_single_stop_with_the_nearer_deadline():
    probe = EXEC | {"terminationGracePeriodSeconds": 60}
    p = pod(container("app", livenessProbe=probe), policy="Always", terminationGracePeriodSeconds=30)
    (app,) = running(p, "app")
    single = decide(given(p, app, when=100, verdicts={app.id: Verdicts(live=False)}))
    assert single.record.stops[app.id].kill_at == at(160)
    end = decide(given(deleted(p), app, when=105, record=single.record))
    stop = end.record.stops[app.id]
    assert (stop.cause, stop.term_at, stop.kill_at) == ("end", at(100), at(135))
    assert [e.reason for e in end.events] == []  # it was told when the single stop began


def test_while_a_signal_is_in_flight_nothing_more_is_sent():
    p = deleted(pod(container("app")))
    (app,) = running(p, "app")
    first = decide(given(p, app, when=0))
    (term,) = first.actions
    assert decide(given(p, app, when=30, record=first.record, in_flight={"app": term})).actions == ()
