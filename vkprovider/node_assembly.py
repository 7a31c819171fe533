"""The making of a node's parts, from what is settled before the first of them is there."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import NamedTuple

import msgspec
import structlog

from vkprovider.config import PROFILES, Settings
from vkprovider.core.actions import PodEvent
from vkprovider.core.create import NodeFacts
from vkprovider.core.network_files import Dns
from vkprovider.core.projections import NodeShare
from vkprovider.core.view import CoreSettings
from vkprovider.engine.disks import count, file_system
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.kube.client import ApiClient
from vkprovider.kube.event_recorder import EventRecorder
from vkprovider.kube.node.door import Door
from vkprovider.kube.node.machine import look_at_machine, machine_readings
from vkprovider.kube.node.object import MachineFacts, node_devices, node_reference, node_status, with_devices_of
from vkprovider.kube.node.registrar import NodeRegistrar
from vkprovider.kube.node.settings import NodeSettings
from vkprovider.kube.pods.lasting_checkpoint import LastingCheckpoint
from vkprovider.kube.pods.source import PodSource, of_namespace
from vkprovider.kube.pods.status_writer import StatusWriter
from vkprovider.kube.references.certificate_requests import CertificateRequests
from vkprovider.kube.references.granted_objects import GrantedObjects
from vkprovider.kube.references.objects import KubeObjects
from vkprovider.kube.references.pod_certificates import PodCertificates
from vkprovider.kube.references.services import Services
from vkprovider.node.checkpoint import FileCheckpoint
from vkprovider.node.disk_limits import DiskLimits
from vkprovider.node.dispatcher import Dispatcher
from vkprovider.node.draining import Draining
from vkprovider.node.evictor import Evictor
from vkprovider.node.image_collector import ImageCollector, image_disk
from vkprovider.node.ledger import Ledger
from vkprovider.node.own_resolver import own_resolver
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
from vkprovider.node_parts import Housekeeping, Parts, Pods, Reports
from vkprovider.node_place import Place
from vkprovider.node_server import NodeServer, Shown
from vkprovider.ports import ContainerEngine, WaitingClock
from vkprovider.server.reads import Numbers
from vkprovider.telemetry.node_meter import NodeMeter

log = structlog.get_logger()


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What a node's parts are made from. Its ``settings`` are final: devices that come later the next start offers."""

    place: Place
    settings: NodeSettings
    own: Settings
    machine: MachineFacts
    facts: NodeFacts
    docker: DockerEngine
    engine: ContainerEngine  # the same, timed
    meter: NodeMeter
    clock: WaitingClock

    @property
    def api(self) -> ApiClient:
        return self.place.member.api

    async def look(self) -> MachineFacts:
        return await look_at_machine(self.engine, str(self.own.state_dir))


class _Disk(NamedTuple):
    """Where the pods' files are, and who writes them."""

    dirs: PodDirs
    writer: VolumeWriter
    files: PodFiles
    pulled: PulledImages


async def settle(place: Place, own: Settings, docker: DockerEngine, meter: NodeMeter, clock: WaitingClock) -> Given:
    """Look at the machine. Raises EngineError where there is no engine."""
    engine = meter.of(docker)
    machine = await look_at_machine(engine, str(own.state_dir))
    settings = with_devices_of(machine, place.settings)
    return Given(
        place=place,
        settings=settings,
        own=own,
        machine=machine,
        facts=await _facts(place, settings, machine),
        docker=docker,
        engine=engine,
        meter=meter,
        clock=clock,
    )


async def assemble(given: Given) -> Parts:
    """The parts, made for one another."""
    _follow_certificate(given)
    kept = await asyncio.to_thread(FileCheckpoint, given.place.directory / "records")
    left = of_namespace(given.settings.namespace, await asyncio.to_thread(kept.load_all))
    checkpoint = LastingCheckpoint(kept)
    reports = _reports(given, checkpoint)
    disk = await _disk(given, reports.registrar)
    services, draining = Services(given.place.api_server), Draining()
    logs = PodLogs(given.engine, disk.files.logs, given.clock, given.settings.logs.limits)
    around = _around(given, reports, disk, services, checkpoint, Watchers(draining, logs, given.meter.pods))
    dispatcher = Dispatcher(around)
    door = Door(lambda: reports.registrar.view, given.settings.daemonsets, given.clock)
    numbers = _numbers(given, disk, dispatcher)
    return Parts(
        settings=given.settings,
        clock=given.clock,
        reports=reports,
        pods=Pods(
            engine=given.engine,
            source=PodSource(dispatcher, reports.statuses, reports.events, given.clock, door, left),
            services=services,
            dispatcher=dispatcher,
            draining=draining,
            files=disk.files,
            logs=logs,
        ),
        housekeeping=_housekeeping(given, reports, disk, dispatcher, PodUses(given.engine, numbers.usages, disk.dirs)),
        server=_server(given, Shown(dispatcher, given.engine, around.tally, given.meter, numbers)),
    )


