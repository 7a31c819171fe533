"""``vkprovider node``: the composition root of a node in a cluster, and the life of its process.

::

    place (directory, cluster, address) ──▶ parts ──▶ registered ──▶ all at work ──▶ told to stop ──▶ NotReady, drained?

If one part fails for good so does the process; the containers go on, and the next start takes them over.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from vkprovider.config import PROFILES, Settings, load_settings
from vkprovider.core.actions import PodEvent
from vkprovider.core.create import NodeFacts
from vkprovider.core.network_files import Dns, parse_resolv_conf
from vkprovider.core.projections import NodeShare
from vkprovider.core.view import CoreSettings
from vkprovider.engine.disks import count, file_system
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.engine.endpoint import NO_ENGINE
from vkprovider.errors import ApiUnavailable, EngineUnavailable, VkError, each_error
from vkprovider.kube.door import Door
from vkprovider.kube.event_recorder import EventRecorder
from vkprovider.kube.granted_objects import GrantedObjects
from vkprovider.kube.lasting_checkpoint import LastingCheckpoint
from vkprovider.kube.machine import look_at_machine, machine_readings
from vkprovider.kube.node_conditions import NodeEvent
from vkprovider.kube.node_object import MachineFacts, node_devices, node_reference, node_status, with_devices_of
from vkprovider.kube.node_registrar import NodeRegistrar
from vkprovider.kube.node_settings import DEFAULT_TAINT, NodeFlags, NodeSettings, load_node_settings
from vkprovider.kube.objects import KubeObjects
from vkprovider.kube.pod_source import PodSource, of_namespace
from vkprovider.kube.services import Services
from vkprovider.kube.status_writer import StatusWriter
from vkprovider.kube.webhook_settings import WebhookFlags, WebhookSettings, load_webhook_settings
from vkprovider.node.checkpoint import FileCheckpoint
from vkprovider.node.clock import SystemClock
from vkprovider.node.dispatcher import Dispatcher
from vkprovider.node.draining import Draining
from vkprovider.node.evictor import Evictor
from vkprovider.node.image_collector import ImageCollector, image_disk
from vkprovider.node.ledger import Ledger
from vkprovider.node.orders import Orders, unless
from vkprovider.node.performer import Performer
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.pod_files import PodFiles
from vkprovider.node.pod_logs import PodLogs
from vkprovider.node.pod_uses import PodUses
from vkprovider.node.pod_worker import Surroundings
from vkprovider.node.pulled_images import PulledImages
from vkprovider.node.pulling import Puller
from vkprovider.node.secret_memory import ON_DISK, shared_memory
from vkprovider.node.termination_message import TerminationMessages
from vkprovider.node.volume_usage import DiskVolumes
from vkprovider.node.volume_writer import VolumeWriter
from vkprovider.node.watchers import Watchers
from vkprovider.node_parts import Parts
from vkprovider.node_place import Place, find_place
from vkprovider.node_server import NodeServer
from vkprovider.ports import ContainerEngine, WaitingClock
from vkprovider.server.reads import Numbers
from vkprovider.telemetry.node_meter import NodeMeter
from vkprovider.webhook_parts import Webhook

OWN_ERROR = 125
RESOLV_CONF = Path("/etc/resolv.conf")
log = structlog.get_logger()


def node(
    flags: NodeFlags, *, state_dir: str, sandbox_image: str, forgive: str, webhook: WebhookFlags | None = None
) -> int:
    """Be a node until told to stop, and serve the webhook too where its flags are given; the process's exit code."""
    code = 0
    try:
        settings = load_settings(os.environ, state_dir=state_dir, sandbox_image=sandbox_image, forgive=forgive)
        beside = load_webhook_settings(webhook) if webhook is not None else None
        asyncio.run(_live(load_node_settings(flags, os.environ, socket.gethostname()), settings, beside))
    except* (VkError, OSError) as failed:
        for error in each_error(failed):
            print(f"vkprovider: {error}", file=sys.stderr)
            if isinstance(error, EngineUnavailable):
                print(NO_ENGINE, file=sys.stderr)
        code = OWN_ERROR
    return code


