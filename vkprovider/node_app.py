"""``vkprovider node``: the composition root of a node in a cluster, and the life of its process."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import structlog

from vkprovider.config import Settings, load_settings
from vkprovider.core.actions import Decision, PodEvent
from vkprovider.core.create import NodeFacts
from vkprovider.core.network_files import parse_resolv_conf
from vkprovider.core.view import CoreSettings, PodView
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.engine.kind_clusters import find_kind_cluster
from vkprovider.errors import VkError
from vkprovider.kube.client import ApiClient
from vkprovider.kube.door import Door
from vkprovider.kube.event_recorder import EventRecorder
from vkprovider.kube.lasting_checkpoint import LastingCheckpoint
from vkprovider.kube.lease import NodeLease
from vkprovider.kube.machine import address_towards, look_at_machine
from vkprovider.kube.node_api import NODES
from vkprovider.kube.node_conditions import NodeEvent
from vkprovider.kube.node_object import node_reference
from vkprovider.kube.node_registrar import NodeRegistrar
from vkprovider.kube.node_settings import NodeFlags, NodeSettings, load_node_settings
from vkprovider.kube.objects import KubeObjects
from vkprovider.kube.pod_source import PodSource
from vkprovider.kube.reflector import Reflector
from vkprovider.kube.resources import PODS
from vkprovider.kube.status_writer import StatusWriter
from vkprovider.model.pod import Pod
from vkprovider.node.checkpoint import FileCheckpoint
from vkprovider.node.clock import SystemClock
from vkprovider.node.dispatcher import Dispatcher
from vkprovider.node.log_setup import set_up_logging
from vkprovider.node.performer import Performer
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.pod_files import PodFiles
from vkprovider.node.pod_worker import Surroundings
from vkprovider.node.termination_message import TerminationMessages
from vkprovider.node.volume_writer import VolumeWriter
from vkprovider.ports import PullProgress

OWN_ERROR = 125
RESOLV_CONF = Path("/etc/resolv.conf")
GOODBYE_SECONDS = 5.0  # for the API server to hear that the node goes
log = structlog.get_logger()


def node(flags: NodeFlags, *, state_dir: str, sandbox_image: str, forgive: str) -> int:
    """Be a node until told to stop; the exit code of the process."""
    set_up_logging(logging.INFO)
    try:
        settings = load_settings(os.environ, state_dir=state_dir, sandbox_image=sandbox_image, forgive=forgive)
        return asyncio.run(_node(load_node_settings(flags, os.environ, socket.gethostname()), settings))
    except (VkError, OSError) as exc:
        print(f"vkprovider: {exc}", file=sys.stderr)
        return OWN_ERROR


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the node is: its cluster's API, its pods' network, and the directory of its own."""

    api: ApiClient
    network: str
    directory: Path


async def _node(node_settings: NodeSettings, settings: Settings) -> int:
    clock = SystemClock()
    place, node_settings = await _find_place(node_settings, settings, clock)
    engine = DockerEngine(node_settings.name, sandbox_image=settings.sandbox_image)
    try:
        await _serve(node_settings, settings, place, engine, clock)
    finally:
        await engine.close()
        await place.api.aclose()
    return 0


async def _find_place(
    node_settings: NodeSettings, settings: Settings, clock: SystemClock
) -> tuple[_Place, NodeSettings]:
    """The cluster to join, and the settings with the address it reaches this machine by."""
    directory = settings.state_dir / "nodes" / node_settings.name
    directory.mkdir(parents=True, exist_ok=True, mode=0o711)
    kubeconfig, network, address = node_settings.kubeconfig, "", node_settings.internal_ip
    if node_settings.kind is not None:
        wanted = os.environ.get("KIND_EXPERIMENTAL_DOCKER_NETWORK", "kind")
        cluster = await find_kind_cluster(node_settings.kind, wanted)
        kubeconfig, network = str(directory / "kubeconfig.json"), cluster.network
        address = address or cluster.host_ip
        await asyncio.to_thread(_write_secret, kubeconfig, cluster.kubeconfig)
    api = ApiClient(clock, kubeconfig)
    if not address:
        server = urlsplit(await api.server())
        address = await address_towards(server.hostname or "", server.port or 443)
    place = _Place(api=api, network=network, directory=directory)
    return place, msgspec.structs.replace(node_settings, internal_ip=address)


