"""What tests can have happen in the fake engine, and no real one can be made to do."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import aclosing
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from tests.contract.benches import FakeBench
from tests.fakes.engine import FakeEngine
from tests.fakes.programs import Program, Reaction, ends, ignores_term, on_term
from tests.node.virtual_clock import T0, VirtualClock
from vkprovider.errors import EngineError, EngineUnavailable
from vkprovider.model.create import ContainerCreate
from vkprovider.model.labels import encode
from vkprovider.model.observed import ContainerState, Run
from vkprovider.model.refs import ContainerID

T = TypeVar("T")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def fake(clock: VirtualClock) -> FakeEngine:
    return FakeEngine(clock)


@pytest.fixture
def bench(fake: FakeEngine) -> FakeBench:
    return FakeBench(fake)


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run what never suspends, without any loop."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits for something")


def state(bench: FakeBench, container_id: ContainerID) -> ContainerState:
    seen = drive(bench.see(container_id))
    assert seen is not None
    return seen


def test_an_end_comes_at_its_own_time_however_late_it_is_looked_at(bench: FakeBench, clock: VirtualClock):
    container_id = drive(bench.run("app", program=ends(3, after=5)))
    assert bench.fake.next_due() == T0 + timedelta(seconds=5)
    clock.elapsed = 4.9
    assert state(bench, container_id).run is Run.RUNNING
    clock.elapsed = 60
    seen = state(bench, container_id)
    assert (seen.run, seen.exit_code, seen.finished_at) == (Run.EXITED, 3, T0 + timedelta(seconds=5))
    assert bench.fake.next_due() is None


@pytest.mark.parametrize(
    ("program", "at", "code"),
    [
        (on_term(0, after=3), 3, 0),
        (on_term(143), 0, 143),
        (Program(runs=2, code=7, reactions={"TERM": Reaction(code=0, seconds=5)}), 2, 7),
        (Program(runs=9, code=7, reactions={"TERM": Reaction(code=0, seconds=5)}), 5, 0),
        (ignores_term(), 100, 137),
    ],
)
def test_term_and_then_kill(bench: FakeBench, clock: VirtualClock, program: Program, at: int, code: int):
    container_id = drive(bench.run("app", program=program))
    assert drive(bench.engine.signal(container_id, "TERM"))
    clock.elapsed = 100
    drive(bench.engine.signal(container_id, "KILL"))
    seen = state(bench, container_id)
    assert (seen.exit_code, seen.finished_at) == (code, T0 + timedelta(seconds=at))
    assert bench.fake.containers[container_id].signals == ["TERM"]


def test_each_attempt_has_its_program_and_the_last_is_for_all_that_follow(bench: FakeBench):
    bench.fake.program("app", ends(1), ends(2))
    codes = []
    for attempt in range(4):
        identity = bench.identity("app", attempt)
        spec = ContainerCreate(name=identity.engine_name, image=bench.image, labels=encode(identity))
        container_id = drive(bench.engine.create(spec))
        drive(bench.engine.start(container_id))
        codes.append(state(bench, container_id).exit_code)
    assert codes == [1, 2, 2, 2]
    assert [container.attempt for container in bench.fake.named("app")] == [0, 1, 2, 3]


def test_ends_from_outside(bench: FakeBench):
    one, two = drive(bench.run("one")), drive(bench.run("two"))
    bench.fake.exit(one, 9)
    bench.fake.oom(two)
    assert (state(bench, one).exit_code, state(bench, one).oom_killed) == (9, False)
    assert (state(bench, two).exit_code, state(bench, two).oom_killed) == (137, True)


def test_a_sandbox_that_dies_takes_no_container_with_it(bench: FakeBench):
    sandbox_id = drive(bench.run_sandbox())
    container_id = drive(bench.run(network=f"container:{sandbox_id}"))
    bench.fake.kill_sandbox(bench.uid)
    observed = drive(bench.engine.observe(bench.uid))
    assert not observed.sandboxes[0].ready
    assert state(bench, container_id).run is Run.RUNNING


def test_a_container_that_cannot_be_seen(bench: FakeBench):
    container_id = drive(bench.run())
    bench.fake.unknown.add(container_id)
    assert state(bench, container_id).run is Run.UNKNOWN


def test_an_engine_that_is_down(bench: FakeBench):
    bench.fake.down = True
    with pytest.raises(EngineUnavailable):
        drive(bench.engine.pods())
    bench.fake.down = False
    assert drive(bench.engine.pods()) == {}


def test_a_call_that_fails_before_or_after_its_work(bench: FakeBench):
    bench.fake.fail("create", EngineUnavailable("lost"))
    bench.fake.fail("create", EngineUnavailable("lost"), after=True)
    for made in (0, 1):
        with pytest.raises(EngineUnavailable, match="lost"):
            drive(bench.create())
        assert len(bench.fake.containers) == made
    assert drive(bench.create()) in bench.fake.containers  # taken up, not doubled
    assert len(bench.fake.containers) == 1
    bench.fake.fail("start", EngineError("no"))
    with pytest.raises(EngineError, match="no"):
        drive(bench.run())


def test_the_journal_tells_every_call(bench: FakeBench, clock: VirtualClock):
    clock.elapsed = 1
    container_id = drive(bench.run("app"))
    drive(bench.engine.signal(container_id, "TERM"))
    calls = [(call.verb, call.target, call.detail) for call in bench.fake.calls("create", "start", "signal")]
    name = bench.identity("app").engine_name
    assert calls == [("create", name, bench.image), ("start", name, ""), ("signal", name, "TERM")]
    assert {call.at for call in bench.fake.journal} == {T0 + timedelta(seconds=1)}


@pytest.mark.parametrize(("lose", "double", "told"), [(False, False, 1), (False, True, 2), (True, False, 0)])
async def test_changes_may_be_lost_or_doubled(bench: FakeBench, lose: bool, double: bool, told: int):
    bench.fake.lose_changes, bench.fake.double_changes = lose, double
    async with aclosing(bench.engine.changes()) as changes, asyncio.timeout(10):
        assert await anext(changes) is None
        container_id = await bench.run("app")
        bench.fake.lose_changes = bench.fake.double_changes = False
        bench.fake.exit(container_id)
        bench.fake.relist()
        heard = []
        while (uid := await anext(changes)) is not None:
            heard.append(uid)
    assert heard == [bench.uid] * (told + 1)  # of the start, and of the end
