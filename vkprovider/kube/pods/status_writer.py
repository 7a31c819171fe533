"""Pod statuses on their way to the API server (pkg/kubelet/status/status_manager.go).

::

    publish ──▶ newest status of the pod ──▶ GET ──▶ uid? merge ──▶ PATCH what differs ──┐
    gone ─────▶ ... and nothing is left of it ─────────────────────────────────────────┴▶ DELETE, if it is to go
                     ▲                                                                     │
                     └── again, ever more slowly, until it is done; or the object is gone ─┘

Each pod has a task of its own, and only while something is to be written; so one that the API server refuses holds
back no other. The watch tells what the API shows meanwhile: a status that somebody else has changed is put right
within ten seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from vkprovider.core.exits import timestamp
from vkprovider.errors import ApiConflict, ApiError, ApiInvalid, ApiNotFound
from vkprovider.kube.backoff import BackOff
from vkprovider.kube.client import ApiClient, Json
from vkprovider.kube.pods.status_merge import merge, owned, status_patch
from vkprovider.kube.resources import PODS, ResourcePath
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodUID
from vkprovider.ports import WaitingClock

RESYNC_SECONDS = 10.0  # status_manager.go syncPeriod
AT_ONCE = 20  # writes; more would only open connections, each of which costs more than a write
log = structlog.get_logger()


async def _forget_nothing(uid: PodUID) -> None:
    """For nodes that remember pods nowhere else."""


class StatusWriter:
    """The ``StatusSink`` of a cluster. ``run`` it; whoever follows the pods calls ``seen`` and ``vanished``.

    ``done`` is called when a pod's end is written down in the API and nobody needs to remember it any longer.
    """

    def __init__(
        self, api: ApiClient, clock: WaitingClock, done: Callable[[PodUID], Awaitable[None]] = _forget_nothing
    ) -> None:
        self._api = api
        self._clock = clock
        self._done = done
        self._pods: dict[PodUID, _Reported] = {}
        self._tasks: dict[PodUID, asyncio.Task[None]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._deviating = asyncio.Event()
        self._slots = asyncio.Semaphore(AT_ONCE)

    # --- StatusSink -------------------------------------------------------------------------------------------

    def publish(self, pod: Pod, status: dict[str, Any]) -> None:
        reported = self._reported(pod)
        reported.status = status
        self._write(pod.uid)

    def gone(self, pod: Pod) -> None:
        """Its last status is written first; then the object is deleted, if it is marked for deletion."""
        self._reported(pod).gone = True
        self._write(pod.uid)

    # --- what the API shows -----------------------------------------------------------------------------------

    def seen(self, raw: Json) -> None:
        """The object of a pod as it is now."""
        reported = self._pods.get(PodUID(raw["metadata"]["uid"]))
        if reported is not None:
            reported.shown = raw
            reported.vanished = False
            if reported.deviates():
                self._deviating.set()

    def vanished(self, pod: Pod) -> None:
        """The object is no more: nothing is written for it from now on."""
        reported = self._reported(pod)
        reported.vanished = True
        if reported.finished:
            self._pods.pop(pod.uid, None)

    def phase(self, uid: PodUID) -> str:
        """The phase that we say a pod has; "" if we have said nothing."""
        reported = self._pods.get(uid)
        return str((reported.status or {}).get("phase", "")) if reported is not None else ""

    def is_gone(self, uid: PodUID) -> bool:
        """Whether nothing is left of a pod here, though its object may still be there."""
        reported = self._pods.get(uid)
        return reported is not None and reported.gone

    # --- its own life -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Put right what others change, until cancelled. Asleep while nothing deviates."""
        while True:
            await self._deviating.wait()
            await self._clock.sleep(RESYNC_SECONDS)
            self._deviating.clear()
            for uid, reported in list(self._pods.items()):
                if reported.deviates() and uid not in self._tasks:
                    log.info("somebody else has changed a pod's status; putting it right", pod=str(reported.pod.key))
                    self._write(uid)

    async def flush(self) -> None:
        """Return when nothing is left to be written. That may be never: bound it."""
        await self._idle.wait()

    async def aclose(self) -> None:
        """Give up what is not yet written."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- writing ----------------------------------------------------------------------------------------------

    def _reported(self, pod: Pod) -> _Reported:
        reported = self._pods.setdefault(pod.uid, _Reported(pod))
        reported.pod = pod
        return reported

    def _write(self, uid: PodUID) -> None:
        reported = self._pods[uid]
        reported.version += 1
        if uid not in self._tasks:
            self._idle.clear()
            name = f"status of {reported.pod.key}"
            self._tasks[uid] = asyncio.get_running_loop().create_task(self._settle(reported), name=name)

    async def _settle(self, reported: _Reported) -> None:
        """Write until the newest is written. It leaves in the same step, so that what comes next begins anew."""
        try:
            await self._write_all(reported)
        finally:
            del self._tasks[reported.pod.uid]
            if not self._tasks:
                self._idle.set()

    async def _write_all(self, reported: _Reported) -> None:
        backoff = BackOff(f"status of pod {reported.pod.key}", self._clock)
        written = -1
        while written != reported.version:
            try:
                async with self._slots:
                    version = reported.version
                    await self._attempt(reported)
            except ApiError as exc:
                await backoff.failed(exc)
                continue
            except Exception:
                log.exception("a pod's status cannot be written", pod=str(reported.pod.key), uid=reported.pod.uid)
                await backoff.pause(RESYNC_SECONDS)
                continue
            backoff.succeeded()
            written = version
        if reported.gone:
            await self._finish(reported)

    async def _finish(self, reported: _Reported) -> None:
        uid = reported.pod.uid
        try:
            await self._done(uid)
        except Exception:
            log.exception("what is remembered of a pod cannot be removed", pod=str(reported.pod.key), uid=uid)
        reported.finished = True
        if reported.vanished:
            self._pods.pop(uid, None)

    async def _attempt(self, reported: _Reported) -> None:
        """One attempt: GET, PATCH what differs, DELETE what is to go. Raises ApiError where another may help."""
        if reported.vanished:
            return
        meta = reported.pod.metadata
        try:
            shown = await self._api.get(PODS.at(meta.namespace, meta.name))
            if shown["metadata"]["uid"] == meta.uid:
                shown = await self._update(reported, shown)
                if reported.gone and shown["metadata"].get("deletionTimestamp"):
                    await self._delete(reported.pod)
                return
        except ApiNotFound:
            pass
        reported.vanished = True

    async def _update(self, reported: _Reported, shown: Json) -> Json:
        """The object with our status, as far as the API server takes it."""
        ours = reported.status
        if ours is None:
            return shown
        merged = merge(shown, ours, timestamp(self._clock.now()))
        if merged.held_back != reported.held_back:
            reported.held_back = merged.held_back
            for name in merged.held_back:
                log.warning(
                    "a terminated container runs again; the API server does not let its status say so",
                    pod=str(reported.pod.key),
                    container=name,
                )
        patch = status_patch(shown.get("status") or {}, merged.status)
        if patch:
            meta = reported.pod.metadata
            place = PODS.at(meta.namespace, meta.name, "status")
            try:
                shown = await self._api.patch(place, {"metadata": {"uid": meta.uid}, "status": patch})
            except ApiInvalid as exc:
                log.error("the API server does not take a pod's status", pod=str(reported.pod.key), error=str(exc))
        reported.settled = (ours, owned(shown.get("status") or {}, ours))
        return shown

    async def _delete(self, pod: Pod) -> None:
        """Have the object removed; with finalizers it stays until those are gone."""
        place: ResourcePath = PODS.at(pod.metadata.namespace, pod.metadata.name)
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod.uid}}
        try:
            await self._api.delete(place, options)
        except ApiConflict:
            log.info("the pod's object is gone, and its name is another's now", pod=str(pod.key), uid=pod.uid)


class _Reported:
    """What we say of one pod, and what the API shows of it. ``version`` counts what is to be written."""

    def __init__(self, pod: Pod) -> None:
        self.pod = pod
        self.status: dict[str, Any] | None = None
        self.version = 0
        self.gone = False  # nothing is left of the pod on this node
        self.vanished = False  # nothing is left of it in the API
        self.finished = False  # that nothing is left here has been written there
        self.held_back: tuple[str, ...] = ()
        self.shown: Json | None = None
        self.settled: tuple[Json, Any] | None = None  # what we last wrote, and what the API server made of it

    def deviates(self) -> bool:
        if self.shown is None or self.settled is None or self.vanished:
            return False
        ours, there = self.settled
        return bool(owned(self.shown.get("status") or {}, ours) != there)
