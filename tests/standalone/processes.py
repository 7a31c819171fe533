"""``vkprovider run`` on a fake Docker: run store, runner, node and Job controller, put together as ``app`` does it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.fakes.containers import FakeContainer
from tests.fakes.journal import Call
from tests.fakes.living_engine import LivingEngine
from tests.fakes.node import PATIENCE, LivingNode, end
from tests.fakes.programs import Program
from tests.fakes.virtual_time import LoopClock
from tests.node.mortal import Life, MortalCheckpoint, MortalEngine
from vkprovider.model import defaults
from vkprovider.node.sweep import sweep
from vkprovider.standalone.identity import identify
from vkprovider.standalone.job_view import JobEvent
from vkprovider.standalone.run_store import RunDirectory, RunStore
from vkprovider.standalone.runner import Runner

Raw = dict[str, Any]


def box(name: str, **fields: Any) -> Raw:
    return {"name": name, "image": "busybox:1.28", **fields}


def job(name: str, *containers: Raw, inits: tuple[Raw, ...] = (), **spec: Any) -> Raw:
    """A Job as it is read from a manifest, its pods of policy Never."""
    pod_spec = {"restartPolicy": "Never", "containers": list(containers), "initContainers": list(inits)}
    template = {"spec": pod_spec | spec.pop("pod_spec", {})}
    return defaults.job(
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template} | spec}
    )


def bare_pod(name: str, *containers: Raw, **spec: Any) -> Raw:
    body = {"restartPolicy": "Never", "containers": list(containers)} | spec
    return defaults.pod({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body})


class Docker:
    """The one Docker that all runs share; each node sees its own containers in it."""

    def __init__(self) -> None:
        self.programs: dict[str, tuple[Program, ...]] = {}
        self.nodes: dict[str, LivingEngine] = {}

    def program(self, container: str, *attempts: Program) -> None:
        self.programs[container] = attempts

    def node(self, name: str) -> LivingEngine:
        if name not in self.nodes:
            self.nodes[name] = LivingEngine(name)
            self.nodes[name].programs = self.programs
        return self.nodes[name]

    @property
    def containers(self) -> list[FakeContainer]:
        """Those that are left."""
        return [c for engine in self.nodes.values() for c in engine.containers.values()]

    def ever(self, name: str) -> list[FakeContainer]:
        """Every instance of a container that there ever was, whatever its pod."""
        return [c for engine in self.nodes.values() for c in engine.ever.values() if c.name == name]

    def calls(self, *verbs: str) -> list[Call]:
        return [call for engine in self.nodes.values() for call in engine.calls(*verbs)]


class Screen:
    """A display that remembers."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.jobs: list[Mapping[str, Any]] = []
        self.job_events: list[tuple[str, str]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def job(self, job: Mapping[str, Any]) -> None:
        self.jobs.append(job)

    def job_event(self, job: str, event: JobEvent) -> None:
        self.job_events.append((job, event.reason))


class MortalDirectory:
    """A process's hold on a run directory that lives longer than it."""

    def __init__(self, directory: RunDirectory, life: Life) -> None:
        self._directory = directory
        self._life = life

    def __getattr__(self, name: str) -> Any:
        return getattr(self._directory, name)

    def save(self, name: str, value: Any) -> None:
        with self._life.deed():
            self._directory.save(name, value)


class Process:
    """One ``vkprovider run`` of some manifests. ``took_over`` is how many pods it found of an earlier one."""

    def __init__(self, state_dir: Path, docker: Docker, *objects: Raw, life: Life | None = None) -> None:
        self.docker = docker
        self.objects = list(objects)
        self.life = life or Life()
        self.screen = Screen()
        self.took_over = 0
        self.runner: Runner
        self.directory: RunDirectory
        self.node: LivingNode
        self._store = RunStore(state_dir)
        self._begun = asyncio.Event()

    async def run(self, *, keep: bool = False) -> int:
        """From the first pod to the last; the exit code. Cancelled, it leaves what kill -9 leaves."""
        self.directory = await asyncio.to_thread(self._store.begin, self.objects, LoopClock().now())
        hold: Any = MortalDirectory(self.directory, self.life)
        screen: Any = self.screen
        self.runner = Runner(hold, LoopClock(), screen)
        self.node = await LivingNode.on(self.directory.path, self.docker.node(self.directory.node))
        try:
            kept = False
            if await self.runner.recall():
                await sweep(self.node.engine, self.node.dirs)
            else:
                kept = await self._conduct(keep)
        except asyncio.CancelledError:
            self.directory.release()
            raise
        await asyncio.to_thread(self.directory.release if kept else self.directory.remove)
        return self.runner.exit_code()

    async def _conduct(self, keep: bool) -> bool:
        engine: Any = MortalEngine(self.node.engine, self.life)
        disk = MortalCheckpoint(self.node.checkpoint, self.life)
        async with self.node.at_work(engine=engine, checkpoint=disk, statuses=self.runner) as dispatcher:
            saved = await asyncio.to_thread(self.node.checkpoint.load_all)
            self.took_over = len(saved)
            for checkpoint in saved.values():
                self.runner.resume(dispatcher, checkpoint.pod, checkpoint.record)
            began_at = self.directory.content.began_at
            given = [identify(raw, self.directory.run_id, n, began_at) for n, raw in enumerate(self.objects)]
            await self.runner.begin(dispatcher, given)
            self._begun.set()
            await self.runner.until_over()
            kept = keep and self.runner.interrupted is None
            await self.runner.conclude(keep=kept)
            if not kept:
                await self.runner.clear()
        return kept

    async def node_is_up(self) -> None:
        """Until the node is told of pods. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            await self._begun.wait()

    def jobs(self) -> dict[str, Raw]:
        """The final Jobs' status by name."""
        return {raw["metadata"]["name"]: raw["status"] for raw in self.runner.final if raw["kind"] == "Job"}

    def pods(self) -> list[Raw]:
        return [raw for raw in self.runner.final if raw["kind"] == "Pod"]


@asynccontextmanager
async def running(process: Process, *, keep: bool = False) -> AsyncIterator[asyncio.Task[int]]:
    """A process at work; leaving the block is kill -9, unless it has ended."""
    task = asyncio.create_task(process.run(keep=keep))
    try:
        yield task
    finally:
        await end(task)
