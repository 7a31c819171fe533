"""Holding pods to the sizes that their emptyDirs have on disk: one that takes more is evicted."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

import structlog

from vkprovider.core.actions import PodEvent
from vkprovider.core.disk_limits import disk_limits, too_large
from vkprovider.core.view import Eviction
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodUID
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.pod_worker import PodWorker
from vkprovider.ports import EventSink, WaitingClock

LOOK_SECONDS = 10.0  # pkg/kubelet/eviction monitoringInterval
REST = 20  # times as long as a look has taken: large directories are not walked all the time

_BLOCK = 512  # bytes in the unit of st_blocks
log = structlog.get_logger()


class DiskLimits:
    """``run`` looks at the pods of ``workers``, those alone that have limits. What this process may not read counts
    for nothing.
    """

    def __init__(
        self, workers: Mapping[PodUID, PodWorker], dirs: PodDirs, events: EventSink, clock: WaitingClock
    ) -> None:
        self._workers = workers
        self._dirs = dirs
        self._events = events
        self._clock = clock

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        pause = LOOK_SECONDS
        while True:
            await self._clock.sleep(pause)
            begun = self._clock.monotonic()
            for worker in tuple(self._workers.values()):
                if worker.record.ending is None:
                    await self._look_at(worker)
            pause = max(LOOK_SECONDS, REST * (self._clock.monotonic() - begun))

    async def _look_at(self, worker: PodWorker) -> None:
        pod = worker.pod
        limits = disk_limits(pod, self._dirs.of(pod.uid))
        for limit in limits:
            if await asyncio.to_thread(disk_usage, limit.path) > limit.size:
                self._evict(worker, pod, too_large(limit))
                return

    def _evict(self, worker: PodWorker, pod: Pod, why: Eviction) -> None:
        log.info("evicting a pod", pod=str(pod.key), why=why.message)
        self._events.record(pod, PodEvent(type="Warning", reason=why.reason, message=why.message), self._clock.now())
        worker.evict(why)


def disk_usage(path: str) -> int:
    """The bytes that a directory takes on its disk with all in it, as ``du`` counts: a file with two names once."""
    total, seen = 0, set[tuple[int, int]]()
    for directory, directories, files in os.walk(path):
        for name in (*directories, *files):
            try:
                status = os.lstat(os.path.join(directory, name))
            except OSError:  # it has just been removed
                continue
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_blocks * _BLOCK
    return total