async def _live(node_settings: NodeSettings, settings: Settings, webhook: WebhookSettings | None) -> None:
    orders = Orders()
    place = await unless(orders.stop, find_place(node_settings, settings.state_dir, os.environ, SystemClock()))
    if place is None:
        return
    async with place:
        server = NodeServer(place.settings, place.api, place.directory, SystemClock())
        place.settings = msgspec.structs.replace(place.settings, port=server.port)
        engine = DockerEngine(
            place.settings.name,
            sandbox_image=settings.sandbox_image,
            registry_config=place.settings.images.registry_config,
        )
        try:
            parts = await _assemble(place, settings, engine, server)
            await _work(msgspec.structs.replace(parts, webhook=_webhook(place, webhook)), orders)
        finally:
            await engine.close()


def _webhook(place: Place, settings: WebhookSettings | None) -> Webhook | None:
    """Reached where the node is, and for nodes that are tainted as this one is."""
    if settings is None:
        return None
    taint = (place.settings.taint or DEFAULT_TAINT).key
    destination = msgspec.structs.replace(settings.destination, taint=taint)
    address = place.settings.internal_ip
    reached = msgspec.structs.replace(settings, address=address, destination=destination)
    return Webhook(place.api, reached, SystemClock())


async def _work(parts: Parts, orders: Orders) -> None:
    """All parts at work until a signal, in two steps: nothing is done about pods before there is a node."""
    settings = parts.place.settings
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(part) for part in parts.that_register()]
        await unless(orders.stop, _registered(parts.registrar, settings.startup_seconds))
        if not orders.stop.is_set():
            log.info("node registered", node=settings.name, address=settings.internal_ip)
            tasks += [group.create_task(part) for part in parts.that_run_pods()]
            await orders.stop.wait()
        await unless(orders.hurry, parts.wind_up())
        for task in tasks:
            task.cancel()
    await parts.statuses.aclose()
    await parts.files.aclose()


async def _registered(registrar: NodeRegistrar, seconds: float | None) -> None:
    """Wait until there is a Node. Raises ApiUnavailable where there is none in time."""
    try:
        await asyncio.wait_for(registrar.registered.wait(), seconds)
    except TimeoutError:
        raise ApiUnavailable(f"the node could not be registered within {seconds:g} s (--startup-timeout)") from None


async def _assemble(place: Place, settings: Settings, docker: DockerEngine, server: NodeServer) -> Parts:
    """The parts, made for one another. Raises EngineError where there is no engine."""
    name, api, clock = place.settings.name, place.api, SystemClock()
    meter = _meter(place, clock)
    engine = meter.of(docker)
    kept = await asyncio.to_thread(FileCheckpoint, place.directory / "records")
    left = of_namespace(place.settings.namespace, await asyncio.to_thread(kept.load_all))
    checkpoint, draining = LastingCheckpoint(kept), Draining()
    events, statuses = EventRecorder(api, clock, name), StatusWriter(api, clock, checkpoint.forget)
    look = partial(look_at_machine, engine, str(settings.state_dir))

    def tell(event: NodeEvent) -> None:
        told = PodEvent(type=event.type, reason=event.reason, message=event.message)
        events.note(node_reference(name), told, clock.now())

    machine = await look()
    place.settings = with_devices_of(machine, place.settings)  # what comes later is offered by the next start
    registrar = NodeRegistrar(api, place.settings, look, clock, tell)
    facts = await _facts(place, docker, machine)
    disk = await _disk(place, settings, engine, facts, lambda: registrar.view.labels)
    services = Services(place.api_server)
    objects = GrantedObjects(KubeObjects(api, clock, services), api, clock)
    pulled = await asyncio.to_thread(PulledImages, place.directory / "images.json")
    logs = PodLogs(engine, disk.files.logs, clock, place.settings.logs.limits)
    watcher = Watchers(draining, logs, meter.pods)
    puller = Puller(engine, objects, clock, watcher, pulled)
    around = Surroundings(
        engine=engine,
        performer=Performer(engine, objects, disk.files, facts, clock, puller),
        messages=TerminationMessages(engine, disk.files.termination_message),
        settings=CoreSettings(node_name=name, host_ip=facts.host_ip, forgive=settings.forgive),
        clock=clock,
        checkpoint=checkpoint,
        statuses=statuses,
        events=events,
        watcher=watcher,
        stopwatch=meter.steps,
        ledger=Ledger(lambda: registrar.view.allocatable, _device_ids(facts)),
    )
    dispatcher = Dispatcher(around)
    usages = docker.usages(str(place.directory), clock)
    uses = PodUses(engine, usages, disk.dirs)
    volumes = DiskVolumes(dispatcher.workers, disk.dirs, clock, count, file_system, engine)
    read = partial(asyncio.to_thread, machine_readings, machine.engine.root_dir, str(settings.state_dir))
    free = partial(image_disk, engine, str(place.directory))
    door = Door(lambda: registrar.view, place.settings.daemonsets, clock)
    return Parts(
        place=place,
        clock=clock,
        engine=engine,
        dispatcher=dispatcher,
        draining=draining,
        events=events,
        files=disk.files,
        uses=uses,
        evictor=Evictor(dispatcher.workers, place.settings.resources.eviction_hard, read, uses, events, clock),
        images=ImageCollector(engine, pulled, disk.writer.images, place.settings.images.policy, clock, free),
        registrar=registrar,
        source=PodSource(dispatcher, statuses, events, clock, door, left),
        statuses=statuses,
        server=server,
        tally=around.tally,
        meter=meter,
        numbers=Numbers(name, usages, volumes),
        logs=logs,
        services=services,
    )


