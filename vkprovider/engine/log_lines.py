"""The bytes of ``GET /containers/{id}/logs?timestamps=1`` as lines, however they arrive. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from vkprovider.model.engine import LogLine
from vkprovider.wire.stdcopy import STDERR, SYSTEM_ERROR, Deframer, FramingError

PIECE = 16 * 1024  # the daemon records a longer line as several entries (moby, daemon/logger/copier.go)
_STAMP = len("2006-01-02T15:04:05.000000000Z ")
_MICROSECONDS = len("2006-01-02T15:04:05.000000")  # as much of a stamp as Python's times can hold


class FramedLog:
    """A container without a terminal: each frame is one entry."""

    def __init__(self) -> None:
        self._deframer = Deframer()

    def feed(self, data: bytes) -> Iterator[LogLine]:
        """The entries that these bytes complete. Raises FramingError."""
        for frame in self._deframer.feed(data):
            if frame.stream == SYSTEM_ERROR:
                raise FramingError(frame.payload.decode(errors="replace"))
            yield _line(frame.payload, "stderr" if frame.stream == STDERR else "stdout")

    def finish(self) -> Iterator[LogLine]:
        """The end of the stream. Raises FramingError if it was cut short."""
        self._deframer.finish()
        return iter(())


class TerminalLog:
    """A container with a terminal: entries follow one another bare, and all of it is stdout.

    An entry ends with a newline, or, being a piece of a longer line, after PIECE bytes.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[LogLine]:
        """The entries that these bytes complete."""
        self._held += data
        while end := self._entry_end():
            entry = bytes(self._held[:end])
            del self._held[:end]
            yield _line(entry, "stdout")

    def finish(self) -> Iterator[LogLine]:
        """The last entry, if it has no newline."""
        rest = bytes(self._held)
        self._held.clear()
        return iter((_line(rest, "stdout"),) if len(rest) > _STAMP else ())

    def _entry_end(self) -> int:
        newline = self._held.find(b"\n", 0, _STAMP + PIECE + 1) + 1
        if newline:
            return newline
        return _STAMP + PIECE if len(self._held) > _STAMP + PIECE else 0


def _line(entry: bytes, stream: str) -> LogLine:
    stamp, _, data = entry.partition(b" ")
    try:
        time = datetime.fromisoformat(stamp.decode("ascii")).astimezone(UTC)
        nanoseconds = int(stamp[_MICROSECONDS:-1])
    except ValueError:
        raise FramingError(f"no log entry: {entry[:80]!r}") from None
    return LogLine(time=time, stream=stream, data=data, nanoseconds=nanoseconds)
