"""kill -9 of ``vkprovider run``, and the same command again: nothing runs twice, nothing is lost, nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.fakes.programs import Program, ends, ignores_term
from tests.fakes.virtual_time import T0, run_in_virtual_time, virtual_time
from tests.node.mortal import Life
from tests.standalone.processes import Docker, Process, Raw, bare_pod, box, job, running

MARK = {"env": [{"name": "__IS_SIDECAR__", "value": "true"}]}
SHORT = {"terminationGracePeriodSeconds": 5}


async def until_killed(process: Process) -> None:
    """Let a process work until its life is over, or its work is done."""
    async with running(process) as task:
        death = asyncio.create_task(process.life.over.wait())
        await asyncio.wait([death, task], return_when=asyncio.FIRST_COMPLETED)
        death.cancel()


class Twice(NamedTuple):
    """The same command in two processes, the first of which was killed."""

    docker: Docker
    first: Process
    second: Process
    code: int


async def run_twice(state_dir: Path, plot: Plot, life: Callable[[], Life]) -> Twice | None:
    """None if the first process had done all it does before its life was over."""
    docker = Docker()
    docker.programs |= {name: (program,) for name, program in plot.programs.items()}
    first = Process(state_dir, docker, *plot.objects, life=life())
    await until_killed(first)
    if not first.life.over.is_set():
        return None
    second = Process(state_dir, docker, *plot.objects)
    return Twice(docker, first, second, await second.run())


class Plot(NamedTuple):
    """Manifests, what their containers do, and how it must end: how many containers of each name have run then."""

    objects: tuple[Raw, ...]
    programs: dict[str, Program]
    code: int
    runs: dict[str, int]


TWO_COMPLETIONS = Plot(
    (job("test", box("app"), box("side", **MARK), completions=2, pod_spec=SHORT),),
    {"app": ends(0, after=10), "side": ignores_term()},
    code=0,
    runs={"app": 2, "side": 2},
)
A_FAILURE = Plot(
    (job("test", box("app"), backoffLimit=1), bare_pod("p", box("alone"))),
    {"app": ends(3, after=1), "alone": ends(0, after=5)},
    code=3,
    runs={"app": 2, "alone": 1},
)


@pytest.mark.parametrize("plot", [TWO_COMPLETIONS, A_FAILURE], ids=["two completions", "a failure"])
@pytest.mark.parametrize(("first", "after"), [(1, False), (2, True)], ids=["before", "after"])
def test_kill_9_at_any_moment(tmp_path: Path, plot: Plot, first: int, after: bool):
    for last in count(first, step=3):
        state_dir = tmp_path / str(last)
        twice = run_in_virtual_time(run_twice(state_dir, plot, lambda last=last: Life(last, after=after)))
        if twice is None:
            break
        assert twice.code == plot.code
        assert twice.second.directory.run_id == twice.first.directory.run_id
        for name, times in plot.runs.items():
            assert [c.runs for c in twice.docker.ever(name) if c.runs] == [1] * times
        status = twice.second.jobs()["test"]
        assert (status.get("succeeded", 0), status.get("failed", 0)) == ((2, 0) if plot.code == 0 else (0, 2))
        assert len(twice.second.pods()) == 2 + ("alone" in plot.runs)
        assert twice.docker.containers == []
        assert list((state_dir / "runs").iterdir()) == []
    assert last > 40


async def killed_after(seconds: float, process: Process) -> None:
    async with running(process):
        await process.node_is_up()
        await process.node.clock.sleep(seconds)


def begins(docker: Docker, name: str) -> list[float]:
    return [(c.started_at - T0).total_seconds() for c in docker.ever(name) if c.started_at is not None]


@virtual_time
async def test_a_running_pod_is_taken_over_where_it_stands(tmp_path: Path):
    docker = Docker()
    docker.program("app", ends(0, after=10))
    await killed_after(5, Process(tmp_path, docker, job("test", box("app"))))
    again = Process(tmp_path, docker, job("test", box("app")))
    assert await again.run() == 0
    assert again.took_over == 1
    assert begins(docker, "app") == [0]
    assert again.node.clock.monotonic() == 10


@virtual_time
async def test_a_back_off_goes_on(tmp_path: Path):
    docker = Docker()
    docker.program("app", ends(1))
    objects = (job("test", box("app"), backoffLimit=3),)
    await killed_after(25, Process(tmp_path, docker, *objects))
    again = Process(tmp_path, docker, *objects)
    assert await again.run() == 1
    assert again.took_over == 2
    assert begins(docker, "app") == [0, 10, 30, 70]


@virtual_time
async def test_what_ended_while_nobody_was_there(tmp_path: Path):
    docker = Docker()
    docker.program("app", ends(0, after=10))
    docker.program("side", ignores_term())
    objects = (job("test", box("app"), box("side", **MARK), pod_spec=SHORT),)
    await killed_after(5, Process(tmp_path, docker, *objects))
    clock = docker.nodes[next(iter(docker.nodes))]._wall
    await clock.sleep(100)
    again = Process(tmp_path, docker, *objects)
    assert await again.run() == 0
    (app,), (side,) = docker.ever("app"), docker.ever("side")
    assert app.finished_at is not None
    assert side.finished_at is not None
    assert (app.finished_at - T0).total_seconds() == 10
    assert (side.finished_at - T0).total_seconds() == 110  # the end begins when it is seen


@virtual_time
async def test_an_interrupt_survives_a_kill(tmp_path: Path):
    """Who killed it while it stopped wants the same command to begin where that was: at the end."""
    docker = Docker()
    docker.program("app", ignores_term())
    process = Process(tmp_path, docker, job("test", box("app")))
    async with running(process):
        await process.node_is_up()
        await process.node.clock.sleep(5)
        process.runner.interrupt(2)
        await process.node.clock.sleep(5)
    again = Process(tmp_path, docker, job("test", box("app")))
    await again.run()
    assert begins(docker, "app") == [0]
    assert again.node.clock.monotonic() == 35


@virtual_time
async def test_a_run_of_other_manifests_takes_nothing_over(tmp_path: Path):
    docker = Docker()
    docker.program("app", ends(0, after=10))
    first = Process(tmp_path, docker, job("test", box("app")))
    await killed_after(5, first)
    other = Process(tmp_path, docker, job("test", box("app"), backoffLimit=1))
    assert await other.run() == 0
    assert (other.took_over, other.directory.run_id != first.directory.run_id) == (0, True)
    assert len(docker.ever("app")) == 2
    again = Process(tmp_path, docker, job("test", box("app")))
    assert await again.run() == 0
    assert (again.took_over, again.directory.run_id) == (1, first.directory.run_id)
    assert len(docker.ever("app")) == 2


@virtual_time
async def test_of_two_interrupted_runs_each_is_taken_over_once(tmp_path: Path):
    docker = Docker()
    docker.program("app", ends(0, after=10))
    two = [Process(tmp_path, docker, job("test", box("app"))) for _ in range(2)]
    await asyncio.gather(*(killed_after(5, process) for process in two))
    three = [Process(tmp_path, docker, job("test", box("app"))) for _ in range(3)]
    assert await asyncio.gather(*(process.run() for process in three)) == [0, 0, 0]
    assert sorted(process.took_over for process in three) == [0, 1, 1]
    assert sorted(begins(docker, "app")) == [0, 0, 5]
