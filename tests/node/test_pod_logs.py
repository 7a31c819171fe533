"""Which pods have log files, where they lie, and who keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.core.given import container, pod
from vkprovider.core.decide import decide
from vkprovider.core.view import CoreSettings, PodView
from vkprovider.errors import EngineNotFound, EngineUnavailable
from vkprovider.model.create import LogLimits
from vkprovider.model.engine import LogTarget
from vkprovider.model.observed import ContainerState, PodObservation, Run
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ContainerID
from vkprovider.model.volume import STDLOG
from vkprovider.node.log_dirs import LogDirs
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.pod_logs import PodLogs
from vkprovider.node.watchers import Watchers

NOW = datetime(2026, 1, 2, tzinfo=UTC)
PATIENCE = 10.0
VOLUME = {"name": "std", "csi": {"driver": STDLOG}}


class Engine:
    """Keeps logs until it is told to let them end."""

    node = "node"

    def __init__(self) -> None:
        self.kept: list[tuple[ContainerID, LogTarget]] = []
        self.failures: list[Exception] = []
        self.asked = asyncio.Semaphore(0)
        self.ended = asyncio.Event()

    async def copy_log(self, container_id: ContainerID, target: LogTarget) -> None:
        self.kept.append((container_id, target))
        self.asked.release()
        if self.failures:
            raise self.failures.pop(0)
        await self.ended.wait()

    async def until_asked(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.asked.acquire()


class Clock:
    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def instance(number: int = 0, run: Run = Run.RUNNING, name: str = "app") -> ContainerState:
    return ContainerState(
        id=ContainerID(f"{name}-{number}"),
        name=name,
        attempt=number,
        sandbox_id=ContainerID("s"),
        run=run,
        created_at=NOW,
        started_at=None if run is Run.CREATED else NOW,
        image="i",
        image_id="i",
    )


def look(watcher: PodLogs | Watchers, given: Pod, *instances: ContainerState) -> None:
    view = PodView(
        pod=given, now=NOW, settings=CoreSettings(node_name="n"), observed=PodObservation(containers=instances)
    )
    watcher.looked(view, decide(view))


def with_volume(**spec: Any) -> Pod:
    return pod(container("app"), volumes=[VOLUME], **spec)


@asynccontextmanager
async def keeping(logs: PodLogs) -> AsyncIterator[None]:
    running = asyncio.create_task(logs.run())
    try:
        yield
    finally:
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_each_instance_that_has_run_is_kept_once(tmp_path: Path) -> None:
    engine, dirs = Engine(), PodDirs(str(tmp_path))
    logs = PodLogs(engine, LogDirs(dirs), Clock(), LogLimits(max_bytes=7))  # type: ignore[arg-type]
    given = with_volume()
    async with keeping(logs):
        look(Watchers(logs), given, instance(1, Run.CREATED), instance(0, Run.EXITED))
        await engine.until_asked()
        look(logs, given, instance(1), instance(0, Run.EXITED))
        await engine.until_asked()
        look(logs, given, instance(1), instance(0, Run.EXITED))
        assert [name for name, _ in engine.kept] == ["app-0", "app-1"]
        engine.ended.set()
        look(logs, given, instance(1), instance(0, Run.EXITED))
    path = f"{dirs.of(given.uid)}/logs/app/1.log"
    target = engine.kept[1][1]
    assert (target.path, target.limits) == (path, LogLimits(max_bytes=7))
    assert Path(path).read_bytes() == b""  # noqa: ASYNC240
    assert len(engine.kept) == 2


async def test_pods_without_the_volume_have_none(tmp_path: Path) -> None:
    engine = Engine()
    logs = PodLogs(engine, LogDirs(PodDirs(str(tmp_path))), Clock())  # type: ignore[arg-type]
    async with keeping(logs):
        look(logs, pod(container("app")), instance())
    assert engine.kept == []


async def test_what_fails_is_tried_again_until_the_container_is_gone(tmp_path: Path) -> None:
    engine, clock = Engine(), Clock()
    engine.failures = [EngineUnavailable("away"), EngineUnavailable("away"), EngineNotFound("gone")]
    logs = PodLogs(engine, LogDirs(PodDirs(str(tmp_path))), clock)  # type: ignore[arg-type]
    async with keeping(logs):
        look(logs, with_volume(), instance())
        for _ in range(3):
            await engine.until_asked()
    assert clock.slept == [5.0, 5.0]


def test_files_of_a_pod(tmp_path: Path) -> None:
    dirs = PodDirs(str(tmp_path))
    logs, given = LogDirs(dirs), with_volume(initContainers=[container("first")])
    for attempt in range(3):
        path, _ = logs.begin(given, "app", attempt)
        Path(path).write_text(f"{attempt}")
        Path(f"{path}.20260102-000000").touch()
    logs.begin(given, "app", 2)
    names = sorted(str(file.relative_to(dirs.of(given.uid))) for file in tmp_path.rglob("logs/**/*"))
    assert names == [
        "logs/app",
        "logs/app/1.log",
        "logs/app/1.log.20260102-000000",
        "logs/app/2.log",
        "logs/app/2.log.20260102-000000",
        "logs/first",
    ]
    assert Path(path).read_text() == "2"
    assert Path(path).stat().st_mode & 0o777 == 0o640
    assert Path(path).parent.stat().st_mode & 0o777 == 0o755


def test_all_pods_logs_in_one_place(tmp_path: Path) -> None:
    dirs = PodDirs(str(tmp_path / "node"), logs_root=str(tmp_path / "pods"))
    logs, given = LogDirs(dirs), pod(container("app"))
    assert logs.keeps(given)
    path, _ = logs.begin(given, "app", 0)
    shared = tmp_path / "pods" / f"{given.metadata.namespace}_{given.metadata.name}_{given.uid}"
    assert Path(path).samefile(shared / "app" / "0.log")
    logs.make(given)
    logs.remove_elsewhere(given.uid)
    assert not shared.exists()
    logs.remove_elsewhere(given.uid)


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_pod_that_has_begun_keeps_its_place(tmp_path: Path, attempts: int) -> None:
    dirs, given = PodDirs(str(tmp_path / "node")), with_volume()
    path, _ = LogDirs(dirs).begin(given, "app", 0)
    Path(path).write_text("said")
    dirs.logs_root = str(tmp_path / "pods")
    for _ in range(attempts):
        assert Path(LogDirs(dirs).begin(given, "app", 0)[0]).read_text() == "said"
    LogDirs(dirs).remove_elsewhere(given.uid)
    assert Path(path).read_text() == "said"
