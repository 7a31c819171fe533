"""From pods and engine changes to pod workers: one worker per uid, created on sight, reaped when nothing is left."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping

import structlog

from vkprovider.core.claims import Claim
from vkprovider.core.record import PodRecord
from vkprovider.core.relist import Relist, due
from vkprovider.core.view import Eviction
from vkprovider.errors import EngineError
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodUID
from vkprovider.node.pod_worker import PodWorker, Surroundings

REBUILD_SECONDS = 5.0
log = structlog.get_logger()


class Dispatcher:
    """Owns the workers. ``run`` listens to the engine; ``sync`` is told of pods by whoever knows them."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._workers: dict[PodUID, PodWorker] = {}
        self._tasks: dict[PodUID, asyncio.Task[None]] = {}
        self._eviction: Eviction | None = None
        self._heard_at: float | None = None
        self._relist_due = asyncio.Event()
        self._count = itertools.count()
        self._last: Relist | None = None

    @property
    def workers(self) -> Mapping[PodUID, PodWorker]:
        return self._workers

    @property
    def living(self) -> int:
        """How many pods are not over."""
        return sum(worker.record.final is None for worker in self._workers.values())

    @property
    def silence(self) -> float:
        """For how many seconds the engine has not said anything; 0 before it is listened to. It does every 30 s."""
        return self._around.clock.monotonic() - self._heard_at if self._heard_at is not None else 0.0

    def sync(self, pod: Pod, record: PodRecord | None = None) -> None:
        """A pod that is new, or has changed. ``record`` is what a former process had written down of it."""
        worker = self._workers.get(pod.uid)
        if worker is not None:
            worker.update(pod)
            return
        self._workers[pod.uid] = PodWorker(pod, self._around, record, self._eviction)
        task = asyncio.get_running_loop().create_task(self._keep(pod.uid), name=f"pod worker {pod.key}")
        self._tasks[pod.uid] = task
        task.add_done_callback(lambda _: self._reap(pod.uid))

    def evict(self, why: Eviction) -> None:
        """Have all pods end in order, those included that are yet to come."""
        self._eviction = why
        for worker in self._workers.values():
            worker.evict(why)

    def claim(self, uid: PodUID) -> Claim | None:
        """What a pod has been given of the node, None if it has none or is over."""
        return self._around.ledger.claim(uid)

    async def run(self) -> None:
        """Pass engine changes on, until cancelled; then let go of all pods, leaving their containers alone."""
        try:
            self._heard_at = self._around.clock.monotonic()
            async with asyncio.TaskGroup() as group:
                relists = group.create_task(self._relist())
                async for uid in self._around.engine.changes():
                    self._heard_at = self._around.clock.monotonic()
                    if uid is None:
                        self._relist_due.set()
                    elif uid in self._workers:
                        self._workers[uid].poke("engine")
                relists.cancel()
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _relist(self) -> None:
        """Beside the events, which do not wait for it. One at a time: all that fall due meanwhile are the next."""
        while True:
            await self._relist_due.wait()
            self._relist_due.clear()
            await self._look_at_all()

    async def _look_at_all(self) -> None:
        """At a glance, and closer where that is due. Where the engine does not answer, each worker sees for itself."""
        asked_at = self._around.clock.monotonic()
        try:
            glances = await self._around.engine.pods()
        except EngineError:
            concerned = list(self._workers)
        else:
            last, self._last = self._last, Relist(number=next(self._count), asked_at=asked_at, glances=glances)
            concerned = due(self._workers, last, self._last)
        for uid in concerned:
            self._workers[uid].poke("relist")

    async def _keep(self, uid: PodUID) -> None:
        """A worker that fails is rebuilt from the engine and its record: nothing it knew besides matters."""
        while True:
            worker = self._workers[uid]
            try:
                return await worker.run()
            except Exception:
                story = [str(chapter) for chapter in worker.story]
                log.exception("pod worker failed; it is rebuilt", pod=str(worker.pod.key), uid=uid, story=story)
            await asyncio.sleep(REBUILD_SECONDS)
            self._workers[uid] = PodWorker(worker.pod, self._around, worker.record, self._eviction)

    def _reap(self, uid: PodUID) -> None:
        self._workers.pop(uid, None)
        self._tasks.pop(uid, None)
