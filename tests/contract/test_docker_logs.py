"""Logs on a real engine while its files are rotated, and of many containers at once."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import docker
import pytest

from tests.contract.benches import PATIENCE, Bench, DockerBench
from vkprovider.engine.docker_engine import THREADS
from vkprovider.engine.endpoint import find_endpoint
from vkprovider.engine.streaming import Streaming
from vkprovider.engine.streams import logs
from vkprovider.engine.unary import Unary
from vkprovider.model.create import LogLimits
from vkprovider.model.engine import LogLine, LogTarget
from vkprovider.model.refs import ContainerID

pytestmark = pytest.mark.docker

COUNT = 20_000
SMALL = LogLimits(max_bytes=500_000, max_files=3)
LARGER = LogLimits(max_bytes=1_000_000, max_files=5)  # it keeps all of FLOOD, and is rotated three times
FLOOD = f"awk 'BEGIN {{ for (i = 0; i < {COUNT}; i++) printf \"%0100d\\n\", i }}'"
SLOWLY = "n=0; while [ $n -lt 600 ]; do echo $n; n=$((n+1)); usleep 1000; done"
MANY = 100
POOLS = 2 * 2 * THREADS + min(32, (os.cpu_count() or 1) + 4)  # of engines and of asyncio, whatever is asked of them
Follow = Callable[[ContainerID], AsyncIterator[LogLine]]


@pytest.fixture
def unclean_bench(client: docker.APIClient, images: tuple[str, str]) -> DockerBench:
    return DockerBench(client, *images, find_endpoint().url)


async def numbers(lines: AsyncIterator[LogLine]) -> list[int]:
    async with asyncio.timeout(3 * PATIENCE):
        return [int(line.data) async for line in lines]


@pytest.mark.parametrize(
    ("script", "count", "limits"), [(FLOOD, COUNT, LARGER), (SLOWLY, 600, LogLimits(max_bytes=5000, max_files=2))]
)
async def test_who_follows_hears_each_line_once_over_rotations(
    bench: Bench, script: str, count: int, limits: LogLimits
) -> None:
    container_id = await bench.run("app", f"sleep 0.3; {script}", log_limits=limits)
    assert await numbers(bench.engine.logs(container_id, follow=True)) == list(range(count))


async def test_where_to_begin_to_follow(bench: Bench) -> None:
    container_id = await bench.run("app", f"{FLOOD}; echo 123456", log_limits=SMALL)
    await bench.ended(container_id)
    everything = [line async for line in bench.engine.logs(container_id)]
    assert 0 < len(everything) < COUNT  # the engine has thrown away the rest
    followed = [line async for line in bench.engine.logs(container_id, follow=True)]
    assert followed == everything
    for tail in (0, 1, 2, 5000, len(everything) - 1, COUNT):
        found = [line async for line in bench.engine.logs(container_id, follow=True, tail=tail)]
        assert found == everything[max(0, len(everything) - tail) :]
    since = everything[-100].time
    found = [line async for line in bench.engine.logs(container_id, follow=True, since=since)]
    assert found == [line for line in everything if line.time >= since]


@pytest.fixture
async def many(bench: DockerBench) -> AsyncIterator[list[ContainerID]]:
    """Containers that run, have said their number, and say it again when they are told to end."""
    names = [f"app-{number}" for number in range(MANY)]
    scripts = [f"trap 'echo {name} ends; exit' TERM; echo {name}; sleep 1000 & wait" for name in names]
    yield await asyncio.gather(*(bench.run(*each, network="host") for each in zip(names, scripts, strict=True)))
    await asyncio.gather(*(bench.engine.remove(ContainerID(each)) for each in await asyncio.to_thread(bench.leftovers)))


@pytest.fixture
async def told() -> AsyncIterator[Follow]:
    """As the engine itself follows, which is for where its files cannot be read."""
    endpoint = await asyncio.to_thread(find_endpoint)
    unary = Unary(endpoint, THREADS, PATIENCE)
    streaming = Streaming(endpoint, unary)
    yield partial(logs, unary, streaming, follow=True)
    await streaming.close()
    await unary.close()


@pytest.mark.timeout(300)
async def test_following_many_containers_takes_no_threads(
    bench: DockerBench, many: list[ContainerID], told: Follow, tmp_path: Path
) -> None:
    """In the engine's files, by the engine's API, and into files for collectors."""
    before = threading.active_count()
    targets = [LogTarget(path=str(tmp_path / f"{each}.log"), note=str(tmp_path / each)) for each in many]
    heard: list[list[bytes]] = [[] for _ in range(2 * MANY)]
    engine = bench.docker
    streams = [engine.logs(each, follow=True) for each in many]
    streams += map(told, many)

    async def follow(lines: AsyncIterator[LogLine], into: list[bytes]) -> None:
        async for line in lines:
            into.append(line.data)

    async with asyncio.timeout(6 * PATIENCE), asyncio.TaskGroup() as group:
        for lines, into in zip(streams, heard, strict=True):
            group.create_task(follow(lines, into))
        for each, target in zip(many, targets, strict=True):
            group.create_task(engine.copy_log(each, target))
        while not all(heard):  # noqa: ASYNC110  they follow by many ways
            await asyncio.sleep(0.02)
        assert threading.active_count() - before <= POOLS
        await asyncio.gather(*(engine.signal(each, "TERM") for each in many))
    said = [[f"app-{number}\n".encode(), f"app-{number} ends\n".encode()] for number in range(MANY)]
    assert heard == 2 * said
    written = [(await asyncio.to_thread(Path(target.path).read_bytes)).splitlines(keepends=True) for target in targets]
    assert [[line.split(b" ", 3)[3] for line in lines] for lines in written] == said
