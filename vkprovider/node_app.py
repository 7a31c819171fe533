"""``vkprovider node``: the composition root of a node in a cluster, and the life of its process.

::

    place (directory, cluster, port) ──▶ parts ──▶ registered ──▶ all at work ──▶ told to stop ──▶ NotReady, drained?

If one part fails for good so does the process; the containers go on, and the next start takes them over.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys

import msgspec
import structlog

from vkprovider.config import Settings, load_settings
from vkprovider.engine.descriptor_limit import raise_descriptor_limit
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.engine.endpoint import NO_ENGINE
from vkprovider.errors import OWN_ERROR, ApiUnavailable, EngineUnavailable, VkError, each_error, in_words
from vkprovider.kube.node.registrar import NodeRegistrar
from vkprovider.kube.node.settings import DEFAULT_TAINT, NodeFlags, NodeSettings, load_node_settings
from vkprovider.kube.webhook.settings import WebhookFlags, WebhookSettings, load_webhook_settings
from vkprovider.node.clock import SystemClock
from vkprovider.node.orders import Orders, unless
from vkprovider.node_assembly import assemble, settle
from vkprovider.node_parts import Parts
from vkprovider.node_place import Place, find_place
from vkprovider.telemetry.node_meter import NodeMeter
from vkprovider.webhook_parts import Webhook

log = structlog.get_logger()


def node(
    flags: NodeFlags, *, state_dir: str, sandbox_image: str, forgive: str, webhook: WebhookFlags | None = None
) -> int:
    """Be a node until told to stop, and serve the webhook too where its flags are given; the process's exit code.

    Raises ConfigError where flags cannot be used.
    """
    settings = load_settings(os.environ, state_dir=state_dir, sandbox_image=sandbox_image, forgive=forgive)
    beside = load_webhook_settings(webhook) if webhook is not None else None
    wanted, code = load_node_settings(flags, os.environ, socket.gethostname()), 0
    raise_descriptor_limit()
    try:
        asyncio.run(_live(wanted, settings, beside))
    except* (VkError, OSError) as failed:
        for error in each_error(failed):
            print(f"vkprovider: {in_words(error)}", file=sys.stderr)
            if isinstance(error, EngineUnavailable):
                print(NO_ENGINE, file=sys.stderr)
        code = OWN_ERROR
    return code


async def _live(wanted: NodeSettings, own: Settings, webhook: WebhookSettings | None) -> None:
    orders, clock = Orders(), SystemClock()
    meter = NodeMeter(clock)
    finding = find_place(wanted, own.state_dir, os.environ, clock, meter.requests.answered)
    place = await unless(orders.stop, finding)
    if place is None:
        return
    async with place:
        engine = DockerEngine(
            place.settings.name,
            sandbox_image=own.sandbox_image,
            registry_config=place.settings.images.registry_config,
        )
        try:
            given = await settle(place, own, engine, meter, clock)
            await _tidy(engine)
            parts = await assemble(given)
            await _work(msgspec.structs.replace(parts, webhook=_webhook(place, webhook)), orders)
        finally:
            await engine.close()


async def _tidy(engine: DockerEngine) -> None:
    """Say what the engine's host withholds from pods, and remove what a crash of ours has left there."""
    for limitation in engine.limitations:
        log.info(limitation)
    await engine.sweep_tools()


def _webhook(place: Place, settings: WebhookSettings | None) -> Webhook | None:
    """Reached where the node is, and for nodes that are tainted as this one is."""
    if settings is None:
        return None
    taint = (place.settings.taint or DEFAULT_TAINT).key
    destination = msgspec.structs.replace(settings.destination, taint=taint)
    address = place.settings.internal_ip
    reached = msgspec.structs.replace(settings, address=address, destination=destination)
    return Webhook(place.member.api, reached, SystemClock())


async def _work(parts: Parts, orders: Orders) -> None:
    """All parts at work until a signal, in two steps: nothing is done about pods before there is a node."""
    settings = parts.settings
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(part) for part in parts.that_register()]
        await unless(orders.stop, _registered(parts.reports.registrar, settings.startup_seconds))
        if not orders.stop.is_set():
            log.info("node registered", node=settings.name, address=settings.internal_ip)
            tasks += [group.create_task(part) for part in parts.that_run_pods()]
            await orders.stop.wait()
        await unless(orders.hurry, parts.wind_up())
        for task in tasks:
            task.cancel()
    await parts.aclose()


async def _registered(registrar: NodeRegistrar, seconds: float | None) -> None:
    """Wait until there is a Node. Raises ApiUnavailable where there is none in time."""
    try:
        await asyncio.wait_for(registrar.registered.wait(), seconds)
    except TimeoutError:
        raise ApiUnavailable(f"the node could not be registered within {seconds:g} s (--startup-timeout)") from None
