"""Events on their way to the API server: best effort, in order, and without troubling whoever reports them."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import structlog

from vkprovider.core.actions import PodEvent
from vkprovider.core.exits import timestamp
from vkprovider.errors import ApiConflict, ApiError, ApiNotFound, ApiUnauthorized, ApiUnavailable
from vkprovider.kube.backoff import BackOff
from vkprovider.kube.client import ApiClient, Json
from vkprovider.kube.event_correlation import Correlated, Correlator
from vkprovider.kube.refusals import NAMESPACE_TERMINATING
from vkprovider.kube.resources import EVENTS
from vkprovider.model.pod import Pod
from vkprovider.ports import WaitingClock

COMPONENT = "kubelet"  # whom users and controllers look for
QUEUE_LENGTH = 1000  # client-go tools/record maxQueuedEvents
log = structlog.get_logger()


class EventRecorder:
    """The ``EventSink`` of a cluster; ``run`` it. With the API server out of reach the newest are lost, not the oldest:
    what came first usually explains the rest.
    """

    def __init__(self, api: ApiClient, clock: WaitingClock, node: str = "", component: str = COMPONENT) -> None:
        self._api = api
        self._node = node
        self._component = component
        self._backoff = BackOff("events", clock)
        self._queue: asyncio.Queue[tuple[Json, datetime]] = asyncio.Queue(QUEUE_LENGTH)
        self._correlator = Correlator()
        self._last_name = 0
        self._losing = False

    def record(self, pod: Pod, event: PodEvent, at: datetime) -> None:
        """An event about a pod, or about the container that its field path names."""
        meta = pod.metadata
        version = (pod.raw.get("metadata") or {}).get("resourceVersion", "")
        involved = {
            "kind": "Pod",
            "apiVersion": "v1",
            "namespace": meta.namespace,
            "name": meta.name,
            "uid": meta.uid,
            "resourceVersion": version,
            "fieldPath": event.field_path,
        }
        self.note({key: value for key, value in involved.items() if value}, event, at)

    def note(self, involved: dict[str, Any], event: PodEvent, at: datetime) -> None:
        """An event about any object, which a v1.ObjectReference names."""
        namespace = involved.get("namespace") or "default"
        body: Json = {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"name": f"{involved['name']}.{self._unique(at):x}", "namespace": namespace},
            "involvedObject": involved,
            "type": event.type,
            "reason": event.reason,
            "message": event.message,
            "firstTimestamp": timestamp(at),
            "lastTimestamp": timestamp(at),
            "count": 1,
            "source": {"component": self._component, "host": self._node},
            "reportingComponent": self._component,
            "reportingInstance": self._node,
        }
        try:
            self._queue.put_nowait((body, at))
            self._losing = False
        except asyncio.QueueFull:
            if not self._losing:
                log.warning("too many events wait for the API server; new ones are lost", reason=event.reason)
            self._losing = True

    async def run(self) -> None:
        """Send what is recorded, until cancelled."""
        while True:
            event, at = await self._queue.get()
            try:
                correlated = self._correlator.take(event, at)
                if correlated is not None:
                    await self._deliver(correlated)
            finally:
                self._queue.task_done()

    async def flush(self) -> None:
        """Return when nothing waits to be sent. That may be never: bound it."""
        await self._queue.join()

    def _unique(self, at: datetime) -> int:
        """A number that only grows, so that events of one second are listed in the order in which they happened."""
        self._last_name = max(self._last_name + 1, int(at.timestamp() * 1_000_000) * 1000)
        return self._last_name

    async def _deliver(self, correlated: Correlated) -> None:
        """Send one event, as long as it takes; one that is refused is given up."""
        while True:
            try:
                self._correlator.sent(correlated, await self._send(correlated))
                self._backoff.succeeded()
                return
            except (ApiUnavailable, ApiUnauthorized) as exc:
                await self._backoff.failed(exc)
            except (ApiConflict, ApiNotFound):  # it is there already, or its namespace is not any more
                return
            except ApiError as exc:
                if exc.status_reason != NAMESPACE_TERMINATING:
                    await self._backoff.failed(exc)
                return

    async def _send(self, correlated: Correlated) -> Json:
        event, metadata = correlated.event, correlated.event["metadata"]
        if correlated.patch is not None:
            try:
                return await self._api.patch(EVENTS.at(metadata["namespace"], metadata["name"]), correlated.patch)
            except ApiNotFound:  # events expire after an hour
                pass
        return await self._api.create(EVENTS.at(metadata["namespace"]), event)
