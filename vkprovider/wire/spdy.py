"""The frames of SPDY/3.1, as API servers up to 1.35 speak it to nodes (github.com/moby/spdystream, package spdy).

    control  |1| version 3 |  type  |          data  |0|     stream id     |
             | flags |    length    |                | flags |   length   |
             |        payload       |                |      payload       |

All numbers are big endian. Flag 1 says that the sender sends no more on this stream (FIN).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from vkprovider.wire.spdy_headers import HeaderError, HeaderReader, HeaderWriter

VERSION = 3
LARGEST_CONTROL = 64 * 1024  # bytes of a control frame's payload: some headers
LARGEST_DATA = (1 << 24) - 1
FIN, UNIDIRECTIONAL = 1, 2
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
PROTOCOL_ERROR, REFUSED_STREAM, CANCEL = 1, 3, 5  # why a stream is reset

_START = struct.Struct(">II")
_CONTROL = 1 << 31
_ID = _CONTROL - 1
_TWO = struct.Struct(">II")
_ONE = struct.Struct(">I")
_SYN_STREAM = struct.Struct(">IIBB")


class SpdyError(ValueError):
    """The peer does not speak SPDY/3.1, or not as it may: nothing more can be understood of this connection."""


class SynStream(NamedTuple):
    """The peer opens a stream."""

    stream_id: int
    headers: Mapping[str, str]
    fin: bool = False
    unidirectional: bool = False
    associated_id: int = 0
    priority: int = 0  # 0 is the highest, 7 the lowest


class SynReply(NamedTuple):
    """The peer accepts a stream."""

    stream_id: int
    headers: Mapping[str, str]
    fin: bool = False


class RstStream(NamedTuple):
    """The peer is done with a stream in both directions."""

    stream_id: int
    status: int


class Settings(NamedTuple):
    """Flags, number and value of each."""

    values: tuple[tuple[int, int, int], ...]


class Ping(NamedTuple):
    """To be sent back as it is, by the side that did not number it: odd ones are the client's."""

    number: int


class GoAway(NamedTuple):
    """No new streams. ``last_id`` is the last one that was, or may have been, taken note of."""

    last_id: int
    status: int = 0


class Headers(NamedTuple):
    stream_id: int
    headers: Mapping[str, str]
    fin: bool = False


class WindowUpdate(NamedTuple):
    """Leave to send more. spdystream knows no windows, neither sends nor heeds them: a receiver stops reading."""

    stream_id: int
    delta: int


class Data(NamedTuple):
    """Bytes of a stream. A reader gives them as they come, so one frame may be several of these."""

    stream_id: int
    payload: bytes
    fin: bool = False


Frame = SynStream | SynReply | RstStream | Settings | Ping | GoAway | Headers | WindowUpdate | Data


