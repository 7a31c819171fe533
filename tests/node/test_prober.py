"""The prober in virtual time: which attempts it makes when, and what it tells of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from tests.node.servers import HOST, closed_port, http_server
from tests.node.virtual_clock import PATIENCE, T0, VirtualClock
from vkprovider.core.actions import ProbeFailed, ProbeTarget
from vkprovider.core.probing import Outcome, advance, begin
from vkprovider.core.view import Verdicts
from vkprovider.errors import EngineConflict
from vkprovider.model.engine import ExecResult
from vkprovider.model.probe import ExecAction, HTTPGetAction, Probe
from vkprovider.model.refs import ContainerID
from vkprovider.node.prober import Prober

COMMAND = ExecAction(command=("test", "-e", "/ready"))
GOOD, BAD = ExecResult(exit_code=0, output=b"fine\n"), ExecResult(exit_code=1, output=b"no cheese\n")


class ExecEngine:
    """An engine as far as probes see it: commands end as scripted, the last result of the script again and again.

    None in the script is a command that runs until ``end`` is called, or it is cancelled.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.script: deque[ExecResult | Exception | None] = deque([GOOD])
        self.calls: list[tuple[float, ContainerID]] = []
        self.asked: tuple[Sequence[str], float | None] | None = None
        self.running: asyncio.Future[ExecResult] | None = None
        self._began = asyncio.Event()

    async def exec(self, container_id: ContainerID, command: Sequence[str], timeout: float | None) -> ExecResult:
        self.calls.append((self.clock.elapsed, container_id))
        self.asked = (command, timeout)
        result = self.script.popleft() if len(self.script) > 1 else self.script[0]
        if isinstance(result, Exception):
            raise result
        if result is not None:
            return result
        self.running = asyncio.get_running_loop().create_future()
        self._began.set()
        return await self.running

    async def began(self) -> None:
        """Wait until a command has begun that runs until told otherwise."""
        async with asyncio.timeout(PATIENCE):
            await self._began.wait()
        self._began.clear()

    def end(self, result: ExecResult) -> None:
        assert self.running is not None
        self.running.set_result(result)


