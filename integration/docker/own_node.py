"""A node in the test's own process: what ``vkprovider run`` has inside, for tests that change a pod while it runs, or
look at each status that is published.
"""

from __future__ import annotations

import asyncio
import copy
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from integration.docker.command import eventually, status_of
from integration.docker.lines import PATIENCE
from integration.docker.records import Records
from vkprovider.core.actions import Decision, PodEvent
from vkprovider.core.create import NodeFacts
from vkprovider.core.projections import NodeShare
from vkprovider.core.view import CoreSettings, PodView
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.model.engine import PullProgress
from vkprovider.model.observed import Run
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.model.refs import ContainerID
from vkprovider.node.checkpoint import FileCheckpoint
from vkprovider.node.clock import SystemClock
from vkprovider.node.dispatcher import Dispatcher
from vkprovider.node.performer import Performer
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.pod_files import PodFiles
from vkprovider.node.pod_worker import Surroundings
from vkprovider.node.probe_tally import ProbeTally
from vkprovider.node.pulling import Puller
from vkprovider.node.sweep import sweep
from vkprovider.node.termination_message import TerminationMessages
from vkprovider.node.volume_writer import VolumeWriter
from vkprovider.standalone.identity import identify
from vkprovider.standalone.manifests import load
from vkprovider.standalone.objects import ManifestObjects

T = TypeVar("T")


