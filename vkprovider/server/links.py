"""Connections that have stopped being HTTP: bytes both ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from aiohttp import WSMsgType, web

from vkprovider.server.channels import ClientGone

CHUNK = 64 * 1024  # bytes; also about what is held of either direction


class Link(Protocol):
    async def read(self) -> bytes:
        """What has come, b"" once the client has hung up."""
        ...

    async def write(self, data: bytes) -> None:
        """Wait until it is on its way, or nearly. Raises ClientGone."""
        ...


class TakenOver:
    """The connection of an HTTP request, taken out of the HTTP server's hands."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        try:
            return await self._reader.read(CHUNK)
        except OSError:
            return b""

    async def write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as exc:
            raise ClientGone(str(exc)) from exc


class Tunnel:
    """The binary messages of a WebSocket, one after the other."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        while (message := await self._socket.receive()).type is WSMsgType.BINARY:
            data: bytes = message.data
            if data:
                return data
        return b""

    async def write(self, data: bytes) -> None:
        try:
            await self._socket.send_bytes(data)
        except OSError as exc:
            raise ClientGone(str(exc)) from exc


@asynccontextmanager
async def taken_over(request: web.Request, response: web.StreamResponse) -> AsyncIterator[Link]:
    """Switch the protocol. The handler must give the response back to the server; leaving hangs up."""
    response.set_status(101)
    response.headers["Connection"] = "Upgrade"
    response.force_close()
    await response.prepare(request)
    transport = request.transport
    if transport is None:
        raise ClientGone("before the protocol was switched")
    http, loop = transport.get_protocol(), asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=CHUNK, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    try:
        yield TakenOver(reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        loop.call_soon(http.connection_lost, None)  # it still counts this connection as its own