class Bench:
    """A prober, with everything it touches and everything it says."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.engine = ExecEngine(self.clock)
        self.news: list[ProbeFailed] = []
        self.results: list[float] = []
        self._heard = asyncio.Event()
        self.outcomes: list[Outcome] = []
        self.prober = Prober(self.engine, self.clock, self._on_result, self.news.append, self._on_attempt)

    def _on_attempt(self, _target: ProbeTarget, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def _on_result(self) -> None:
        self.results.append(self.clock.elapsed)
        self._heard.set()

    async def heard(self) -> None:
        """Wait until a verdict has changed."""
        async with asyncio.timeout(PATIENCE):
            await self._heard.wait()
        self._heard.clear()

    async def pass_time(self, seconds: int, sleepers: int = 1) -> None:
        """Let time go by, second by second, and all probes come to rest again after each."""
        await self.clock.settle(sleepers)
        for _ in range(seconds):
            self.clock.advance(1)
            await self.clock.settle(sleepers)

    @property
    def times(self) -> list[float]:
        return [when for when, _ in self.engine.calls]


@pytest.fixture
async def bench():
    bench = Bench()
    yield bench
    await bench.prober.aclose()
    assert bench.clock.sleepers == 0


def target(
    kind: str = "readiness", container_id: str = "c0", container: str = "app", started_at: datetime = T0, **probe
) -> ProbeTarget:
    return ProbeTarget(
        container_id=ContainerID(container_id),
        container=container,
        kind=kind,
        probe=Probe(**({"exec": COMMAND} | probe)),
        started_at=started_at,
        pod_ip=HOST,
    )


async def ok(_request: web.Request) -> web.Response:
    return web.Response(text="fine")


def with_probe(of: ProbeTarget, probe: Probe) -> ProbeTarget:
    return msgspec.structs.replace(of, probe=probe)


# --- when -------------------------------------------------------------------------------------------------------


async def test_the_first_attempt_comes_at_once_and_then_one_each_period(bench):
    bench.prober.sync((target(period_seconds=4),))
    await bench.pass_time(9)
    assert bench.times == [0, 4, 8]
    assert bench.engine.asked == (COMMAND.command, 1)


async def test_the_initial_delay_counts_from_the_containers_start(bench):
    started_at = T0 - timedelta(seconds=2)
    bench.prober.sync((target(started_at=started_at, initial_delay_seconds=5, period_seconds=10),))
    await bench.pass_time(14)
    assert bench.times == [3, 13]


async def test_a_container_long_started_is_probed_at_once(bench):
    bench.prober.sync((target(started_at=T0 - timedelta(hours=1), initial_delay_seconds=5),))
    await bench.clock.settle()
    assert bench.times == [0]


async def test_slow_attempts_do_not_move_the_rhythm(bench):
    bench.engine.script = deque([None, GOOD])
    bench.prober.sync((target(period_seconds=10, timeout_seconds=9),))
    await bench.engine.began()
    bench.clock.advance(7)
    bench.engine.end(GOOD)
    await bench.pass_time(4)
    assert bench.times == [0, 10]


async def test_an_attempt_longer_than_the_period_is_followed_at_once_by_one(bench):
    bench.engine.script = deque([None, GOOD])
    bench.prober.sync((target(period_seconds=2, timeout_seconds=9),))
    await bench.engine.began()
    bench.clock.advance(7)
    bench.engine.end(GOOD)
    await bench.pass_time(4)
    assert bench.times == [0, 7, 9, 11]


async def test_all_targets_run_side_by_side(bench):
    bench.engine.script = deque([None, GOOD])
    bench.prober.sync((target("liveness"), target("readiness"), target("readiness", "c1", "db")))
    await bench.clock.settle(2)
    assert [container_id for _, container_id in bench.engine.calls] == ["c0", "c0", "c1"]
    assert bench.prober.verdicts == {"c0": Verdicts(live=True, ready=True), "c1": Verdicts(ready=True)}


# --- what is published ------------------------------------------------------------------------------------------


async def test_initial_verdicts_hold_from_the_sync_on(bench):
    bench.prober.sync((target("startup"), target("liveness", "c1", "db"), target("readiness", "c1", "db")))
    assert bench.prober.verdicts == {"c0": Verdicts(started=None), "c1": Verdicts(live=True, ready=False)}
    assert bench.results == []


async def test_a_verdict_pokes_when_it_changes_and_only_then(bench):
    bench.engine.script = deque([GOOD, GOOD, BAD, BAD, BAD, BAD, GOOD])
    bench.prober.sync((target(period_seconds=1, failure_threshold=3),))
    await bench.pass_time(8)
    assert bench.results == [0, 4, 6]
    assert bench.prober.verdicts == {"c0": Verdicts(ready=True)}


async def test_each_failing_attempt_is_told(bench):
    bench.engine.script = deque([BAD, BAD, GOOD])
    bench.prober.sync((target("liveness", period_seconds=1, failure_threshold=3),))
    await bench.pass_time(4)
    told = ProbeFailed(key="app", reason="Unhealthy", message="Liveness probe failed: no cheese\n")
    assert bench.news == [told, told]
    assert bench.results == []


async def test_the_news_of_a_failure_comes_before_the_poke():
    said: list[str] = []
    clock = VirtualClock()
    engine = ExecEngine(clock)
    engine.script = deque([BAD])
    over = asyncio.Event()

    def on_result() -> None:
        said.append("result")
        over.set()

    prober = Prober(engine, clock, on_result, lambda news: said.append(news.reason), lambda *_: None)
    prober.sync((target("startup", failure_threshold=1),))
    async with asyncio.timeout(PATIENCE):
        await over.wait()
    await prober.aclose()
    assert said == ["Unhealthy", "result"]


async def test_an_attempt_that_breaks_is_tried_thrice_and_thrown_away(bench):
    broken = EngineConflict("container c0 is not running")
    bench.engine.script = deque([BAD, broken, broken, broken, BAD])
    bench.prober.sync((target("liveness", period_seconds=5, failure_threshold=2),))
    await bench.clock.settle()
    bench.clock.advance(5)
    await bench.clock.settle()
    assert bench.prober.verdicts == {"c0": Verdicts(live=True)}
    bench.clock.advance(5)
    await bench.heard()
    assert bench.times == [0, 5, 5, 5, 10]
    assert bench.prober.verdicts == {"c0": Verdicts(live=False)}
    errored = "Liveness probe errored and resulted in unknown state: container c0 is not running"
    assert [n.message for n in bench.news][1] == errored
    assert len(bench.news) == 3
    assert bench.outcomes == [Outcome.FAILURE, Outcome.ERROR, Outcome.FAILURE]


async def test_a_second_try_that_works_is_the_result(bench):
    bench.engine.script = deque([EngineConflict("not yet"), GOOD])
    bench.prober.sync((target(),))
    await bench.clock.settle()
    assert bench.times == [0, 0]
    assert bench.news == []
    assert bench.prober.verdicts == {"c0": Verdicts(ready=True)}


async def test_the_unforeseen_does_not_end_a_probe(bench):
    bench.engine.script = deque([ZeroDivisionError("oh"), ZeroDivisionError("oh"), ZeroDivisionError("oh"), GOOD])
    bench.prober.sync((target(period_seconds=1),))
    await bench.pass_time(1)
    assert [n.message for n in bench.news] == [
        "Readiness probe errored and resulted in unknown state: ZeroDivisionError: oh"
    ]
    assert bench.prober.verdicts == {"c0": Verdicts(ready=True)}


# --- starting, stopping, holding --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "result", "verdicts"),
    [
        ("startup", GOOD, Verdicts(started=True)),
        ("startup", BAD, Verdicts(started=False)),
        ("liveness", BAD, Verdicts(live=False)),
    ],
)
async def test_a_decided_probe_rests_until_there_is_a_new_instance(bench, kind, result, verdicts):
    bench.engine.script = deque([result])
    first = target(kind, failure_threshold=1)
    bench.prober.sync((first,))
    await bench.heard()
    bench.prober.sync((first,))
    await asyncio.sleep(0)
    assert bench.clock.sleepers == 0
    assert bench.engine.calls == [(0, "c0")]
    assert bench.prober.verdicts == {"c0": verdicts}
    bench.prober.sync(())
    bench.prober.sync((first,))
    await asyncio.sleep(0)
    assert bench.engine.calls == [(0, "c0")]
    bench.prober.sync((target(kind, "c1", failure_threshold=1),))
    await bench.heard()
    assert bench.engine.calls == [(0, "c0"), (0, "c1")]


async def test_a_probe_no_longer_asked_for_stops_but_its_verdict_stands(bench):
    """A container has started even though the startup probe, having said so, is no longer asked for."""
    bench.prober.sync((target("startup"), target("liveness", "c1", "db")))
    await bench.heard()
    bench.prober.sync((target("liveness", "c1", "db"),))
    await bench.pass_time(25)
    assert bench.prober.verdicts == {"c0": Verdicts(started=True), "c1": Verdicts(live=True)}
    bench.prober.sync(())
    assert bench.clock.sleepers == 1
    await bench.clock.settle(0)
    assert bench.prober.verdicts == {"c0": Verdicts(started=True), "c1": Verdicts(live=True)}


async def test_a_new_instance_begins_anew_and_ends_the_memory_of_the_old(bench):
    bench.prober.sync((target(),))
    await bench.heard()
    assert bench.prober.verdicts == {"c0": Verdicts(ready=True)}
    bench.prober.sync((target(container_id="c1", initial_delay_seconds=5),))
    assert bench.prober.verdicts == {"c1": Verdicts(ready=False)}


async def test_readiness_is_probed_at_once_when_asked_for(bench):
    bench.prober.sync((target("startup"),))
    await bench.heard()
    bench.clock.advance(3)
    bench.prober.sync((target("readiness", period_seconds=60),))
    await bench.heard()
    assert bench.times == [0, 3]
    assert bench.prober.verdicts == {"c0": Verdicts(started=True, ready=True)}


async def test_the_newest_target_is_the_one_that_is_probed(bench):
    """A pod's IP may come to be known, or change, while its containers run."""
    async with http_server(ok) as port:
        away = Probe(http_get=HTTPGetAction(port=closed_port()), period_seconds=1, failure_threshold=9)
        here = Probe(http_get=HTTPGetAction(port=port), period_seconds=1, failure_threshold=9)
        unprobed = target()
        bench.prober.sync((with_probe(unprobed, away),))
        await bench.clock.settle()
        assert len(bench.news) == 1
        bench.prober.sync((with_probe(unprobed, here),))
        bench.clock.advance(1)
        await bench.heard()
    assert bench.prober.verdicts == {"c0": Verdicts(ready=True)}


