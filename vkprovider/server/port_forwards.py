"""port-forward: connections to a pod's ports, each a pair of streams, one for its bytes and one for its error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from aiohttp import web

from vkprovider.server.channels import Channel
from vkprovider.server.commands import CREATION_SECONDS
from vkprovider.server.handshakes import accept_websocket, spdy_handshake, wants_websocket, websocket_protocol
from vkprovider.server.links import Link, Tunnel, taken_over
from vkprovider.server.queries import forwarded_port, forwarded_ports
from vkprovider.server.sessions import Sessions
from vkprovider.server.spdy_connection import SpdyConnection, SpdyStream
from vkprovider.server.websocket_channels import WebSocketChannels
from vkprovider.wire import channels, outcome
from vkprovider.wire.channels import ChannelCodec, port_greeting

Forward = Callable[[int, Channel, Channel], Coroutine[Any, Any, None]]  # a port, its data, its error
log = structlog.get_logger()


async def serve_port_forward(request: web.Request, forward: Forward, sessions: Sessions) -> web.StreamResponse:
    """Forward what the client asks for, in one of the three ways there are. Raises Refused."""
    if not wants_websocket(request):
        response = web.StreamResponse()
        spdy_handshake(request, response, (outcome.PORT_FORWARD_PROTOCOL,))
        async with taken_over(request, response) as link:
            await _over_spdy(link, forward, sessions)
        return response
    codec = ChannelCodec(websocket_protocol(request, channels.PORT_FORWARD))
    if codec.subprotocol == channels.TUNNELLED_PORTS:
        socket = await accept_websocket(request, codec.subprotocol)
        await _over_spdy(Tunnel(socket), forward, sessions)
    else:
        ports = forwarded_ports(request.query)
        socket = await accept_websocket(request, codec.subprotocol)
        await _over_channels(WebSocketChannels(socket, codec, count=2 * len(ports)), ports, forward, sessions)
    return socket


async def _over_spdy(link: Link, forward: Forward, sessions: Sessions) -> None:
    connection = SpdyConnection(link)
    await sessions.run(connection.run(), Pairs(connection, forward).run())


async def _over_channels(connection: WebSocketChannels, ports: list[int], forward: Forward, sessions: Sessions) -> None:
    """Two channels for each port."""

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            for port, data, error in zip(ports, connection.channels[::2], connection.channels[1::2], strict=True):
                await data.write(port_greeting(port))
                await error.write(port_greeting(port))
                group.create_task(forward(port, data, error))
        await connection.leave()

    await sessions.run(connection.run(), work())


class Pairs:
    """Finds the two streams of each connection, and begins it once both are there."""

    def __init__(self, connection: SpdyConnection, forward: Forward) -> None:
        self._connection = connection
        self._forward = forward
        self._waiting: dict[str, tuple[str, SpdyStream]] = {}  # by request: the stream that came first, and its type

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                stream = await self._connection.opened.get()
                kind, port = stream.headers.get("streamtype", ""), forwarded_port(stream.headers.get("port", ""))
                if kind not in ("data", "error") or port is None:
                    await stream.refuse()
                    continue
                await stream.accept()
                request = _request(stream, kind)
                known_kind, known = self._waiting.pop(request, ("", None))
                if known is None:
                    self._waiting[request] = (kind, stream)
                    group.create_task(self._expect_other(request, stream))
                elif known_kind == kind:
                    await stream.refuse()
                    self._waiting[request] = (kind, known)
                else:
                    data, error = (stream, known) if kind == "data" else (known, stream)
                    group.create_task(self._forward(port, data, error))

    async def _expect_other(self, request: str, stream: SpdyStream) -> None:
        """Give a stream up that stays alone."""
        await asyncio.sleep(CREATION_SECONDS)
        if self._waiting.get(request, ("", None))[1] is stream:
            del self._waiting[request]
            log.info("a client opened one stream of two", request=request)
            await stream.refuse()


def _request(stream: SpdyStream, kind: str) -> str:
    """Which connection a stream is of. Old clients do not say: they open the error's stream, then the data's."""
    number = stream.stream_id if kind == "error" else stream.stream_id - 2
    return stream.headers.get("requestid", "") or str(number)
