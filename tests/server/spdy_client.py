"""The other end of a SPDY connection, as an API server is: for one test, over a plain TCP connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vkprovider.wire.spdy import Data, Frame, FrameReader, FrameWriter, GoAway, RstStream, SynReply, SynStream

PATIENCE = 10.0


class Refusal(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class SpdyClient:
    """``heard`` is what came on each stream, ``over`` the streams on which no more comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard: dict[int, bytes] = {}
        self.accepted: set[int] = set()
        self.over: set[int] = set()
        self.left = False
        self.writer = writer
        self._reader = reader
        self._frames = FrameWriter()
        self._next_id = 1

    def send(self, frame: Frame) -> None:
        self.writer.write(self._frames.write(frame))

    def open(self, **headers: str) -> int:
        stream_id, self._next_id = self._next_id, self._next_id + 2
        self.heard[stream_id] = b""
        self.send(SynStream(stream_id, headers))
        return stream_id

    async def listen(self) -> None:
        """Until the server hangs up."""
        frames = FrameReader()
        while data := await self._reader.read(65536):
            for frame in frames.feed(data):
                self._take(frame)
                self.news.set()
        self.over |= self.heard.keys()
        self.left = True
        self.news.set()

    async def until(self, *streams: int) -> None:
        """All these have ended."""
        await self.see(lambda: self.over.issuperset(streams))

    async def see(self, holds: object) -> None:
        assert callable(holds)
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self.news.clear()
                await self.news.wait()

    def begin(self) -> asyncio.Task[None]:
        self.news = asyncio.Event()
        return asyncio.get_running_loop().create_task(self.listen())

    def _take(self, frame: Frame) -> None:
        match frame:
            case SynReply(stream_id):
                self.accepted.add(stream_id)
            case Data(stream_id, payload, fin):
                self.heard[stream_id] += payload
                if fin:
                    self.over.add(stream_id)
            case RstStream(stream_id):
                self.over.add(stream_id)
            case GoAway():
                self.left = True


@asynccontextmanager
async def connected(port: int, target: str, *protocols: str, method: str = "POST") -> AsyncIterator[SpdyClient]:
    """Raises Refusal where the server does not switch to SPDY."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        offered = "".join(f"X-Stream-Protocol-Version: {name}\r\n" for name in protocols)
        head = f"{method} {target} HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n{offered}"
        writer.write(f"{head}Content-Length: 0\r\n\r\n".encode())
        answer = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)).decode()
        status, fields = int(answer.split()[1]), answer.lower().splitlines()
        if status != 101:
            length = next(int(line.split(":")[1]) for line in fields if line.startswith("content-length:"))
            raise Refusal(status, (await reader.readexactly(length)).decode())
        assert "upgrade: spdy/3.1" in fields
        assert [line for line in fields if line.startswith("x-stream-protocol-version: ")]
        client = SpdyClient(reader, writer)
        listening = client.begin()
        try:
            yield client
        finally:
            listening.cancel()
    finally:
        writer.close()
