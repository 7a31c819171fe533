"""Where connections come in: a stranger has little time, there is room for few of them, and none costs us much.

A stranger is a client that has not yet had a request admitted: it may be shaking hands, dawdle with its headers, or be
refused again and again. When there are too many the oldest makes room, so that those who know what they want get in.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import structlog
from aiohttp import web

from vkprovider.server.tls import ServerTls

NO_MORE_FILES_SECONDS = 1.0  # before the next try to accept when the system gives us no more sockets
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
log = structlog.get_logger()


class Limits(NamedTuple):
    """How many strangers there may be at once, and how many seconds each of them has."""

    strangers: int = 256
    seconds: float = 30.0


class Reception:
    """Takes connections in for ``server``."""

    def __init__(self, tls: ServerTls, limits: Limits) -> None:
        self._tls = tls
        self._limits = limits
        self._strangers: dict[asyncio.Task[None], None] = {}  # the oldest first
        self._admitted: dict[web.RequestHandler, asyncio.Event] = {}

    @web.middleware
    async def admitted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """To be called for requests that are admitted: whose they are is no stranger any more."""
        if (event := self._admitted.get(request.protocol)) is not None:
            event.set()
        return await handler(request)

    async def run(self, listener: socket.socket, server: web.Server) -> None:
        """Take in whoever comes, until cancelled."""
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        try:
            while True:
                try:
                    connection, _ = await loop.sock_accept(listener)
                except OSError as exc:
                    log.warning("a client cannot be taken in", error=exc.strerror)
                    await asyncio.sleep(NO_MORE_FILES_SECONDS)
                    continue
                self._make_room()
                task = loop.create_task(self._receive(connection, server()))
                self._strangers[task] = None
                task.add_done_callback(lambda done: self._strangers.pop(done, None))
                await asyncio.sleep(0)  # so that it has begun before it may have to make room
        finally:
            strangers = list(self._strangers)
            for task in strangers:
                task.cancel()
            await asyncio.gather(*strangers, return_exceptions=True)

    def _make_room(self) -> None:
        while len(self._strangers) >= self._limits.strangers:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.cancel()

    async def _receive(self, connection: socket.socket, protocol: web.RequestHandler) -> None:
        """Shake hands, and see the client become known, in time; or else hang up."""
        loop, seconds = asyncio.get_running_loop(), self._limits.seconds
        event = self._admitted[protocol] = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                context = await self._tls.context()
                await loop.connect_accepted_socket(
                    lambda: protocol, connection, ssl=context, ssl_handshake_timeout=seconds
                )
                await event.wait()
        except OSError as exc:  # also when time is up
            log.debug("a client is not taken in", error=str(exc))
        finally:
            del self._admitted[protocol]
            if not event.is_set():
                if protocol.transport is not None:
                    protocol.transport.abort()
                else:
                    connection.close()
