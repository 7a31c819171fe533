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
from vkprovider.kube.late_pods import LatePods
from vkprovider.kube.lease import NodeLease
from vkprovider.kube.node_api import NODES
from vkprovider.kube.node_object import node_reference
from vkprovider.kube.node_registrar import NodeRegistrar
from vkprovider.kube.pod_source import PodSource
from vkprovider.kube.reflector import Reflector
from vkprovider.kube.resources import PODS, SERVICES
from vkprovider.kube.services import Services
from vkprovider.kube.status_writer import StatusWriter
from vkprovider.node.disk_limits import DiskLimits
from vkprovider.node.dispatcher import Dispatcher
from vkprovider.node.draining import Draining
from vkprovider.node.evictor import Evictor
from vkprovider.node.image_collector import ImageCollector
from vkprovider.node.orphans import find_orphans, remove_orphaned_files
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.pod_files import PodFiles
from vkprovider.node.pod_logs import PodLogs
from vkprovider.node.pod_uses import PodUses
from vkprovider.node.probe_tally import ProbeTally
from vkprovider.node_place import Place
from vkprovider.node_server import NodeServer
from vkprovider.ports import ContainerEngine, WaitingClock
from vkprovider.server.reads import Numbers
from vkprovider.telemetry.node_meter import NodeMeter
from vkprovider.webhook_parts import Webhook

GOODBYE_SECONDS = 5.0  # for the API server to hear that the node goes
FINAL_WORDS_SECONDS = 30.0  # and how its pods have ended
SHUTDOWN = Eviction(  # pkg/kubelet/nodeshutdown/nodeshutdown_manager.go
    reason="Terminated", message="Pod was terminated in response to imminent node shutdown."
)
log = structlog.get_logger()


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What a node consists of: each part is given those that it needs, and runs until it is cancelled."""

    place: Place
    clock: WaitingClock
    engine: ContainerEngine
    dispatcher: Dispatcher
    draining: Draining
    events: EventRecorder
    files: PodFiles
    uses: PodUses
    evictor: Evictor
    images: ImageCollector
    registrar: NodeRegistrar
    source: PodSource
    statuses: StatusWriter
    server: NodeServer
    tally: ProbeTally
    meter: NodeMeter
    numbers: Numbers
    logs: PodLogs
    services: Services
    webhook: Webhook | None = None  # of this cluster, where this process serves it too

    def that_register(self) -> Iterator[Coroutine[Any, Any, None]]:
        yield self.events.run()
        yield self.statuses.run()
        yield self.registrar.run()
        yield self.place.member.keep()
        if self.webhook is not None:
            yield self.webhook.run()
        yield self.server.run(self.dispatcher, self.engine, self.tally, self.meter, self.numbers)

    def that_run_pods(self) -> Iterator[Coroutine[Any, Any, None]]:
        api, settings, clock = self.place.api, self.place.settings, self.clock
        own_node = {"fieldSelector": f"metadata.name={settings.name}"}
        own_pods = {"fieldSelector": f"spec.nodeName={settings.name}"}
        yield self.registrar.follow(Reflector(api, NODES.at(), clock, selectors=own_node).updates())
        yield NodeLease(api, settings.name, lambda: self.registrar.uid, clock).run()
        yield self.services.run(Reflector(api, SERVICES.at(), clock).updates())
        yield self.logs.run()
        yield self.images.run(self._tell)
        yield self.dispatcher.run()
        dirs = PodDirs(str(self.place.directory))
        yield DiskLimits(self.dispatcher.workers, dirs, self.events, clock, self.uses).run()
        yield self.evictor.run(self._tell, self.images.free)
        late = LatePods(api, self.events, clock, may_label=not settings.node_restriction)
        yield late.run()
        pods = Reflector(api, PODS.at(settings.namespace), clock, selectors=own_pods).updates()
        yield self.source.run(late.seeing(pods))
        yield self._end_orphans()

    def _tell(self, event: PodEvent) -> None:
        """About the node."""
        self.events.note(node_reference(self.place.settings.name), event, self.clock.now())

    async def wind_up(self) -> None:
        """The end of the node's work: what is to be done and said before the process ends."""
        settings, pods = self.place.settings, self.dispatcher.living
        if not settings.drain:
            log.info("stopping; the pods go on, and the next start takes them over", pods=pods)
            await _within(GOODBYE_SECONDS, self.registrar.shut_down, self._last_words)
            return
        log.info("draining; TERM or Ctrl-C again leaves the pods to the next start", pods=pods)
        self.registrar.announce_shutdown()
        await _within(GOODBYE_SECONDS, self.registrar.shut_down)
        await self.draining.run(
            self.dispatcher, msgspec.structs.replace(SHUTDOWN, grace_seconds=settings.drain_seconds)
        )
        log.info("drained: no pod runs any more")
        await _within(FINAL_WORDS_SECONDS, self._last_words)

    async def _last_words(self) -> None:
        await self.statuses.flush()
        await self.events.flush()

    async def _end_orphans(self) -> None:
        """Once, when all pods are known: only an earlier process can have left what nobody knows."""
        await self.source.listed.wait()
        if not self.place.settings.namespace:  # else the pods of other namespaces are not known
            await insist(self._end_orphans_now, BackOff("what earlier processes left", self.clock))

    async def _end_orphans_now(self) -> None:
        known = self.source.known
        for pod in await find_orphans(self.engine, known):
            self.source.end_unknown(pod)
        await remove_orphaned_files(self.files, known)


async def _within(seconds: float, *steps: Callable[[], Awaitable[None]]) -> None:
    """Take the steps one after the other, as far as they get in time; what the API server refuses is let go."""
    with suppress(TimeoutError, VkError):
        async with asyncio.timeout(seconds):
            for step in steps:
                await step()