def _reports(given: Given, checkpoint: LastingCheckpoint) -> Reports:
    api, settings, clock = given.api, given.settings, given.clock
    events = EventRecorder(api, clock, settings.name)

    def tell(event: PodEvent) -> None:
        events.note(node_reference(settings.name), event, clock.now())

    return Reports(
        member=given.place.member,
        registrar=NodeRegistrar(api, settings, given.look, clock, tell),
        statuses=StatusWriter(api, clock, checkpoint.forget),
        events=events,
        tell=tell,
    )


async def _disk(given: Given, registrar: NodeRegistrar) -> _Disk:
    place, facts, state_dir = given.place, given.facts, given.own.state_dir
    memory = await shared_memory(place.directory, state_dir, given.engine)
    if not memory:
        log.warning(ON_DISK)
    dirs = PodDirs(str(place.directory), memory, given.settings.logs.directory)
    writer = VolumeWriter(given.engine, dirs, given.clock)

    def share() -> NodeShare:
        return NodeShare(memory=facts.memory, allocatable=facts.allocatable, labels=registrar.view.labels)

    files = PodFiles(dirs, writer, share, dns=facts.dns, profiles=state_dir / PROFILES)
    return _Disk(dirs, writer, files, await asyncio.to_thread(PulledImages, place.directory / "images.json"))


def _around(
    given: Given,
    reports: Reports,
    disk: _Disk,
    services: Services,
    checkpoint: LastingCheckpoint,
    watcher: Watchers,
) -> Surroundings:
    engine, facts, clock, registrar = given.engine, given.facts, given.clock, reports.registrar
    requests = CertificateRequests(given.api, clock, given.settings.name, lambda: registrar.uid)
    known = KubeObjects(given.api, clock, services)
    objects = GrantedObjects(known, PodCertificates(requests, clock), given.api, clock)
    puller = Puller(engine, objects, clock, watcher, disk.pulled)
    devices = {name: tuple(each.id for each in offered) for name, offered in facts.devices.items()}
    return Surroundings(
        engine=engine,
        performer=Performer(engine, objects, disk.files, facts, clock, puller),
        messages=TerminationMessages(engine, disk.files.termination_message),
        settings=CoreSettings(
            node_name=given.settings.name,
            host_ip=facts.host_ip,
            forgive=given.own.forgive,
            recursive_read_only=facts.recursive_read_only,
        ),
        clock=clock,
        checkpoint=checkpoint,
        statuses=reports.statuses,
        events=reports.events,
        watcher=watcher,
        stopwatch=given.meter.steps,
        ledger=Ledger(lambda: registrar.view.allocatable, devices),
    )


def _numbers(given: Given, disk: _Disk, dispatcher: Dispatcher) -> Numbers:
    """What the pods use, to be read."""
    usages = given.docker.usages(str(given.place.directory), given.clock)
    volumes = DiskVolumes(dispatcher.workers, disk.dirs, given.clock, count, file_system, given.engine)
    return Numbers(given.settings.name, usages, volumes)


def _housekeeping(given: Given, reports: Reports, disk: _Disk, dispatcher: Dispatcher, uses: PodUses) -> Housekeeping:
    engine, settings, clock, events = given.engine, given.settings, given.clock, reports.events
    root_dir = given.machine.engine.root_dir
    read = partial(asyncio.to_thread, machine_readings, root_dir, str(given.own.state_dir))
    free = partial(image_disk, engine, str(given.place.directory))
    workers, hard = dispatcher.workers, settings.resources.eviction_hard
    return Housekeeping(
        images=ImageCollector(engine, disk.pulled, disk.writer.images, settings.images.policy, clock, free),
        evictor=Evictor(workers, hard, read, uses, events, clock),
        limits=DiskLimits(workers, disk.dirs, events, clock, uses),
    )


def _server(given: Given, shown: Shown) -> NodeServer:
    place = given.place
    return NodeServer(given.settings, given.api, place.directory, place.listener, given.clock, shown)


def _follow_certificate(given: Given) -> None:
    """Have the numbers of the certificate by which the API server knows this node shown."""
    certificate = given.place.member.certificate
    if certificate is not None:
        store = certificate.store
        given.meter.certificates.follow_client(lambda: store.known_end, lambda: store.failures)


async def _facts(place: Place, settings: NodeSettings, machine: MachineFacts) -> NodeFacts:
    """What the pods' containers are told of the node."""
    engine, network = machine.engine, settings.pod_network
    return NodeFacts(
        name=settings.name,
        memory=engine.memory,
        host_ip=settings.internal_ip,
        network=place.network,
        dns=Dns(node=await own_resolver(), servers=network.cluster_dns, domain=network.cluster_domain),
        enforced=engine.security,
        withheld=engine.withheld,
        recursive_read_only=engine.recursive_read_only,
        log_limits=settings.logs.limits,
        allocatable=node_status(machine, settings, [])["allocatable"],
        devices=node_devices(machine, settings),
        pod_max_pids=settings.resources.pod_max_pids,
        limits_pods=engine.pod_limits,
    )