class _Disk(NamedTuple):
    """Where the pods' files are, and who writes them."""

    dirs: PodDirs
    writer: VolumeWriter
    files: PodFiles


async def _disk(
    place: Place, settings: Settings, engine: ContainerEngine, facts: NodeFacts, labels: Callable[[], Mapping[str, str]]
) -> _Disk:
    memory = await shared_memory(place.directory, settings.state_dir, engine)
    if not memory:
        log.warning(ON_DISK)
    dirs = PodDirs(str(place.directory), memory, place.settings.logs.directory)
    writer = VolumeWriter(engine, dirs, SystemClock())

    def share() -> NodeShare:
        return NodeShare(memory=facts.memory, allocatable=facts.allocatable, labels=labels())

    return _Disk(dirs, writer, PodFiles(dirs, writer, share, dns=facts.dns, profiles=settings.state_dir / PROFILES))


def _device_ids(facts: NodeFacts) -> dict[str, tuple[str, ...]]:
    return {name: tuple(each.id for each in devices) for name, devices in facts.devices.items()}


def _meter(place: Place, clock: WaitingClock) -> NodeMeter:
    """Told of the API server from now on."""
    meter = NodeMeter(clock)
    place.api.answered = meter.requests.answered
    own = place.member.certificate
    if own is not None:
        meter.certificates.follow_client(lambda: own.store.known_end, lambda: own.store.failures)
    return meter


async def _facts(place: Place, engine: DockerEngine, machine: MachineFacts) -> NodeFacts:
    """What the pods' containers are told of the node."""
    for limitation in engine.limitations:
        log.info(limitation)
    await engine.sweep_tools()
    if place.api_server is None:
        log.warning(
            "pods are told the cluster's own address of the API server, since they cannot reach it where this node "
            "does: --service-host says where they can",
            server=await place.api.server(),
        )
    network, text = place.settings.pod_network, await asyncio.to_thread(RESOLV_CONF.read_text, errors="replace")
    return NodeFacts(
        name=place.settings.name,
        memory=machine.engine.memory,
        host_ip=place.settings.internal_ip,
        network=place.network,
        dns=Dns(node=parse_resolv_conf(text), servers=network.cluster_dns, domain=network.cluster_domain),
        enforced=machine.engine.security,
        withheld=machine.engine.withheld,
        log_limits=place.settings.logs.limits,
        allocatable=node_status(machine, place.settings, [])["allocatable"],
        devices=node_devices(machine, place.settings),
        pod_max_pids=place.settings.resources.pod_max_pids,
        limits_pods=machine.engine.pod_limits,
    )