class FrameReader:
    """Feed it bytes as they come; it gives each control frame once it is complete, and data at once.

    So it never holds more than one control frame, whatever the peer says of lengths.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._headers = HeaderReader()
        self._left = 0  # bytes of a data frame that are still to come
        self._data_id = 0
        self._data_fin = False
        self._parsers: dict[int, Callable[[bytes, int], Frame]] = {
            SYN_STREAM: self._syn_stream,
            SYN_REPLY: lambda body, flags: SynReply(*self._with_headers(body), bool(flags & FIN)),
            RST_STREAM: lambda body, _: RstStream(*_pair(body)),
            SETTINGS: lambda body, _: _settings(body),
            PING: lambda body, _: Ping(*_ONE.unpack(body)),
            GOAWAY: lambda body, _: GoAway(*_pair(body)),
            HEADERS: lambda body, flags: Headers(*self._with_headers(body), bool(flags & FIN)),
            WINDOW_UPDATE: lambda body, _: WindowUpdate(*_pair(body)),
        }

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that these bytes complete. To be consumed before the next call. Raises SpdyError."""
        self._held += data
        begin = 0
        while True:
            frame, size = self._next(begin)
            begin += size
            if frame is None and size == 0:
                break
            if frame is not None:
                yield frame
        del self._held[:begin]

    def _next(self, begin: int) -> tuple[Frame | None, int]:
        """What stands at the beginning, and how many bytes it takes; no bytes if more are needed."""
        if self._left:
            return self._data(begin)
        if len(self._held) - begin < _START.size:
            return None, 0
        first, second = _START.unpack_from(self._held, begin)
        flags, length = second >> 24, second & LARGEST_DATA
        if not first & _CONTROL:
            return self._begin_data(first, flags, length), _START.size
        if length > LARGEST_CONTROL:
            raise SpdyError(f"a control frame of {length} bytes, more than {LARGEST_CONTROL}")
        end = begin + _START.size + length
        if len(self._held) < end:
            return None, 0
        return self._control(first, flags, bytes(self._held[begin + _START.size : end])), end - begin

    def _begin_data(self, stream_id: int, flags: int, length: int) -> Data | None:
        if stream_id == 0:
            raise SpdyError("data for stream 0")
        self._left, self._data_id, self._data_fin = length, stream_id, bool(flags & FIN)
        return None if length else Data(stream_id, b"", self._data_fin)

    def _data(self, begin: int) -> tuple[Frame | None, int]:
        payload = bytes(self._held[begin : begin + self._left])
        if not payload:
            return None, 0
        self._left -= len(payload)
        return Data(self._data_id, payload, self._data_fin and not self._left), len(payload)

    def _control(self, first: int, flags: int, body: bytes) -> Frame:
        version, kind = first >> 16 & 0x7FFF, first & 0xFFFF
        if version != VERSION or kind not in self._parsers:
            raise SpdyError(f"an unknown frame: version {version}, type {kind}")
        try:
            return self._parsers[kind](body, flags)
        except struct.error:
            raise SpdyError(f"a frame of type {kind} has a wrong length: {len(body)}") from None
        except HeaderError as exc:
            raise SpdyError(str(exc)) from exc

    def _syn_stream(self, body: bytes, flags: int) -> SynStream:
        stream_id, associated_id, priority, _ = _SYN_STREAM.unpack_from(body)
        headers = self._headers.read(body[_SYN_STREAM.size :])
        fin, unidirectional = bool(flags & FIN), bool(flags & UNIDIRECTIONAL)
        return SynStream(stream_id & _ID, headers, fin, unidirectional, associated_id & _ID, priority >> 5)

    def _with_headers(self, body: bytes) -> tuple[int, dict[str, str]]:
        (stream_id,) = _ONE.unpack_from(body)
        return stream_id & _ID, self._headers.read(body[_ONE.size :])


class FrameWriter:
    """Turns frames into bytes, which must be sent in the order in which they were made."""

    def __init__(self) -> None:
        self._headers = HeaderWriter()

    def write(self, frame: Frame) -> bytes:
        match frame:
            case Data(stream_id, payload, fin):
                return _START.pack(stream_id, fin << 24 | len(payload)) + payload
            case SynStream():
                start = _SYN_STREAM.pack(frame.stream_id, frame.associated_id, frame.priority << 5, 0)
                flags = frame.fin * FIN | frame.unidirectional * UNIDIRECTIONAL
                return _control(SYN_STREAM, start + self._headers.write(frame.headers), flags)
            case SynReply(stream_id, headers, fin):
                return _control(SYN_REPLY, _ONE.pack(stream_id) + self._headers.write(headers), fin)
            case Headers(stream_id, headers, fin):
                return _control(HEADERS, _ONE.pack(stream_id) + self._headers.write(headers), fin)
            case RstStream():
                return _control(RST_STREAM, _TWO.pack(*frame))
            case GoAway():
                return _control(GOAWAY, _TWO.pack(*frame))
            case WindowUpdate():
                return _control(WINDOW_UPDATE, _TWO.pack(*frame))
            case Ping(number):
                return _control(PING, _ONE.pack(number))
            case Settings(values):
                pairs = (_TWO.pack(flags << 24 | number, value) for flags, number, value in values)
                return _control(SETTINGS, _ONE.pack(len(values)) + b"".join(pairs))


def _control(kind: int, body: bytes, flags: int = 0) -> bytes:
    return _START.pack(_CONTROL | VERSION << 16 | kind, flags << 24 | len(body)) + body


def _pair(body: bytes) -> tuple[int, int]:
    first, second = _TWO.unpack(body)
    return first & _ID, second


def _settings(body: bytes) -> Settings:
    (count,) = _ONE.unpack_from(body)
    if len(body) != _ONE.size + count * _TWO.size:
        raise SpdyError(f"{count} settings in {len(body)} bytes")
    pairs = _TWO.iter_unpack(body[_ONE.size :])
    return Settings(tuple((first >> 24, first & LARGEST_DATA, value) for first, value in pairs))