async def test_closing_waits_until_a_command_under_way_is_cancelled(bench):
    cleaned = []

    class SlowToLetGo(ExecEngine):
        async def exec(self, container_id: ContainerID, command: Sequence[str], timeout: float | None) -> ExecResult:
            try:
                return await super().exec(container_id, command, timeout)
            finally:
                for _ in range(5):
                    await asyncio.sleep(0)
                cleaned.append(container_id)

    engine = SlowToLetGo(bench.clock)
    engine.script = deque([None])
    prober = Prober(engine, bench.clock, bench.results.clear, bench.news.append, lambda *_: None)
    prober.sync((target(),))
    await engine.began()
    await prober.aclose()
    assert cleaned == ["c0"]
    await prober.aclose()


STEPS = st.sampled_from(["good", "bad", "restart", "restart as a command ends"])


@given(st.lists(STEPS, max_size=20), st.integers(1, 3), st.integers(1, 3))
def test_only_results_of_the_present_instance_count(steps, success, failure):
    asyncio.run(live_through(steps, Probe(exec=COMMAND, success_threshold=success, failure_threshold=failure)))


async def live_through(steps: list[str], probe: Probe) -> None:
    bench, number, expected = Bench(), 0, begin("readiness")
    bench.engine.script = deque([None])
    bench.prober.sync((with_probe(target(container_id="c0"), probe),))
    for step in steps:
        await bench.engine.began()
        if step.startswith("restart"):
            if step != "restart":
                bench.engine.end(GOOD)
            number, expected = number + 1, begin("readiness")
            bench.prober.sync((with_probe(target(container_id=f"c{number}"), probe),))
        else:
            bench.engine.end(GOOD if step == "good" else BAD)
            await bench.clock.settle()
            bench.clock.advance(probe.period_seconds)
            expected, _ = advance(expected, probe, Outcome.SUCCESS if step == "good" else Outcome.FAILURE)
        assert bench.prober.verdicts == {f"c{number}": Verdicts(ready=expected.verdict)}
    await bench.prober.aclose()
    assert bench.prober.verdicts == {f"c{number}": Verdicts(ready=expected.verdict)}
