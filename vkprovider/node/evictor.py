"""Making room when the machine runs low: images that nobody uses go first, then pods, one at a time.

The loop is that of pkg/kubelet/eviction/eviction_manager.go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from vkprovider.core.actions import PodEvent
from vkprovider.core.reclaim import Candidate, PodUse, choose, pressure_eviction
from vkprovider.core.resources import EPHEMERAL_STORAGE
from vkprovider.core.thresholds import INODES, Readings, Threshold, crossed, resource_of
from vkprovider.core.view import Eviction
from vkprovider.errors import EngineError
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodUID
from vkprovider.node.pod_uses import PodUses
from vkprovider.node.pod_worker import PodWorker
from vkprovider.ports import EventSink, WaitingClock

LOOK_SECONDS = 10.0  # monitoringInterval
CLEANUP_SECONDS = 30.0  # podCleanupTimeout: for a pod to be gone before another one is chosen
POLL_SECONDS = 1.0

_ON_DISK = (EPHEMERAL_STORAGE, INODES)
log = structlog.get_logger()


class Evictor:
    """``read`` shows what is left of what may run low; ``tell`` takes events about the node; ``remove_images`` frees
    what it can of the engine's disk.
    """

    def __init__(
        self,
        workers: Mapping[PodUID, PodWorker],
        thresholds: Sequence[Threshold],
        read: Callable[[], Awaitable[Readings]],
        uses: PodUses,
        events: EventSink,
        clock: WaitingClock,
    ) -> None:
        self._workers = workers
        self._thresholds = thresholds
        self._read = read
        self._uses = uses
        self._events = events
        self._clock = clock

    async def run(self, tell: Callable[[PodEvent], None], remove_images: Callable[[], Awaitable[object]]) -> None:
        """Look every ten seconds, until cancelled."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                while (evicted := await self._make_room(tell, remove_images)) is not None:
                    await self._until_over(evicted)
            except EngineError as exc:
                log.warning("what pods use cannot be told", error=str(exc))

    async def _make_room(
        self, tell: Callable[[PodEvent], None], remove_images: Callable[[], Awaitable[object]]
    ) -> PodWorker | None:
        """End one pod if there must be room; the worker of that pod, None where none was ended."""
        low = crossed(self._thresholds, await self._read())
        if not low:
            return None
        resource = resource_of(low[0])
        tell(PodEvent(type="Warning", reason="EvictionThresholdMet", message=f"Attempting to reclaim {resource}"))
        if resource in _ON_DISK:
            await remove_images()
        readings = await self._read()
        low = crossed(self._thresholds, readings)
        if not low:
            return None
        workers = {w.pod.uid: w for w in self._workers.values() if w.record.ending is None and w.record.final is None}
        uses = await self._measure(resource_of(low[0]), [worker.pod for worker in workers.values()])
        chosen = choose((Candidate(pod=w.pod, usage=uses.get(uid)) for uid, w in workers.items()), low[0])
        if chosen is None:
            log.warning("the node runs low, and there is no pod that could end", resource=resource_of(low[0]))
            return None
        worker = workers[chosen.pod.uid]
        evict(worker, pressure_eviction(chosen, low[0], readings), self._events, self._clock)
        return worker

    async def _measure(self, resource: str, pods: Sequence[Pod]) -> Mapping[PodUID, PodUse]:
        return await self._uses.disk(pods) if resource in _ON_DISK else await self._uses.memory()

    async def _until_over(self, worker: PodWorker) -> None:
        deadline = self._clock.monotonic() + CLEANUP_SECONDS
        while worker.record.final is None and self._clock.monotonic() < deadline:
            await self._clock.sleep(POLL_SECONDS)


def evict(worker: PodWorker, why: Eviction, events: EventSink, clock: WaitingClock) -> None:
    """End a pod, and say why."""
    pod = worker.pod
    log.info("evicting a pod", pod=str(pod.key), why=why.message)
    events.record(pod, PodEvent(type="Warning", reason=why.reason, message=why.message), clock.now())
    worker.evict(why)