async def _serve(
    node_settings: NodeSettings, settings: Settings, place: _Place, engine: DockerEngine, clock: SystemClock
) -> None:
    """Everything at work, until a signal. If one part fails for good so does the process; the containers go on."""
    name, api = node_settings.name, place.api
    kept = await asyncio.to_thread(FileCheckpoint, place.directory / "records")
    checkpoint = LastingCheckpoint(kept)
    events = EventRecorder(api, clock, name)
    statuses = StatusWriter(api, clock, checkpoint.forget)
    around = await _surroundings(node_settings, settings, place, engine, _Sinks(checkpoint, statuses, events))
    dispatcher = Dispatcher(around)

    def tell(event: NodeEvent) -> None:
        told = PodEvent(type=event.type, reason=event.reason, message=event.message)
        events.note(node_reference(name), told, clock.now())

    look = partial(look_at_machine, engine, str(settings.state_dir))
    registrar = NodeRegistrar(api, node_settings, look, clock, tell)
    lease = NodeLease(api, name, lambda: registrar.uid, clock)
    door = Door(lambda: registrar.view, node_settings.daemonsets, clock)
    left = await asyncio.to_thread(kept.load_all)
    source = PodSource(dispatcher, statuses, events, clock, door, left)
    own_node = Reflector(api, NODES.at(), clock, selectors={"fieldSelector": f"metadata.name={name}"})
    own_pods = Reflector(
        api, PODS.at(node_settings.namespace), clock, selectors={"fieldSelector": f"spec.nodeName={name}"}
    )
    stopped = _stop_signal()
    async with asyncio.TaskGroup() as group:
        parts = [group.create_task(events.run()), group.create_task(statuses.run())]
        parts.append(group.create_task(registrar.run()))
        waits = [asyncio.ensure_future(registrar.registered.wait()), asyncio.ensure_future(stopped.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if not stopped.is_set():
            log.info("node registered", node=name, address=node_settings.internal_ip)
            parts.append(group.create_task(registrar.follow(own_node.updates())))
            parts.append(group.create_task(lease.run()))
            parts.append(group.create_task(dispatcher.run()))
            parts.append(group.create_task(source.run(own_pods.updates())))
            await stopped.wait()
        log.info("stopping; the pods go on, and the next start takes them over", pods=len(dispatcher.workers))
        with suppress(TimeoutError, VkError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await registrar.shut_down()
                await statuses.flush()
                await events.flush()
        for task in (*waits, *parts):
            task.cancel()
    await statuses.aclose()


class _Sinks(msgspec.Struct, frozen=True):
    checkpoint: LastingCheckpoint
    statuses: StatusWriter
    events: EventRecorder


async def _surroundings(
    node_settings: NodeSettings, settings: Settings, place: _Place, engine: DockerEngine, sinks: _Sinks
) -> Surroundings:
    clock, info = SystemClock(), await engine.info()
    for limitation in engine.limitations:
        log.info(limitation)
    address = node_settings.internal_ip
    resolver = parse_resolv_conf(await asyncio.to_thread(RESOLV_CONF.read_text, errors="replace"))
    facts = NodeFacts(
        name=node_settings.name, memory=info.memory, host_ip=address, network=place.network, resolver=resolver
    )
    dirs = PodDirs(str(place.directory))
    files = PodFiles(dirs, VolumeWriter(engine, dirs, clock), info.memory)
    watcher = _Nobody()
    return Surroundings(
        engine=engine,
        performer=Performer(engine, KubeObjects(place.api), files, facts, clock, watcher),
        messages=TerminationMessages(engine, files.termination_message),
        settings=CoreSettings(node_name=facts.name, host_ip=address, forgive=settings.forgive),
        clock=clock,
        checkpoint=sinks.checkpoint,
        statuses=sinks.statuses,
        events=sinks.events,
        watcher=watcher,
    )


def _write_secret(path: str, content: str) -> None:
    """A file that only this user can read."""
    with open(path, "w", encoding="utf-8", opener=partial(os.open, mode=0o600)) as file:
        file.write(content)


def _stop_signal() -> asyncio.Event:
    """Set by TERM or Ctrl-C."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


class _Nobody:
    """A ``Watcher`` that does not look: in a cluster the API server is told everything."""

    def looked(self, view: PodView, decision: Decision) -> None: ...

    def pulling(self, pod: Pod, container: str, progress: PullProgress) -> None: ...
