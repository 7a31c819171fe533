"""A client's SPDY connection: its streams, opened by the client, as channels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog

from vkprovider.server.channels import ClientGone, Inbox
from vkprovider.server.idleness import Idleness
from vkprovider.server.links import Link
from vkprovider.wire.spdy import SpdyError
from vkprovider.wire.spdy_session import (
    Answer,
    Ended,
    Event,
    Leaving,
    Opened,
    Received,
    Reset,
    SpdySession,
    StreamGone,
)

log = structlog.get_logger()


class SpdyConnection:
    """``opened`` holds the streams that the client has opened and nobody has accepted or refused yet."""

    def __init__(self, link: Link) -> None:
        self.opened: asyncio.Queue[SpdyStream] = asyncio.Queue()
        self._link = link
        self._session = SpdySession()
        self._streams: dict[int, SpdyStream] = {}
        self._idleness = Idleness()

    async def run(self) -> None:
        """Take what the client sends, until it hangs up, leaves, speaks something else, or falls silent."""
        try:
            async with self._idleness.limited():
                await self._receive()
        except (SpdyError, TimeoutError) as exc:
            log.info("a client's connection is given up", error=str(exc) or "nothing has come or gone for hours")
        except ClientGone:
            pass
        finally:
            for stream in self._streams.values():
                stream.drop()

    async def leave(self) -> None:
        """Tell the client that it is over. Raises ClientGone."""
        await self._write(self._session.leave())

    async def send(self, stream_id: int, make: Callable[[SpdySession], bytes]) -> None:
        """Send what the session makes for a stream. Raises ClientGone, also where the client dropped the stream."""
        try:
            frames = make(self._session)
        except StreamGone as exc:
            raise ClientGone(str(exc)) from exc
        self._forget_closed(stream_id)
        await self._write(frames)

    async def _write(self, frames: bytes) -> None:
        if frames:
            self._idleness.interrupt()
            await self._link.write(frames)

    async def _receive(self) -> None:
        while data := await self._link.read():
            self._idleness.interrupt()
            for event in self._session.receive(data):
                if isinstance(event, Leaving):
                    return
                await self._handle(event)

    async def _handle(self, event: Event) -> None:
        match event:
            case Answer(data):
                await self._write(data)
            case Opened(stream_id, headers, fin):
                stream = self._streams[stream_id] = SpdyStream(self, stream_id, headers)
                if fin:
                    stream.inbox.end()
                self.opened.put_nowait(stream)
            case Received(stream_id, data):
                await self._streams[stream_id].inbox.put(data)
            case Ended(stream_id):
                self._streams[stream_id].inbox.end()
                self._forget_closed(stream_id)
            case Reset(stream_id):
                self._streams.pop(stream_id).drop()

    def _forget_closed(self, stream_id: int) -> None:
        if not self._session.knows(stream_id):
            self._streams.pop(stream_id, None)


class SpdyStream:
    """A channel. To be accepted or refused first."""

    def __init__(self, connection: SpdyConnection, stream_id: int, headers: Mapping[str, str]) -> None:
        self.stream_id = stream_id
        self.headers = headers
        self.inbox = Inbox()
        self.dropped = asyncio.Event()
        self._connection = connection

    async def accept(self) -> None:
        """Raises ClientGone."""
        await self._connection.send(self.stream_id, lambda session: session.accept(self.stream_id))

    async def refuse(self) -> None:
        """Be done with it, at any time. Raises ClientGone."""
        await self._connection.send(self.stream_id, lambda session: session.reset(self.stream_id))

    async def write(self, data: bytes) -> None:
        if data:
            await self._connection.send(self.stream_id, lambda session: session.send(self.stream_id, data))

    async def end(self) -> None:
        try:
            await self._connection.send(self.stream_id, lambda session: session.end(self.stream_id))
        except ClientGone:
            return

    def drop(self) -> None:
        """The client is done with it."""
        self.dropped.set()
        self.inbox.end()
