"""Whole stories in virtual time: the real core and performer on the fake engine, second by second."""

from __future__ import annotations

import pytest

from tests.core.given import T0, container, deleted, marked, native, pod
from tests.fakes.programs import ends, ignores_term, on_term
from tests.property.world import World


def test_the_seed_job():
    world = World(pod(container("app"), marked("sidecar")))
    world.engine.program("app", ends(0, after=10))
    world.engine.ignore_term("sidecar")
    decision = world.run_until(60)
    assert decision.status["phase"] == "Succeeded"
    (sidecar,) = world.engine.named("sidecar")
    (app,) = world.engine.named("app")
    assert sidecar.started_at <= app.started_at
    assert (sidecar.finished_at - app.finished_at).total_seconds() == 30
    (_, published) = decision.status["containerStatuses"]
    assert published["state"]["terminated"]["message"] == "Force this container to be success(137, Error, )"
    assert not [c for c in world.engine.containers.values() if c.is_sandbox]


def test_the_trap_test_of_the_sidecar_post():
    p = pod(container("app"), inits=(native("first"), native("second")))
    world = World(p)
    for name in ("app", "first", "second"):
        world.engine.program(name, on_term(0, after=3))
    world.run_until(5)
    assert world.alive() == ["first", "second", "app"]
    world.pod = deleted(p)
    seen = []
    for second in range(5, 20):
        world.run_until(second)
        seen.append(sorted(world.alive()))
    assert seen[:3] == [["app", "first", "second"]] * 3
    assert seen[3:6] == [["first", "second"]] * 3
    assert seen[6:9] == [["first"]] * 3
    assert seen[9] == []
    assert world.engine.containers == {}


def test_a_marked_sidecar_that_fails_twice_under_never():
    world = World(pod(container("app"), marked("side")))
    world.engine.program("app", ends(0, after=60))
    world.engine.program("side", ends(1, after=2), ends(1, after=2), on_term(0))
    shown = set()
    for second in range(70):
        decision = world.run_until(second)
        (_, side) = decision.status["containerStatuses"]
        if decision.record.ending is None:
            shown |= set(side["state"])
    assert shown == {"running", "waiting"}
    assert decision.status["phase"] == "Succeeded"
    assert side["restartCount"] == 2
    assert [c.attempt for c in world.engine.named("side")] == [1, 2]


@pytest.mark.parametrize("crash_at", range(0, 45, 3))
def test_a_crash_at_any_time_changes_nothing_of_the_seed_job(crash_at: int):
    world = World(pod(container("app"), marked("sidecar")))
    world.engine.program("app", ends(0, after=10))
    world.engine.program("sidecar", ignores_term())
    world.run_until(crash_at)
    world.crash()
    decision = world.run_until(60)
    assert decision.status["phase"] == "Succeeded"
    (sidecar,) = world.engine.named("sidecar")
    assert (sidecar.finished_at - T0).total_seconds() == 40
    assert sidecar.signals == ["TERM"]
    assert [c.runs for c in world.engine.containers.values()] == [1, 1]
