"""A marked sidecar that fails while the app runs, under restartPolicy Never, which no sidecar heeds."""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from integration.docker.command import Run, conditions_of, status_of
from integration.docker.long_jobs import LONGEST, RESTARTS, restarting_pod
from integration.docker.records import Records
from vkprovider.core.actions import Decision, PodEvent
from vkprovider.core.create import NodeFacts
from vkprovider.core.view import CoreSettings, PodView
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.node.checkpoint import FileCheckpoint
from vkprovider.node.clock import SystemClock
from vkprovider.node.dispatcher import Dispatcher
from vkprovider.node.performer import Performer
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.pod_files import PodFiles
from vkprovider.node.pod_worker import Surroundings
from vkprovider.node.sweep import sweep
from vkprovider.node.termination_message import TerminationMessages
from vkprovider.node.volume_writer import VolumeWriter
from vkprovider.ports import PullProgress
from vkprovider.standalone.identity import identify
from vkprovider.standalone.manifests import load
from vkprovider.standalone.objects import ManifestObjects

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


class Witness:
    """Takes all that a node has to tell, and keeps every status that it publishes."""

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []
        self.over = asyncio.Event()

    def publish(self, pod: Pod, status: dict[str, Any]) -> None:
        self.published.append(status)
        if status["phase"] in ("Succeeded", "Failed"):
            self.over.set()

    def gone(self, pod: Pod) -> None: ...

    def record(self, pod: Pod, event: PodEvent, at: datetime) -> None: ...

    def looked(self, view: PodView, decision: Decision) -> None: ...

    def pulling(self, pod: Pod, container: str, progress: PullProgress) -> None: ...


@asynccontextmanager
async def node(name: str, directory: Path, witness: Witness) -> AsyncIterator[Dispatcher]:
    """A node as ``vkprovider run`` has it, but for a shorter back-off. Nothing is left when the block ends."""
    clock, engine, dirs = SystemClock(), DockerEngine(name), PodDirs(str(directory))
    info = await engine.info()
    files = PodFiles(dirs, VolumeWriter(engine, dirs, clock), info.memory)
    facts = NodeFacts(name=name, memory=info.memory)
    dispatcher = Dispatcher(
        Surroundings(
            engine=engine,
            performer=Performer(engine, ManifestObjects(()), files, facts, clock, witness),
            messages=TerminationMessages(engine, files.termination_message),
            settings=CoreSettings(node_name=name, backoff_first=3),
            clock=clock,
            checkpoint=FileCheckpoint(directory / "records"),
            statuses=witness,
            events=witness,
            watcher=witness,
        )
    )
    ears = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        ears.cancel()
        await asyncio.gather(ears, return_exceptions=True)
        await sweep(engine, dirs)
        await engine.close()


async def test_it_is_never_published_as_terminated_while_the_app_runs(records: Records, tmp_path: Path) -> None:
    """Of all statuses that are published, not only of those the display shows."""
    file = tmp_path / "pod.json"
    file.write_text(json.dumps(restarting_pod()))
    (raw,) = load([str(file)]).pods
    name, witness = f"test-{uuid.uuid4().hex}", Witness()
    async with node(name, tmp_path, witness) as dispatcher, asyncio.timeout(60):
        dispatcher.sync(decode_pod(identify(raw, name, 0, SystemClock().now())))
        await witness.over.wait()
    assert records.left(name) == []

    seen = [{"status": status} for status in witness.published]
    app_over = [kind(status_of(pod, "app")["state"]) == "terminated" for pod in seen]
    before = seen[: app_over.index(True)]
    sidecar = [status_of(pod, "sidecar") for pod in before]
    assert {kind(status["state"]) for status in sidecar} == {"waiting", "running"}
    restarts = [status["restartCount"] for status in sidecar if kind(status["state"]) == "running"]
    assert [count for count, _ in itertools.groupby(restarts)] == [0, 1, 2]
    for status in sidecar:
        if status["restartCount"]:
            assert status["lastState"]["terminated"]["exitCode"] == 7
    assert {pod["status"]["phase"] for pod in before} == {"Pending", "Running"}
    assert seen[-1]["status"]["phase"] == "Succeeded"


def kind(state: Mapping[str, Any]) -> str:
    (found,) = state
    return found
