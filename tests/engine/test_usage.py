"""What containers use, from files of this machine or from the engine's answers, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.engine.machines import FileMachine, container_id
from tests.kube.quick_clock import T0, QuickClock
from vkprovider.engine.cgroups import Cgroups
from vkprovider.engine.machine_files import MachineFiles
from vkprovider.engine.usage import APART_SECONDS, KEPT_SECONDS, STALE_SECONDS, EngineUsage
from vkprovider.errors import EngineNotFound, EngineUnavailable
from vkprovider.model.labels import CONTAINER_TYPE, ContainerIdentity
from vkprovider.model.refs import ContainerID, PodUID
from vkprovider.model.usage import RunningContainer

SECOND = 10**9
STATS = {
    "cpu_stats": {
        "cpu_usage": {"total_usage": 3 * SECOND, "usage_in_kernelmode": SECOND, "usage_in_usermode": 2 * SECOND},
        "throttling_data": {"periods": 33, "throttled_periods": 31, "throttled_time": 1519478747},
    },
    "memory_stats": {"usage": 487424, "max_usage": 4341760, "stats": {"total_rss": 65536, "total_inactive_file": 424}},
    "pids_stats": {"current": 4, "limit": 18446744073709551615},
    "blkio_stats": {
        "io_service_bytes_recursive": [{"major": 8, "minor": 0, "op": "Read", "value": 4096}],
        "io_serviced_recursive": None,
    },
    "networks": {"eth0": {"rx_bytes": 736, "rx_packets": 8, "tx_bytes": 12}},
}


class BusyClock(QuickClock):
    """While it is waited on, something happens."""

    meanwhile: Callable[[], None] | None = None

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        if self.meanwhile is not None:
            self.meanwhile()


class Bench:
    """Containers of an engine on a machine. ``hidden`` are those whose cgroups cannot be seen."""

    def __init__(self, root: Path) -> None:
        self.machine = FileMachine(root)
        self.clock = BusyClock()
        self.engine: list[ContainerID] = []
        self.pids: dict[ContainerID, int] = {}
        self.calls: list[str] = []
        self.stats: dict[ContainerID, Any] = {}
        self.failure: Exception | None = None
        machine = MachineFiles(self.clock.now, root)
        self.usages = EngineUsage(self.running, self, self.clock, machine, Cgroups(root))  # type: ignore[arg-type]

    def add(self, number: int = 42, *, hidden: bool = False) -> ContainerID:
        name = container_id(number) if hidden else self.machine.add(number)
        self.engine.append(name)
        self.pids[name] = number
        return name

    async def running(self) -> tuple[RunningContainer, ...]:
        self.calls.append("list")
        if self.failure is not None:
            raise self.failure
        return tuple(
            RunningContainer(
                id=name,
                created_at=T0,
                identity=ContainerIdentity(
                    node="n",
                    type=CONTAINER_TYPE,
                    pod_name="p",
                    pod_namespace="default",
                    pod_uid=PodUID("u"),
                    name=f"c{self.pids[name]}",
                ),
            )
            for name in self.engine
        )

    async def call(self, method: str, path: str, *, params: Mapping[str, str | int] | None = None) -> Any:
        _, _, name, what = path.split("/")
        self.calls.append(what)
        await asyncio.sleep(0)
        if name not in self.engine:
            raise EngineNotFound(name)
        if what == "stats":
            return self.stats[ContainerID(name)]
        started = (T0 - timedelta(seconds=100)).isoformat()
        running = self.pids[ContainerID(name)] > 0
        state = {"Running": running, "Pid": self.pids[ContainerID(name)], "StartedAt": started}
        return {"State": state, "HostConfig": {"NetworkMode": "default", "Memory": 1 << 20}, "LogPath": "/log"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_the_first_answer_has_rates(bench: Bench):
    """They are told from two readings."""
    name = bench.add()
    bench.machine.burn(name, 10 * SECOND)
    bench.clock.meanwhile = lambda: bench.machine.burn(name, 10 * SECOND + SECOND // 2)
    usage = await bench.usages.usage()
    assert bench.clock.waits == [APART_SECONDS]
    assert usage.containers[name].nanocores == SECOND // 2
    assert usage.containers[name].reading.cpu.total == 10 * SECOND + SECOND // 2


async def test_rates_are_those_since_the_last_answer(bench: Bench):
    name = bench.add()
    bench.machine.burn(name, SECOND)
    await bench.usages.usage()
    bench.machine.burn(name, 16 * SECOND)
    bench.clock.elapsed += KEPT_SECONDS
    usage = await bench.usages.usage()
    assert usage.containers[name].nanocores == 15 * SECOND // KEPT_SECONDS
    assert bench.clock.waits == [APART_SECONDS]  # the first time alone


async def test_what_has_just_begun_has_its_average(bench: Bench):
    await bench.usages.usage()
    name = bench.add()
    bench.machine.burn(name, 200 * SECOND)
    bench.clock.elapsed += KEPT_SECONDS
    usage = await bench.usages.usage()
    lasted = (usage.containers[name].at - usage.containers[name].started_at).total_seconds()
    assert usage.containers[name].nanocores == round(200 * SECOND / lasted) > 0


async def test_a_reading_of_long_ago_says_nothing_of_now(bench: Bench):
    name = bench.add()
    bench.machine.burn(name, SECOND)
    await bench.usages.usage()
    bench.machine.burn(name, 1000 * SECOND)
    bench.clock.elapsed += STALE_SECONDS
    usage = await bench.usages.usage()
    assert usage.containers[name].nanocores == 0
    assert bench.clock.waits == [APART_SECONDS] * 2


async def test_all_who_ask_at_once_are_answered_by_one_look(bench: Bench):
    bench.add()
    answers = await asyncio.gather(*(bench.usages.usage() for _ in range(20)))
    assert bench.calls == ["list", "json", "list"]
    assert all(answer is answers[0] for answer in answers)
    bench.clock.elapsed += KEPT_SECONDS - 0.1
    assert await bench.usages.usage() is answers[0]
    bench.clock.elapsed += 0.1
    assert await bench.usages.usage() is not answers[0]
    assert bench.calls == ["list", "json", "list", "list"]  # a container is inspected once in its life


async def test_who_has_ended_is_left_out(bench: Bench):
    name, other = bench.add(42), bench.add(43)
    await bench.usages.usage()
    bench.machine.end(name)  # the engine has not noticed yet
    bench.clock.elapsed += KEPT_SECONDS
    assert set((await bench.usages.usage()).containers) == {other}
    bench.engine.remove(name)
    bench.clock.elapsed += KEPT_SECONDS
    assert set((await bench.usages.usage()).containers) == {other}


@pytest.mark.parametrize("later", [KEPT_SECONDS, STALE_SECONDS])
async def test_the_time_of_who_has_ended_stays_with_its_pod(bench: Bench, later: float):
    name, other = bench.add(42), bench.add(43)
    bench.machine.burn(name, 7 * SECOND)
    assert (await bench.usages.usage()).former == {}
    bench.machine.end(name)
    bench.clock.elapsed += later
    assert (await bench.usages.usage()).former == {"u": 7 * SECOND}
    bench.clock.elapsed += later
    assert (await bench.usages.usage()).former == {"u": 7 * SECOND}
    bench.machine.end(other)  # the pod is over
    bench.clock.elapsed += later
    assert (await bench.usages.usage()).former == {}


@pytest.mark.parametrize("parent", ["vkprovider/podu", "vkprovider/podother", "docker"])
async def test_a_pods_own_cgroup_says_what_it_has_used(bench: Bench, parent: str):
    bench.machine.add_pod(parent)
    name = bench.machine.add(42, parent)
    bench.engine.append(name)
    bench.pids[name] = 42
    bench.machine.burn(name, SECOND, parent)
    bench.machine.burn("", 9 * SECOND, parent)
    found = {uid: reading.cpu.total for uid, reading in (await bench.usages.usage()).pods.items()}
    assert found == ({"u": 9 * SECOND} if parent == "vkprovider/podu" else {})


async def test_who_ends_before_it_is_known_is_left_out(bench: Bench):
    name = bench.add()
    bench.pids[name] = 0
    assert (await bench.usages.usage()).containers == {}


async def test_the_engine_is_asked_where_cgroups_cannot_be_seen(bench: Bench):
    seen, hidden = bench.add(42), bench.add(43, hidden=True)
    bench.stats[hidden] = STATS
    usage = await bench.usages.usage()
    assert set(usage.containers) == {seen, hidden}
    reading = usage.containers[hidden].reading
    assert (reading.cpu.total, reading.cpu.user, reading.cpu.throttled_periods) == (3 * SECOND, 2 * SECOND, 31)
    assert (reading.memory.usage, reading.memory.working_set, reading.memory.rss) == (487424, 487000, 65536)
    assert (reading.memory.limit, reading.processes, reading.threads_max) == (1 << 20, 4, 0)
    assert [(io.major, io.read_bytes, io.reads) for io in reading.io] == [(8, 4096, 0)]
    assert [(each.name, each.rx_bytes, each.tx_bytes) for each in reading.network] == [("eth0", 736, 12)]


async def test_the_engines_zeros_of_one_that_has_ended_are_no_numbers(bench: Bench):
    hidden = bench.add(43, hidden=True)
    bench.stats[hidden] = {"cpu_stats": {"cpu_usage": {"total_usage": 0}}, "memory_stats": {}, "pids_stats": {}}
    assert (await bench.usages.usage()).containers == {}


async def test_a_failure_is_told_and_the_next_answer_is_whole(bench: Bench):
    name = bench.add()
    bench.failure = EngineUnavailable("gone")
    with pytest.raises(EngineUnavailable, match="gone"):
        await bench.usages.usage()
    bench.failure = None
    assert set((await bench.usages.usage()).containers) == {name}


async def test_the_machine(bench: Bench):
    usage = await bench.usages.usage()
    machine = usage.machine
    assert machine.booted_at == datetime.fromtimestamp(1767322800, UTC)
    assert (machine.cpus, machine.cpu.total, machine.capacity) == (2, 15 * SECOND, 16000 << 10)
    memory = machine.memory
    assert (memory.usage, memory.working_set, memory.rss) == (10000 << 10, 9000 << 10, 3000 << 10)
    assert (memory.page_faults, memory.major_page_faults, memory.oom_kills) == (12, 3, 1)
    assert (machine.threads, machine.threads_max) == (391, 4000)
    assert [each.name for each in machine.network] == ["eth0"]  # the others are containers' ends
    bench.machine.write("proc/stat", "cpu  1500 0 1000 9000 0 0 0 0 0 0\ncpu0 1\ncpu1 1\nbtime 1767322800\n")
    bench.clock.elapsed += KEPT_SECONDS
    assert (await bench.usages.usage()).machine.nanocores == SECOND
