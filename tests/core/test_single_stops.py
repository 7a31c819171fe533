"""A single container that is stopped while its pod goes on: failed probes and hooks."""

from __future__ import annotations

import pytest

from tests.core.given import at, container, exited, given, native, pod, running
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
