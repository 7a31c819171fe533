"""A whole node on a fake engine: dispatcher, workers, performer, files and checkpoint, all real, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from tests.fakes.living_engine import LivingEngine
from tests.fakes.virtual_time import LoopClock, threads_have_ended
from vkprovider.core.actions import Decision, PodEvent
from vkprovider.core.create import NodeFacts
from vkprovider.core.projections import NodeShare
from vkprovider.core.services import Service
from vkprovider.core.tokens import Token
from vkprovider.core.view import CoreSettings, PodView
from vkprovider.errors import SpecError
from vkprovider.model.engine import PullProgress
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ObjectRef, PodUID, TokenRef
from vkprovider.node.checkpoint import FileCheckpoint
from vkprovider.node.dispatcher import Dispatcher
from vkprovider.node.performer import Performer
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.pod_files import PodFiles
from vkprovider.node.pod_worker import PodWorker, Surroundings
from vkprovider.node.pulled_images import PulledImages
from vkprovider.node.pulling import Puller
from vkprovider.node.termination_message import TerminationMessages
from vkprovider.node.volume_writer import VolumeWriter

PATIENCE = 900.0  # virtual seconds


class Told:
    """What a node tells the world, remembered: status sink, event sink and watcher at once."""

    def __init__(self) -> None:
        self.statuses: list[tuple[PodUID, dict[str, Any]]] = []
        self.events: list[tuple[PodUID, PodEvent]] = []
        self.looks: list[tuple[PodView, Decision]] = []
        self.progress: list[tuple[str, PullProgress]] = []
        self.gone_pods: list[PodUID] = []
        self._more = asyncio.Event()

    def publish(self, pod: Pod, status: dict[str, Any]) -> None:
        self.statuses.append((pod.uid, status))

    def gone(self, pod: Pod) -> None:
        self.gone_pods.append(pod.uid)
        self._more.set()

    def record(self, pod: Pod, event: PodEvent, at: datetime) -> None:
        self.events.append((pod.uid, event))

    def looked(self, view: PodView, decision: Decision) -> None:
        self.looks.append((view, decision))
        self._more.set()

    def pulling(self, pod: Pod, container: str, progress: PullProgress) -> None:
        self.progress.append((container, progress))

    @property
    def status(self) -> dict[str, Any]:
        """The last one published, of whichever pod."""
        return self.statuses[-1][1] if self.statuses else {}

    @property
    def phases(self) -> list[str]:
        """The phases in the order in which they were first published."""
        return list(dict.fromkeys(status["phase"] for _, status in self.statuses))

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(event.reason, event.message) for _, event in self.events]

    async def until(self, holds: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Wait until something holds; it is asked after each look of any worker. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not holds():
                self._more.clear()
                await self._more.wait()

    async def until_phase(self, phase: str) -> None:
        await self.until(lambda: self.status.get("phase") == phase)


class Objects:
    """An object store to be filled by hand. ``error`` is raised by whoever asks."""

    def __init__(self) -> None:
        self.objects: dict[ObjectRef, dict[str, Any]] = {}
        self.tokens: dict[TokenRef, Token] = {}
        self.followers: dict[PodUID, tuple[frozenset[ObjectRef], Callable[[ObjectRef], None]]] = {}
        self.error: Exception | None = None

    async def get(self, ref: ObjectRef, pod: Pod) -> dict[str, Any] | None:
        if self.error is not None:
            raise self.error
        return self.objects.get(ref)

    def put(self, ref: ObjectRef, raw: dict[str, Any] | None) -> None:
        """Change an object, and tell whoever follows it."""
        if raw is None:
            self.objects.pop(ref, None)
        else:
            self.objects[ref] = raw
        for refs, changed in tuple(self.followers.values()):
            if ref in refs:
                changed(ref)

    def follow(self, pod: Pod, refs: frozenset[ObjectRef], changed: Callable[[ObjectRef], None]) -> None:
        self.followers[pod.uid] = (refs, changed)

    async def token(self, ref: TokenRef) -> Token:
        if self.error is not None:
            raise self.error
        if ref not in self.tokens:
            raise SpecError(f'serviceaccounts "{ref.service_account}" not found')
        return self.tokens[ref]

    async def services(self) -> tuple[Service, ...]:
        if self.error is not None:
            raise self.error
        return ()


class LivingNode:
    """One process's node on a directory. Another one on the same engine and directory is the process after it."""

    def __init__(self, directory: Path, engine: LivingEngine, checkpoint: FileCheckpoint) -> None:
        self.clock = LoopClock()
        self.engine = engine
        self.told = Told()
        self.objects = Objects()
        self.dirs = PodDirs(str(directory))
        self.checkpoint = checkpoint
        self.pulled: PulledImages | None = None

    @classmethod
    async def on(cls, directory: Path, engine: LivingEngine | None = None) -> LivingNode:
        """A node on a directory, and on a new engine if none is given."""
        checkpoint = await asyncio.to_thread(FileCheckpoint, directory / "records")
        return cls(directory, engine or LivingEngine(), checkpoint)

    def around(self, **instead: Any) -> Surroundings:
        """What the workers share; a test may put something else in a place."""
        engine = instead.pop("engine", self.engine)
        facts = NodeFacts(name=engine.node, memory=1 << 30)
        files = PodFiles(
            self.dirs,
            VolumeWriter(engine, self.dirs, self.clock),
            lambda: NodeShare(memory=facts.memory, allocatable={"cpu": "4"}),
        )
        puller = Puller(engine, self.objects, self.clock, self.told, self.pulled)
        around = Surroundings(
            engine=engine,
            performer=Performer(engine, self.objects, files, facts, self.clock, puller),
            messages=TerminationMessages(engine, files.termination_message),
            settings=CoreSettings(node_name=engine.node),
            clock=self.clock,
            checkpoint=self.checkpoint,
            statuses=self.told,
            events=self.told,
            watcher=self.told,
        )
        return msgspec.structs.replace(around, **instead)

    @asynccontextmanager
    async def at_work(self, **instead: Any) -> AsyncIterator[Dispatcher]:
        """The node with its ears on the engine; in the end it lets go of its pods."""
        dispatcher = Dispatcher(self.around(**instead))
        ears = asyncio.create_task(dispatcher.run())
        try:
            yield dispatcher
        finally:
            await end(ears)

    @asynccontextmanager
    async def working(self, pod: Pod, **instead: Any) -> AsyncIterator[PodWorker]:
        """One pod's worker, in the care of a dispatcher."""
        async with self.at_work(**instead) as dispatcher:
            dispatcher.sync(pod)
            yield dispatcher.workers[pod.uid]


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel a task, and wait for its end and for what it has begun in threads."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await threads_have_ended()
