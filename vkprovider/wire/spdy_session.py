"""The server's end of a SPDY connection: which streams there are, and which of their halves are open.

What spdystream does, this does: streams are numbered upwards by the client, each half ends with FIN, both with a
reset; what comes for a stream that is gone is dropped; windows are neither sent nor heeded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from vkprovider.wire import spdy
from vkprovider.wire.spdy import Data, FrameReader, FrameWriter, GoAway, Ping, RstStream, SynReply, SynStream

MOST_STREAMS = 4096  # open at once; a port-forward takes two for each of its connections


class StreamGone(Exception):
    """The stream can be sent on no more: it was ended here, or reset by the peer."""


class Opened(NamedTuple):
    """To be accepted or reset. Where ``fin`` is set, the client sends nothing on it."""

    stream_id: int
    headers: Mapping[str, str]
    fin: bool


class Received(NamedTuple):
    stream_id: int
    data: bytes


class Ended(NamedTuple):
    """The client sends no more on the stream, but may still receive."""

    stream_id: int


class Reset(NamedTuple):
    """The client is done with the stream."""

    stream_id: int


class Leaving(NamedTuple):
    """The client opens no more streams."""


class Answer(NamedTuple):
    """Bytes to be sent as they are."""

    data: bytes


Event = Opened | Received | Ended | Reset | Leaving | Answer


@dataclass(slots=True)
class _Halves:
    ours: bool = True
    theirs: bool = True


class SpdySession:
    """Feed it what is read; send what its methods give, in that order."""

    def __init__(self) -> None:
        self._reader = FrameReader()
        self._writer = FrameWriter()
        self._streams: dict[int, _Halves] = {}
        self._last_id = 0
        self._left = False

    def receive(self, data: bytes) -> Iterator[Event]:
        """What these bytes mean. To be consumed before the next call. Raises SpdyError."""
        for frame in self._reader.feed(data):
            yield from self._receive(frame)

    def accept(self, stream_id: int) -> bytes:
        """Take a stream that was opened. Raises StreamGone."""
        self._open(stream_id)
        return self._writer.write(SynReply(stream_id, {}))

    def send(self, stream_id: int, data: bytes) -> bytes:
        """Raises StreamGone."""
        self._open(stream_id)
        return self._writer.write(Data(stream_id, data))

    def end(self, stream_id: int) -> bytes:
        """Send no more on the stream; nothing if it was ended before."""
        halves = self._streams.get(stream_id)
        if halves is None or not halves.ours:
            return b""
        halves.ours = False
        self._forget_closed(stream_id)
        return self._writer.write(Data(stream_id, b"", fin=True))

    def reset(self, stream_id: int, status: int = spdy.CANCEL) -> bytes:
        """Be done with the stream; nothing if it is gone already."""
        if self._streams.pop(stream_id, None) is None:
            return b""
        return self._writer.write(RstStream(stream_id, status))

    def knows(self, stream_id: int) -> bool:
        """Whether either half of the stream is still open."""
        return stream_id in self._streams

    def leave(self) -> bytes:
        """Take no more streams."""
        self._left = True
        return self._writer.write(GoAway(self._last_id))

    def _open(self, stream_id: int) -> _Halves:
        halves = self._streams.get(stream_id)
        if halves is None or not halves.ours:
            raise StreamGone(f"stream {stream_id} is closed")
        return halves

    def _forget_closed(self, stream_id: int) -> None:
        halves = self._streams[stream_id]
        if not halves.ours and not halves.theirs:
            del self._streams[stream_id]

    def _receive(self, frame: spdy.Frame) -> Iterator[Event]:
        match frame:
            case SynStream():
                yield from self._opened(frame)
            case Data(stream_id, payload, fin) if self._listens(stream_id):
                if payload:
                    yield Received(stream_id, payload)
                if fin:
                    yield from self._ended(stream_id)
            case spdy.Headers(stream_id, _, True) if self._listens(stream_id):
                yield from self._ended(stream_id)
            case RstStream(stream_id) if self._streams.pop(stream_id, None) is not None:
                yield Reset(stream_id)
            case Ping(number) if number % 2:
                yield Answer(self._writer.write(frame))
            case GoAway():
                yield Leaving()
            case _:
                pass  # replies to what is never asked, settings and windows that nobody heeds, streams that are gone

    def _opened(self, frame: SynStream) -> Iterator[Event]:
        if self._left:
            return
        if frame.stream_id % 2 == 0 or frame.stream_id <= self._last_id:
            yield Answer(self._writer.write(RstStream(frame.stream_id, spdy.PROTOCOL_ERROR)))
            return
        self._last_id = frame.stream_id
        if len(self._streams) >= MOST_STREAMS:
            yield Answer(self._writer.write(RstStream(frame.stream_id, spdy.REFUSED_STREAM)))
            return
        self._streams[frame.stream_id] = _Halves(ours=not frame.unidirectional, theirs=not frame.fin)
        yield Opened(frame.stream_id, frame.headers, frame.fin)

    def _listens(self, stream_id: int) -> bool:
        halves = self._streams.get(stream_id)
        return halves is not None and halves.theirs

    def _ended(self, stream_id: int) -> Iterator[Event]:
        self._streams[stream_id].theirs = False
        self._forget_closed(stream_id)
        yield Ended(stream_id)
