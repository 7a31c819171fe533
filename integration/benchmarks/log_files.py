"""How fast pods' log files are written, beside what the engine does with the same output.

    python -m integration.benchmarks.log_files [MEGABYTES]

Claims: writing a log file from the engine's takes no longer than ``docker logs`` takes to read it, for lines of 100
bytes and longer; a container that talks as fast as it can loses no line, and holds the event loop up for less than
0.2 s, on an idle machine.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from integration.cluster.nodes import IMAGE, make_image
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.model.create import ContainerCreate, LogLimits
from vkprovider.model.engine import LogTarget
from vkprovider.model.labels import NODE
from vkprovider.model.refs import ContainerID

NAME = "bench-log-files"
WIDTHS = (20, 100, 1000)  # bytes of a line
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
    count = megabytes * 1_000_000 // width
    script = f"yes $(head -c {width - 1} /dev/zero | tr '\\0' x) | head -n {count}"
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
    lines = megabytes * 1_000_000 // width
    begun = time.perf_counter()
    container_id = await flood(engine, width, megabytes, LogLimits())
    live = await copied(engine, container_id, folder / f"{width}-live", lines)
    seconds = time.perf_counter() - begun
    await engine.remove(container_id)
    print(f"{width:5} bytes a line, as it comes:   {megabytes / seconds:6.1f} MB/s   event loop late by {live:.3f} s")
    container_id = await flood(engine, width, megabytes, UNLIMITED)
    await asyncio.to_thread(subprocess.run, ["docker", "wait", container_id], check=True, stdout=subprocess.DEVNULL)
    begun = time.perf_counter()
    with (folder / "docker").open("wb") as out:
        await asyncio.to_thread(subprocess.run, ["docker", "logs", container_id], check=True, stdout=out)
    theirs = time.perf_counter() - begun
    begun = time.perf_counter()
    await copied(engine, container_id, folder / f"{width}-there", lines)
    ours = time.perf_counter() - begun
    await engine.remove(container_id)
    print(f"{'':18}from files: {megabytes / ours:6.1f} MB/s   docker logs {megabytes / theirs:.1f} MB/s", end="")
    print(f"   ratio {ours / theirs:.2f}", flush=True)


async def copied(engine: DockerEngine, container_id: ContainerID, path: Path, lines: int) -> float:
    target = LogTarget(path=str(path), note=f"{path}-note", limits=UNLIMITED)
    late = await worst_delay(asyncio.create_task(engine.copy_log(container_id, target)))
    found = await asyncio.to_thread(count_and_remove, path)
    assert found == lines, f"{found} lines of {lines}"
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
    asyncio.run(bench_all(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
