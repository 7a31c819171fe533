"""A client's WebSocket: a fixed number of channels, told apart by the first byte of each message."""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import WSMsgType, web

from vkprovider.server.channels import ClientGone, Inbox
from vkprovider.server.idleness import Idleness
from vkprovider.wire.channels import ChannelCodec, ChannelError, Close, Message

LARGEST_MESSAGE = 32 * 1024 * 1024  # bytes; what a kubelet takes (golang.org/x/net/websocket)
log = structlog.get_logger()


class WebSocketChannels:
    """``channels`` by their numbers."""

    def __init__(self, socket: web.WebSocketResponse, codec: ChannelCodec, count: int) -> None:
        self.channels = tuple(SocketChannel(self, number) for number in range(count))
        self._socket = socket
        self._codec = codec
        self._idleness = Idleness()

    async def run(self) -> None:
        """Take what the client sends, until it hangs up, speaks something else, or falls silent."""
        try:
            async with self._idleness.limited():
                await self._receive()
        except (ChannelError, TimeoutError) as exc:
            log.info("a client's connection is given up", error=str(exc) or "nothing has come or gone for hours")
        finally:
            for channel in self.channels:
                channel.dropped.set()
                channel.inbox.end()

    async def leave(self) -> None:
        """Tell the client that it is over, and wait for it to agree."""
        await self._socket.close()

    async def send(self, channel: int, data: bytes) -> None:
        """Raises ClientGone."""
        self._idleness.interrupt()
        message = self._codec.encode(channel, data)
        try:
            if isinstance(message, str):
                await self._socket.send_str(message)
            else:
                await self._socket.send_bytes(message)
        except OSError as exc:
            raise ClientGone(str(exc)) from exc

    async def _receive(self) -> None:
        while (message := await self._socket.receive()).type in (WSMsgType.BINARY, WSMsgType.TEXT):
            self._idleness.interrupt()
            match self._codec.decode(message.data):
                case Message(number, data) if number < len(self.channels):
                    await self.channels[number].inbox.put(data)
                case Close(number) if number < len(self.channels):
                    self.channels[number].inbox.end()
                case _:
                    log.debug("a message for a channel that is not there")


class SocketChannel:
    """A channel. The server cannot end its half: that is what the end of the connection says."""

    def __init__(self, connection: WebSocketChannels, number: int) -> None:
        self.inbox = Inbox()
        self.dropped = asyncio.Event()
        self._connection = connection
        self._number = number

    async def write(self, data: bytes) -> None:
        await self._connection.send(self._number, data)

    async def end(self) -> None:
        return
