"""Docker's multiplexed streams: stdout and stderr of a container without a terminal, on one connection.

    byte      0         1 2 3      4 5 6 7                  8 ...
           +--------+-----------+------------------------+---------+
           | stream |  0  0  0  | size, big endian       | payload |
           +--------+-----------+------------------------+---------+

Streams: 0 stdin (written to stdout), 1 stdout, 2 stderr, 3 an error of the daemon itself
(moby, pkg/stdcopy/stdcopy.go). Each write of the daemon is one frame; for logs that is one entry.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

STDIN, STDOUT, STDERR, SYSTEM_ERROR = range(4)
LARGEST = 16 * 1024 * 1024  # the daemon writes 32 KiB at most, log entries of other drivers are up to 1 MiB

_HEADER = struct.Struct(">BxxxI")


class FramingError(ValueError):
    """The bytes are not a multiplexed stream, or it was cut short."""


class Frame(NamedTuple):
    stream: int
    payload: bytes


class Deframer:
    """Feed it bytes as they come; it gives each frame once it is complete."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that these bytes complete. To be consumed before the next call. Raises FramingError."""
        self._held += data
        begin = 0
        while len(self._held) - begin >= _HEADER.size:
            stream, size = _HEADER.unpack_from(self._held, begin)
            if stream > SYSTEM_ERROR or size > LARGEST:
                raise FramingError(f"no frame: stream {stream}, {size} bytes")
            end = begin + _HEADER.size + size
            if end > len(self._held):
                break
            yield Frame(stream, bytes(self._held[begin + _HEADER.size : end]))
            begin = end
        del self._held[:begin]

    def finish(self) -> None:
        """The stream has ended. Raises FramingError if that was in the middle of a frame."""
        if self._held:
            raise FramingError(f"the stream ended within a frame, after {len(self._held)} bytes of it")
