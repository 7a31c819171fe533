"""exec and attach: a client's streams, over SPDY or a WebSocket, and what is done with them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from vkprovider.server.channels import CommandChannels
from vkprovider.server.handshakes import accept_websocket, spdy_handshake, wants_websocket, websocket_protocol
from vkprovider.server.links import taken_over
from vkprovider.server.queries import StreamOptions
from vkprovider.server.sessions import Sessions
from vkprovider.server.spdy_connection import SpdyConnection, SpdyStream
from vkprovider.server.websocket_channels import WebSocketChannels
from vkprovider.wire import channels, outcome
from vkprovider.wire.channels import ChannelCodec
from vkprovider.wire.outcome import Outcome

CREATION_SECONDS = 30.0  # for the client to open its streams (pkg/util/remotecommand/constants.go)
Command = Callable[[CommandChannels], Awaitable[Outcome]]
log = structlog.get_logger()


async def serve_command(
    request: web.Request, options: StreamOptions, command: Command, sessions: Sessions
) -> web.StreamResponse:
    """Run the command for whoever asks in one of the two ways. Raises Refused."""
    if wants_websocket(request):
        return await _over_websocket(request, options, command, sessions)
    return await _over_spdy(request, options, command, sessions)


async def _over_spdy(
    request: web.Request, options: StreamOptions, command: Command, sessions: Sessions
) -> web.StreamResponse:
    response = web.StreamResponse()
    protocol = spdy_handshake(request, response, outcome.STREAM_PROTOCOLS)
    names = {"error", *options.names}
    if options.tty and protocol in outcome.RESIZING_PROTOCOLS:
        names.add("resize")
    async with taken_over(request, response) as link:
        connection = SpdyConnection(link)
        has_status = protocol == outcome.STATUS_PROTOCOL
        await sessions.run(connection.run(), run_over_spdy(connection, names, command, has_status=has_status))
    return response


async def run_over_spdy(connection: SpdyConnection, names: set[str], command: Command, *, has_status: bool) -> None:
    """Run the command once the client has opened these streams; leave where it does not. Raises ClientGone."""
    try:
        async with asyncio.timeout(CREATION_SECONDS):
            streams = await _opened(connection, names)
    except TimeoutError:
        log.info("a client did not open its streams in time", wanted=sorted(names))
    else:
        client = CommandChannels(**streams, has_status=has_status)
        await client.finish(await command(client))
    await connection.leave()


async def _opened(connection: SpdyConnection, names: set[str]) -> dict[str, SpdyStream]:
    """The streams of these types, accepted; others are refused."""
    streams: dict[str, SpdyStream] = {}
    while streams.keys() != names:
        stream = await connection.opened.get()
        kind = stream.headers.get("streamtype", "")
        if kind in names and kind not in streams:
            await stream.accept()
            streams[kind] = stream
        else:
            await stream.refuse()
    return streams


async def _over_websocket(
    request: web.Request, options: StreamOptions, command: Command, sessions: Sessions
) -> web.StreamResponse:
    codec = ChannelCodec(websocket_protocol(request, channels.REMOTE_COMMAND))
    socket = await accept_websocket(request, codec.subprotocol)
    connection = WebSocketChannels(socket, codec, count=channels.RESIZE + 1)
    known = connection.channels
    client = CommandChannels(
        error=known[channels.ERROR],
        stdin=known[channels.STDIN] if options.stdin else None,
        stdout=known[channels.STDOUT] if options.stdout else None,
        stderr=known[channels.STDERR] if options.stderr else None,
        resize=known[channels.RESIZE],
        has_status=codec.has_status,
    )
    if client.stdin is None:
        known[channels.STDIN].inbox.abandon()

    async def work() -> None:
        await (client.stdout or client.stderr or client.error).write(b"")  # so that it knows of being connected
        await client.finish(await command(client))
        await connection.leave()

    await sessions.run(connection.run(), work())
    return socket
