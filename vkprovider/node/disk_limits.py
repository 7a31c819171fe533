"""Holding pods to what they may take of the disk, volumes and containers: one that takes more is evicted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from vkprovider.core.disk_limits import disk_limits, limits_storage, too_large, too_much_written
from vkprovider.errors import EngineError
from vkprovider.model.refs import PodUID
from vkprovider.node.disk_usage import disk_usage
from vkprovider.node.evictor import evict
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.pod_uses import PodUses
from vkprovider.node.pod_worker import PodWorker
from vkprovider.ports import EventSink, WaitingClock

LOOK_SECONDS = 10.0  # pkg/kubelet/eviction monitoringInterval
REST = 20  # times as long as a look has taken: large directories are not walked all the time

log = structlog.get_logger()


class DiskLimits:
    """``run`` looks at the pods of ``workers``, those alone that have limits. What this process may not read counts
    for nothing.
    """

    def __init__(
        self,
        workers: Mapping[PodUID, PodWorker],
        dirs: PodDirs,
        events: EventSink,
        clock: WaitingClock,
        uses: PodUses,
    ) -> None:
        self._workers = workers
        self._dirs = dirs
        self._events = events
        self._clock = clock
        self._uses = uses

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        pause = LOOK_SECONDS
        while True:
            await self._clock.sleep(pause)
            begun = self._clock.monotonic()
            await self._look_at_volumes()
            try:
                await self._look_at_containers()
            except EngineError as exc:
                log.warning("what containers have written cannot be told", error=str(exc))
            pause = max(LOOK_SECONDS, REST * (self._clock.monotonic() - begun))

    def _living(self) -> list[PodWorker]:
        return [worker for worker in self._workers.values() if worker.record.ending is None]

    async def _look_at_volumes(self) -> None:
        for worker in self._living():
            for limit in disk_limits(worker.pod, self._dirs.of(worker.pod.uid)):
                if await asyncio.to_thread(disk_usage, limit.path) > limit.size:
                    evict(worker, too_large(limit), self._events, self._clock)
                    break

    async def _look_at_containers(self) -> None:
        limited = [worker for worker in self._living() if limits_storage(worker.pod)]
        if not limited:
            return
        uses = await self._uses.disk([worker.pod for worker in limited])
        for worker in limited:
            why = too_much_written(worker.pod, uses[worker.pod.uid])
            if why is not None:
                evict(worker, why, self._events, self._clock)
