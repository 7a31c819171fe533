"""A container that says more than Docker can write: no line is lost, and the node has its hands free.

Docker itself manages less on most machines. So another program writes in its stead to the file of a container that says
nothing, with Docker's own limits, and renames and removes as Docker does.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import docker
import pytest

from integration.docker import driver_program
from integration.docker.own_node import own_node
from integration.docker.pods import UNTIL_TERM, pod, shell
from integration.docker.records import Records
from vkprovider.engine import log_copier
from vkprovider.model.create import LogLimits
from vkprovider.model.engine import LogTarget

pytestmark = pytest.mark.docker

LEAST, SPEED = 300, 130  # megabytes, and of them in a second
LONGEST = 60.0  # seconds
DRIVER, KEPT = LogLimits(), LogLimits(max_files=100)
LINE = re.compile(rb"[-:.T\d]{29}\S+ stdout F (\d+) x+\n")
AT_ONCE = 2 << 20  # bytes by which a file may be too large, as so much is written at once
TICK = 0.01  # seconds
LATE = 0.25  # seconds
MEMORY = 128 << 10  # KiB


class Lateness:
    """By how many seconds the event loop came late at most, not counting those in which others had the processor."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def watch(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            begun, delay = clock(), delayed()
            await asyncio.sleep(TICK)
            self.worst = max(self.worst, clock() - begun - TICK - (delayed() - delay))


def delayed() -> float:
    """Seconds in which this thread could have run, but did not (Documentation/scheduler/sched-stats.rst)."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


def most_memory() -> int:
    """Of the process that copies logs: KiB."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    name = log_copier.__name__.encode()
    (copier,) = (pid for pid in children if name in Path(f"/proc/{pid}/cmdline").read_bytes())
    (most,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{copier}/status").read_text())
    return int(most)


@asynccontextmanager
async def watched() -> AsyncIterator[Lateness]:
    lateness = Lateness()
    task = asyncio.create_task(lateness.watch())
    yield lateness
    task.cancel()


@asynccontextmanager
async def flooded(path: str) -> AsyncIterator[Process]:
    numbers = map(str, (LEAST, SPEED, DRIVER.max_bytes, DRIVER.max_files))
    program = (sys.executable, "-m", driver_program.__name__, path, *numbers)
    driver = await asyncio.create_subprocess_exec(*program, stdin=PIPE, stdout=PIPE)
    try:
        async with asyncio.timeout(LONGEST):
            yield driver
    finally:
        with suppress(ProcessLookupError):
            driver.kill()


def check(target: Path) -> int:
    """Every line once, in order, in files of bounded size; how many."""
    files = [*sorted(target.parent.glob(f"{target.name}.*")), target]
    count = 0
    for file in files:
        assert file.stat().st_size <= KEPT.max_bytes + AT_ONCE, file
        with file.open("rb") as lines:
            for line in lines:
                found = LINE.fullmatch(line)
                assert found, line[:100]
                assert int(found[1]) == count, file
                count += 1
    assert len(files) > LEAST * 10**6 // (KEPT.max_bytes + AT_ONCE)
    return count


async def test_not_a_line_is_lost_and_nobody_has_to_wait(
    records: Records, client: docker.APIClient, tmp_path: Path
) -> None:
    path = tmp_path / "0.log"
    target = LogTarget(path=str(path), note=str(tmp_path / "note"), limits=KEPT)
    async with own_node(records, tmp_path / "node") as node:
        node.run(pod("flood", shell("says", UNTIL_TERM), shell("dies", UNTIL_TERM), restartPolicy="Always"))
        await node.until_up("says", "dies")
        says, dies = await node.container("says"), await node.container("dies")
        source = (await asyncio.to_thread(client.inspect_container, says))["LogPath"]
        copying = asyncio.create_task(node.engine.copy_log(says, target))
        async with flooded(source) as driver, watched() as lateness:
            await asyncio.to_thread(client.kill, dies)
            await node.witness.until_restarted("dies")
            assert driver.returncode is None
            said, _ = await driver.communicate(b"")
        lines, seconds = said.split()
        memory = most_memory()
        await asyncio.to_thread(client.kill, says)
        await copying
    assert await asyncio.to_thread(check, path) == int(lines)
    print(f"{int(lines) * driver_program.WIDTH / float(seconds) / 1e6:.0f} MB/s, late by {lateness.worst:.3f} s")
    assert lateness.worst < LATE
    assert memory < MEMORY
