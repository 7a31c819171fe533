"""The engine's events, as "look at this pod again" (the kubelet's PLEG, without its polling).

Events may get lost: on a broken connection, on a restart of the engine, and 256 at once are all it replays. So after
each connect, and every 30 s, anything may have changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from email.utils import parsedate_to_datetime

import aiohttp
import msgspec
import structlog

from vkprovider.engine.streaming import Streaming
from vkprovider.engine.unary import Params
from vkprovider.errors import EngineError, EngineUnavailable
from vkprovider.model.labels import NODE, POD_UID
from vkprovider.model.refs import PodUID
from vkprovider.wire.lines import LineSplitter

RELIST_SECONDS = 30.0
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.2, 10.0

# What changes how a pod stands. Execs, which probes make many of, do not.
_ACTIONS = ("create", "start", "die", "oom", "pause", "unpause", "destroy")
log = structlog.get_logger()


class _Actor(msgspec.Struct, rename="pascal"):
    attributes: dict[str, str] = {}


class _Event(msgspec.Struct, rename="pascal"):
    actor: _Actor = msgspec.field(default_factory=_Actor)


_decode_event = msgspec.json.Decoder(_Event).decode


async def changes(
    streaming: Streaming, node: str, relist_seconds: float = RELIST_SECONDS
) -> AsyncIterator[PodUID | None]:
    """The uid of each pod of a node that something happened to; None when any may have changed. Never ends."""
    retry_seconds = FIRST_RETRY_SECONDS
    while True:
        try:
            async with streaming.open("GET", "/events", params=await _subscription(streaming, node)) as events:
                yield None
                retry_seconds = FIRST_RETRY_SECONDS
                async with aclosing(_uids(events, relist_seconds)) as uids:
                    async for uid in uids:
                        yield uid
            raise EngineUnavailable("the engine has ended its stream of events")
        except EngineError as exc:
            log.warning("lost sight of the engine's events", error=str(exc), retry_seconds=retry_seconds)
        await asyncio.sleep(retry_seconds)
        retry_seconds = min(2 * retry_seconds, LONGEST_RETRY_SECONDS)


async def _subscription(streaming: Streaming, node: str) -> Params:
    """Events from a moment ago on: the engine answers before it listens, and what falls in between would be lost.

    The moment is taken from the engine's own clock, which need not be ours.
    """
    date = await streaming.date()
    filters = {"type": ["container"], "label": [f"{NODE}={node}"], "event": _ACTIONS}
    since = int(parsedate_to_datetime(date).timestamp()) - 1
    return {"since": since, "filters": msgspec.json.encode(filters).decode()}


async def _uids(events: aiohttp.StreamReader, relist_seconds: float) -> AsyncGenerator[PodUID | None]:
    """The uids of the events until the stream ends, with a None for every period of time."""
    lines = LineSplitter()
    loop = asyncio.get_running_loop()
    relist_at = loop.time() + relist_seconds
    while True:
        try:
            async with asyncio.timeout_at(relist_at):
                data = await events.readany()  # unlike reading a line, this loses nothing when it is cut off
        except TimeoutError:
            relist_at = loop.time() + relist_seconds
            yield None
            continue
        if not data:
            return
        for uid in _of_lines(lines.feed(data)):
            yield uid


def _of_lines(lines: Iterator[bytes]) -> Iterator[PodUID]:
    for line in lines:
        uid = _decode_event(line).actor.attributes.get(POD_UID)
        if uid:  # tools have none
            yield PodUID(uid)
