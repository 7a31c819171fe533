"""A marked sidecar that fails while the app runs, under restartPolicy Never, which no sidecar heeds."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from integration.docker.command import Run, conditions_of, status_of
from integration.docker.long_jobs import LONGEST, RESTARTS, restarting
from integration.docker.records import Records
from vkprovider.core.create import NodeFacts
from vkprovider.core.view import CoreSettings
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.model.pod import Pod
from vkprovider.node.checkpoint import FileCheckpoint
from vkprovider.node.clock import SystemClock
from vkprovider.node.dispatcher import Dispatcher
from vkprovider.node.performer import Performer
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.pod_files import PodFiles
from vkprovider.node.pod_worker import Surroundings
from vkprovider.node.termination_message import TerminationMessages
from vkprovider.node.volume_writer import VolumeWriter
from vkprovider.standalone.display import Display
from vkprovider.standalone.identity import identify
from vkprovider.standalone.manifests import load
from vkprovider.standalone.run_store import RunDirectory, RunStore
from vkprovider.standalone.runner import Runner

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def run(long_jobs: dict[str, Run]) -> Run:
    run = long_jobs[RESTARTS]
    run.finish(LONGEST)
    return run


def test_it_is_restarted_at_once_and_then_after_10_s(run: Run) -> None:
    first, second, third = run.instances("sidecar")
    assert [first.code, second.code, third.code] == [7, 7, 0]
    assert [first.attempt, second.attempt, third.attempt] == [0, 1, 2]
    assert second.started - first.ended < 2
    assert 10 <= third.started - second.ended < 12
    assert len(run.instances("app")) == 1


def test_the_job_completes_all_the_same(run: Run) -> None:
    assert run.process.returncode == 0
    assert "Complete" in conditions_of(run.job)
    status = run.status("sidecar")
    assert status["restartCount"] == 2
    assert status["state"]["terminated"]["exitCode"] == 0
    assert status["lastState"]["terminated"]["exitCode"] == 7


def test_it_is_shown_as_waiting_and_running_in_turn(run: Run) -> None:
    words = [word for name, word in run.story("Running", "CrashLoopBackOff", "Terminated") if name == "sidecar"]
    assert words == ["Running", "CrashLoopBackOff", "Running", "CrashLoopBackOff", "Running", "Terminated"]


class Witness(Runner):
    """A run that keeps every status published."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.published: list[dict[str, Any]] = []

    def publish(self, pod: Pod, status: dict[str, Any]) -> None:
        self.published.append(status)
        super().publish(pod, status)


@asynccontextmanager
async def node(directory: RunDirectory, runner: Runner, display: Display, objects: Any) -> AsyncIterator[Dispatcher]:
    """A node as ``vkprovider run`` has it."""
    clock, engine = SystemClock(), DockerEngine(directory.node)
    info = await engine.info()
    dirs = PodDirs(str(directory.path))
    files = PodFiles(dirs, VolumeWriter(engine, dirs, clock), info.memory)
    dispatcher = Dispatcher(
        Surroundings(
            engine=engine,
            performer=Performer(
                engine, objects, files, NodeFacts(name=directory.node, memory=info.memory), clock, display
            ),
            messages=TerminationMessages(engine, files.termination_message),
            settings=CoreSettings(node_name=directory.node, backoff_first=3),
            clock=clock,
            checkpoint=FileCheckpoint(directory.path / "records"),
            statuses=runner,
            events=display,
            watcher=display,
        )
    )
    ears = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        ears.cancel()
        await asyncio.gather(ears, return_exceptions=True)
        await engine.close()


def kind(state: Mapping[str, Any]) -> str:
    (found,) = state
    return found


async def test_it_is_never_published_as_terminated_while_the_app_runs(records: Records, tmp_path: Path) -> None:
    """Of all statuses that are published, not only of those the display shows. The back-off is shortened."""
    manifests = load([str(write(tmp_path))])
    clock = SystemClock()
    directory = RunStore(tmp_path).begin(list(manifests.objects), clock.now())
    async with Display(sys.stderr, clock) as display:
        witness = Witness(directory, clock, display)
        async with node(directory, witness, display, manifests.store) as dispatcher:
            begun = directory.content.began_at
            witness.begin(dispatcher, [identify(raw, directory.run_id, 0, begun) for raw in manifests.jobs])
            async with asyncio.timeout(60):
                await witness.until_over()
                witness.conclude()
                await witness.clear()
        display.finish(witness.jobs())
    directory.remove()
    assert records.left(directory.node) == []
    assert witness.exit_code() == 0

    seen = [{"status": status} for status in witness.published]
    app_over = [kind(status_of(pod, "app")["state"]) == "terminated" for pod in seen]
    before = seen[: app_over.index(True)]
    sidecar = [status_of(pod, "sidecar") for pod in before]
    assert {kind(status["state"]) for status in sidecar} == {"waiting", "running"}
    ran = [status["restartCount"] for status in sidecar if kind(status["state"]) == "running"]
    assert sorted(set(ran)) == ran_once_each(ran) == [0, 1, 2]
    for status in sidecar:
        if status["restartCount"]:
            assert status["lastState"]["terminated"]["exitCode"] == 7
    assert {pod["status"]["phase"] for pod in before} == {"Pending", "Running"}


def ran_once_each(counts: list[int]) -> list[int]:
    """The counts without repetitions that follow one another."""
    return [count for index, count in enumerate(counts) if index == 0 or counts[index - 1] != count]


def write(directory: Path) -> Path:
    path = directory / "job.json"
    path.write_text(json.dumps(restarting()))
    return path