class Witness:
    """Takes all that a node has to tell of its only pod, and keeps it."""

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []
        self.events: list[PodEvent] = []
        self.gone_at_last = False
        self._told = asyncio.Event()

    def publish(self, pod: Pod, status: dict[str, Any]) -> None:
        self.published.append(status)
        self._told.set()

    def gone(self, pod: Pod) -> None:
        self.gone_at_last = True
        self._told.set()

    def record(self, pod: Pod, event: PodEvent, at: datetime) -> None:
        self.events.append(event)
        self._told.set()

    def looked(self, view: PodView, decision: Decision) -> None:
        self._told.set()

    def pulling(self, pod: Pod, container: str, progress: PullProgress) -> None: ...

    async def until(self, found: Callable[[], T | None], what: str, seconds: float = PATIENCE) -> T:
        """Wait until something is found in what was told, and give it."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not (result := found()):
            self._told.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._told.wait()
            except TimeoutError:
                last = json.dumps(self.published[-1:], indent=1)
                raise AssertionError(f"not within {seconds} s: {what}\n{last}\n{self.messages()}") from None
        return result

    async def until_status(self, name: str, what: str, fits: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait for a v1.ContainerStatus."""
        return await self.until(lambda: next((s for s in self.statuses(name)[-1:] if fits(s)), None), f"{name} {what}")

    async def until_ready(self, *names: str) -> None:
        for name in names:
            await self.until_status(name, "ready", lambda status: status["ready"])

    async def until_restarted(self, name: str, count: int = 1) -> dict[str, Any]:
        return await self.until_status(
            name, f"runs again ({count})", lambda s: s["restartCount"] == count and "running" in s["state"]
        )

    async def until_event(self, container: str, reason: str, text: str = "") -> PodEvent:
        def found() -> PodEvent | None:
            return next((e for e in self.of(container) if e.reason == reason and text in e.message), None)

        return await self.until(found, f"{reason} {text} of {container}")

    async def until_phase(self, phase: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """Wait for a phase, and give the whole status."""

        def found() -> dict[str, Any] | None:
            return next((s for s in self.published[-1:] if s["phase"] == phase), None)

        return await self.until(found, phase, seconds)

    def statuses(self, name: str) -> list[dict[str, Any]]:
        """All statuses of a container, the oldest first."""
        return [status_of({"status": status}, name) for status in self.published]

    def of(self, container: str) -> list[PodEvent]:
        return [e for e in self.events if e.field_path.endswith(f"{{{container}}}")]

    def messages(self, *reasons: str) -> list[str]:
        return [f"{e.reason}: {e.message}" for e in self.events if not reasons or e.reason in reasons]

    def conditions(self) -> Mapping[str, str]:
        return {c["type"]: c["status"] for c in self.published[-1]["conditions"]}


class OwnNode:
    """A node with one pod."""

    def __init__(
        self, records: Records, engine: DockerEngine, directory: Path, dispatcher: Dispatcher, witness: Witness
    ) -> None:
        self._records = records
        self.name = engine.node
        self.engine = engine
        self.witness = witness
        self._directory = directory
        self._dispatcher = dispatcher
        self._raw: dict[str, Any] = {}

    def run(self, manifest: Mapping[str, Any]) -> None:
        """Run a pod."""
        file = self._directory / "pod.json"
        file.write_text(json.dumps(manifest))
        (raw,) = load([str(file)]).pods
        self._raw = identify(raw, self.name, 0, SystemClock().now())
        self._dispatcher.sync(decode_pod(self._raw))

    def change_image(self, container: str, image: str) -> None:
        """What ``kubectl set image`` does."""
        self._raw = copy.deepcopy(self._raw)
        spec = self._raw["spec"]
        (found,) = (c for c in (*spec["containers"], *spec.get("initContainers", ())) if c["name"] == container)
        found["image"] = image
        self._dispatcher.sync(decode_pod(self._raw))

    def delete(self, grace: int) -> None:
        """What ``kubectl delete`` does."""
        self._raw = copy.deepcopy(self._raw)
        at = SystemClock().now() + timedelta(seconds=grace)
        times = {"deletionTimestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "deletionGracePeriodSeconds": grace}
        self._raw["metadata"] |= times
        self._dispatcher.sync(decode_pod(self._raw))

    async def until_gone(self, seconds: float = PATIENCE) -> None:
        await self.witness.until(lambda: self.witness.gone_at_last, "gone", seconds)

    async def until_up(self, *names: str) -> None:
        """Wait until containers are ready, and have come to ``sleep``, and so have set their traps."""
        await self.witness.until_ready(*names)
        for name in names:
            found = await self.container(name)
            await asyncio.to_thread(eventually, partial(self._sleeps, found), f"{name} sleeps")

    def _sleeps(self, container: ContainerID) -> bool:
        return any("sleep" in program for program in self._records.programs(container))

    async def container(self, name: str) -> ContainerID:
        """The container of that name that runs now."""
        uid = decode_pod(self._raw).uid
        observed = await self.engine.observe(uid)
        return next(c.id for c in observed.containers if c.name == name and c.run is Run.RUNNING)

    async def sandbox(self) -> ContainerID:
        return (await self.engine.observe(decode_pod(self._raw).uid)).sandboxes[0].id


@asynccontextmanager
async def own_node(
    records: Records, directory: Path, *, backoff_first: int = 10, tally: ProbeTally | None = None
) -> AsyncIterator[OwnNode]:
    """A node as ``vkprovider run`` has it; with a shorter back-off, if asked. Nothing is left when the block ends."""
    name, witness, objects = f"test-{uuid.uuid4().hex}", Witness(), ManifestObjects(())
    clock, engine, dirs = SystemClock(), DockerEngine(name), PodDirs(str(directory))
    info = await engine.info()
    allocatable = {"cpu": str(info.cpus), "memory": str(info.memory)}
    files = PodFiles(
        dirs, VolumeWriter(engine, dirs, clock), lambda: NodeShare(memory=info.memory, allocatable=allocatable)
    )
    facts = NodeFacts(name=name, memory=info.memory, allocatable=allocatable)
    dispatcher = Dispatcher(
        Surroundings(
            engine=engine,
            performer=Performer(engine, objects, files, facts, clock, Puller(engine, objects, clock, witness)),
            messages=TerminationMessages(engine, files.termination_message),
            settings=CoreSettings(node_name=name, backoff_first=backoff_first),
            clock=clock,
            checkpoint=FileCheckpoint(directory / "records"),
            statuses=witness,
            events=witness,
            watcher=witness,
            tally=tally or ProbeTally(),
        )
    )
    ears = asyncio.create_task(dispatcher.run())
    try:
        yield OwnNode(records, engine, directory, dispatcher, witness)
    finally:
        ears.cancel()
        await asyncio.gather(ears, return_exceptions=True)
        await sweep(engine, dirs)
        await engine.close()


def unhealthy(events: Iterable[PodEvent]) -> set[str]:
    """What probes complained of."""
    return {e.message for e in events if e.reason == "Unhealthy"}
