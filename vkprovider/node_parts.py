"""The parts of a node in a cluster: what runs as long as it is one, and what is done when it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

import msgspec
import structlog

from vkprovider.core.actions import PodEvent
from vkprovider.core.view import Eviction
from vkprovider.errors import VkError
from vkprovider.kube.backoff import BackOff
from vkprovider.kube.event_recorder import EventRecorder
from vkprovider.kube.insistence import insist
from vkprovider.kube.node.joining import Membership
from vkprovider.kube.node.lease import NodeLease
from vkprovider.kube.node.registrar import NodeRegistrar
from vkprovider.kube.node.settings import NodeSettings
from vkprovider.kube.pods.late_pods import LatePods
from vkprovider.kube.pods.source import PodSource
from vkprovider.kube.pods.status_writer import StatusWriter
from vkprovider.kube.references.services import Services
from vkprovider.kube.reflector import Reflector
from vkprovider.kube.resources import NODES, PODS, SERVICES
from vkprovider.node.disk_limits import DiskLimits
from vkprovider.node.dispatcher import Dispatcher
from vkprovider.node.draining import Draining
from vkprovider.node.evictor import Evictor
from vkprovider.node.image_collector import ImageCollector
from vkprovider.node.orphans import find_orphans, remove_orphaned_files
from vkprovider.node.pod_files import PodFiles
from vkprovider.node.pod_logs import PodLogs
from vkprovider.node_server import NodeServer
from vkprovider.ports import ContainerEngine, WaitingClock
from vkprovider.webhook_parts import Webhook

GOODBYE_SECONDS = 5.0  # for the API server to hear that the node goes
FINAL_WORDS_SECONDS = 30.0  # and how its pods have ended
SHUTDOWN = Eviction(  # pkg/kubelet/nodeshutdown/nodeshutdown_manager.go
    reason="Terminated", message="Pod was terminated in response to imminent node shutdown."
)
log = structlog.get_logger()


class Reports(msgspec.Struct, frozen=True, kw_only=True):
    """What tells the API server of the node and its pods. ``tell`` takes events about the node itself."""

    member: Membership
    registrar: NodeRegistrar
    statuses: StatusWriter
    events: EventRecorder
    tell: Callable[[PodEvent], None]


class Pods(msgspec.Struct, frozen=True, kw_only=True):
    """What runs the pods: from the API that says which there are to the files that they leave."""

    engine: ContainerEngine
    source: PodSource
    services: Services
    dispatcher: Dispatcher
    draining: Draining
    files: PodFiles
    logs: PodLogs


class Housekeeping(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps room on the machine."""

    images: ImageCollector
    evictor: Evictor
    limits: DiskLimits


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What a node consists of: each part is given those that it needs, and runs until it is cancelled."""

    settings: NodeSettings
    clock: WaitingClock
    reports: Reports
    pods: Pods
    housekeeping: Housekeeping
    server: NodeServer
    webhook: Webhook | None = None  # of this cluster, where this process serves it too

    def that_register(self) -> Iterator[Coroutine[Any, Any, None]]:
        yield self.reports.events.run()
        yield self.reports.statuses.run()
        yield self.reports.registrar.run()
        yield self.reports.member.keep()
        if self.webhook is not None:
            yield self.webhook.run()
        yield self.server.run()

    def that_run_pods(self) -> Iterator[Coroutine[Any, Any, None]]:
        settings, clock, reports, pods = self.settings, self.clock, self.reports, self.pods
        api, registrar, tell = reports.member.api, reports.registrar, reports.tell
        own_node = {"fieldSelector": f"metadata.name={settings.name}"}
        own_pods = {"fieldSelector": f"spec.nodeName={settings.name}"}
        yield registrar.follow(Reflector(api, NODES.at(), clock, selectors=own_node).updates())
        yield NodeLease(api, settings.name, lambda: registrar.uid, clock).run()
        yield pods.services.run(Reflector(api, SERVICES.at(), clock).updates())
        yield pods.logs.run()
        yield pods.dispatcher.run()
        yield self.housekeeping.images.run(tell)
        yield self.housekeeping.limits.run()
        yield self.housekeeping.evictor.run(tell, self.housekeeping.images.free)
        late = LatePods(api, reports.events, clock, may_label=not settings.node_restriction)
        yield late.run()
        updates = Reflector(api, PODS.at(settings.namespace), clock, selectors=own_pods).updates()
        yield pods.source.run(late.seeing(updates))
        yield self._end_orphans()

    async def wind_up(self) -> None:
        """The end of the node's work: what is to be done and said before the process ends."""
        registrar, dispatcher = self.reports.registrar, self.pods.dispatcher
        if not self.settings.drain:
            log.info("stopping; the pods go on, and the next start takes them over", pods=dispatcher.living)
            await _within(GOODBYE_SECONDS, registrar.shut_down, self._last_words)
            return
        log.info("draining; TERM or Ctrl-C again leaves the pods to the next start", pods=dispatcher.living)
        registrar.announce_shutdown()
        await _within(GOODBYE_SECONDS, registrar.shut_down)
        why = msgspec.structs.replace(SHUTDOWN, grace_seconds=self.settings.drain_seconds)
        await self.pods.draining.run(dispatcher, why)
        log.info("drained: no pod runs any more")
        await _within(FINAL_WORDS_SECONDS, self._last_words)

    async def aclose(self) -> None:
        """Once nothing runs any more."""
        await self.reports.statuses.aclose()
        await self.pods.files.aclose()

    async def _last_words(self) -> None:
        await self.reports.statuses.flush()
        await self.reports.events.flush()

    async def _end_orphans(self) -> None:
        """Once, when all pods are known: only an earlier process can have left what nobody knows."""
        await self.pods.source.listed.wait()
        if not self.settings.namespace:  # else the pods of other namespaces are not known
            await insist(self._end_orphans_now, BackOff("what earlier processes left", self.clock))

    async def _end_orphans_now(self) -> None:
        source = self.pods.source
        known = source.known
        for pod in await find_orphans(self.pods.engine, known):
            source.end_unknown(pod)
        await remove_orphaned_files(self.pods.files, known)


async def _within(seconds: float, *steps: Callable[[], Awaitable[None]]) -> None:
    """Take the steps one after the other, as far as they get in time; what the API server refuses is let go."""
    with suppress(TimeoutError, VkError):
        async with asyncio.timeout(seconds):
            for step in steps:
                await step()
