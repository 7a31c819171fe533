"""How fast pods' log files are written, beside what the engine does with the same output.

    python -m integration.benchmarks.log_files [MEGABYTES]

Claims: writing a log file from the engine's takes no longer than ``docker logs`` takes to read it, for lines of 100
bytes and longer, and no more than a processor's second for 100 MB of them; a container that talks as fast as it can
loses no line, and holds the event loop up for less than 0.2 s, on an idle machine.
"""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from integration.cluster.nodes import IMAGE, make_image
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.engine.log_copy import LogCopy, Order
from vkprovider.engine.log_file import ahead
from vkprovider.model.create import ContainerCreate, LogLimits
from vkprovider.model.engine import LogTarget
from vkprovider.model.labels import NODE
from vkprovider.model.refs import ContainerID
from vkprovider.wire.pod_log import CriFormat

NAME = "bench-log-files"
WIDTHS = (20, 100, 1000, 1_000_000)  # bytes of a line
SAID = 10_000_000  # bytes that are said at a time
PIECE = 16 * 1024  # bytes; a longer line is as many entries as it takes
UNLIMITED = LogLimits(max_bytes=1 << 50)
TICK = 0.01  # seconds


async def worst_delay(of: asyncio.Task[None]) -> float:
    """By how many seconds the event loop was late at most, meanwhile."""
    worst = 0.0
    while not of.done():
        begun = time.perf_counter()
        await asyncio.sleep(TICK)
        worst = max(worst, time.perf_counter() - begun - TICK)
    await of
    return worst


async def flood(engine: DockerEngine, width: int, megabytes: int, limits: LogLimits) -> ContainerID:
    """A container that does not take long to think of what it says."""
    line = f"$(head -c {width - 1} /dev/zero | tr '\\0' x)"
    again = " ".join(["/dev/shm/said"] * (megabytes * 1_000_000 // SAID))
    script = f"yes {line} | head -c {SAID} >/dev/shm/said; exec cat {again}"
    if width > 100_000:  # more than an argument may have
        script = f"(head -c {width - 1} /dev/zero | tr '\\0' x; echo) >/dev/shm/line; cat "
        script += " ".join(["/dev/shm/line"] * (SAID // width)) + f" >/dev/shm/said; exec cat {again}"
    spec = ContainerCreate(
        name=f"{NAME}-{width}",
        image=IMAGE,
        labels={NODE: NAME},
        entrypoint=("sh", "-c", script),
        log_limits=limits,
    )
    container_id = await engine.create(spec)
    await engine.start(container_id)
    return container_id


async def bench(engine: DockerEngine, folder: Path, width: int, megabytes: int) -> None:
    """Once as it comes, over rotations, and once more from files that are all there."""
    entries = megabytes * 1_000_000 // width * math.ceil((width - 1) / PIECE)
    begun = time.perf_counter()
    container_id = await flood(engine, width, megabytes, LogLimits())
    live = await copied(engine, container_id, folder / f"{width}-live", entries)
    seconds = time.perf_counter() - begun
    await engine.remove(container_id)
    print(f"{width:7} bytes a line, as it comes:   {megabytes / seconds:6.1f} MB/s   event loop late by {live:.3f} s")
    container_id = await flood(engine, width, megabytes, UNLIMITED)
    await run("docker", "wait", container_id)
    begun = time.perf_counter()
    await run("docker", "logs", container_id, to=folder / "docker")
    theirs = time.perf_counter() - begun
    begun = time.perf_counter()
    await copied(engine, container_id, folder / f"{width}-there", entries)
    ours = time.perf_counter() - begun
    source = await run("docker", "inspect", "--format={{.LogPath}}", container_id)
    processor = await asyncio.to_thread(processor_seconds, source.strip(), folder / f"{width}-again")
    await engine.remove(container_id)
    print(f"{'':20}from files: {megabytes / ours:6.1f} MB/s   docker logs {megabytes / theirs:.1f} MB/s", end="")
    print(f"   ratio {ours / theirs:.2f}   a processor's second: {megabytes / processor:.1f} MB", flush=True)


async def run(*command: str, to: Path | None = None) -> str:
    """What a command says, unless that goes to a file."""
    with to.open("w") if to else tempfile.TemporaryFile("w+") as out:
        await asyncio.to_thread(subprocess.run, command, check=True, stdout=out)
        if to:
            return ""
        out.seek(0)
        return out.read()


def processor_seconds(source: str, path: Path) -> float:
    """What it costs to copy, whoever else is at work on the machine."""
    order = Order(NAME, source, str(path), f"{path}-note", UNLIMITED)
    with closing(LogCopy(order, CriFormat(ahead))) as copy:
        begun = time.thread_time()
        while copy.step():
            pass
        seconds = time.thread_time() - begun
    path.unlink()
    return seconds


async def copied(engine: DockerEngine, container_id: ContainerID, path: Path, entries: int) -> float:
    target = LogTarget(path=str(path), note=f"{path}-note", limits=UNLIMITED)
    late = await worst_delay(asyncio.create_task(engine.copy_log(container_id, target)))
    found = await asyncio.to_thread(count_and_remove, path)
    assert found == entries, f"{found} entries of {entries}"
    return late


def count_and_remove(path: Path) -> int:
    with path.open("rb") as file:
        count = sum(1 for _ in file)
    path.unlink()
    return count


async def bench_all(megabytes: int) -> None:
    engine = DockerEngine(NAME)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for width in WIDTHS:
                await bench(engine, Path(folder), width, megabytes)
    finally:
        await engine.close()


if __name__ == "__main__":
    make_image()
    asyncio.run(bench_all(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
