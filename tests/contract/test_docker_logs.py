"""Logs on a real engine while its files are rotated, and of many containers at once."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing

import docker
import pytest

from tests.contract.benches import PATIENCE, Bench, DockerBench, said
from vkprovider.engine.docker_engine import THREADS
from vkprovider.engine.endpoint import find_endpoint
from vkprovider.model.create import LogLimits
from vkprovider.model.engine import LogLine

pytestmark = pytest.mark.docker

COUNT = 20_000
SMALL = LogLimits(max_bytes=500_000, max_files=3)
LARGER = LogLimits(max_bytes=1_000_000, max_files=5)  # it keeps all of FLOOD, and is rotated three times
FLOOD = f"awk 'BEGIN {{ for (i = 0; i < {COUNT}; i++) printf \"%0100d\\n\", i }}'"
SLOWLY = "n=0; while [ $n -lt 600 ]; do echo $n; n=$((n+1)); usleep 1000; done"
FOLLOWERS = 100
POOLS = 2 * THREADS + min(32, (os.cpu_count() or 1) + 4)  # the engine's and asyncio's, whatever is asked of them


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


async def test_following_many_takes_no_threads(bench: Bench) -> None:
    before = threading.active_count()
    container_id = await bench.run("app", "echo first; read word; echo $word; sleep 1000", stdin=True)
    await said(bench, container_id)
    heard: list[bytes] = []
    all_heard = asyncio.Event()

    async def follow() -> None:
        async with aclosing(bench.engine.logs(container_id, follow=True)) as lines:  # type: ignore[type-var]
            async for line in lines:
                heard.append(line.data)
                if len(heard) in (FOLLOWERS, 2 * FOLLOWERS):
                    all_heard.set()

    async with asyncio.timeout(2 * PATIENCE), asyncio.TaskGroup() as group:
        followers = [group.create_task(follow()) for _ in range(FOLLOWERS)]
        await all_heard.wait()
        assert threading.active_count() - before <= POOLS
        all_heard.clear()
        async with bench.engine.open_attach(container_id, stdin=True) as streams:
            await streams.write(b"word\n")
            await all_heard.wait()
        for follower in followers:
            follower.cancel()
    assert heard == [b"first\n"] * FOLLOWERS + [b"word\n"] * FOLLOWERS
