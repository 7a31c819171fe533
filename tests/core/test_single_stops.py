"""A single container that is stopped while its pod goes on: failed probes and hooks."""

from __future__ import annotations

import pytest

from tests.core.given import at, container, deleted, exited, given, native, pod, running
from tests.core.told import EXEC, signals
from vkprovider.core.actions import (
    HookFailed,
)
from vkprovider.core.decide import decide
from vkprovider.core.record import PodRecord
from vkprovider.core.view import Verdicts


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
