"""The log files of pods: from what Docker's json-file driver keeps to the format of the CRI. Sans-IO.

A line of the latter is ``<time> <stream> <F or P> <text>``: F is a line, or the end of one, and P a piece of one that
goes on in the next line of the same stream. Source: cri-client/pkg/logs/logs.go, parseCRILog.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec

Ahead = Callable[[datetime], timedelta]
"""How far local clocks are ahead of UTC at some time."""

_MINUTE = len("2006-01-02T15:04")
_SECOND = len(":05")
_FRACTION = len(".000000000")


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One entry of a json-file. ``log`` ends with a newline unless it is a piece of a line that goes on."""

    log: str
    stream: str
    time: str  # RFC 3339 in UTC, with as many digits as it needs


_ENTRIES = msgspec.json.Decoder(Entry)


def json_entries(data: bytes) -> Iterable[Entry]:
    """The entries in these bytes, which are whole lines. What is none, as after a power cut, is passed over."""
    try:
        return _ENTRIES.decode_lines(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return tuple(_readable(data))


def _readable(data: bytes) -> Iterator[Entry]:
    for line in data.split(b"\n"):
        try:
            yield _ENTRIES.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue


class CriFormat:
    """Words entries as the CRI has them, with local times of nine digits."""

    def __init__(self, ahead: Ahead) -> None:
        self._ahead = ahead

    def format(self, entries: Iterable[Entry]) -> bytes:
        lines: list[str] = []
        known = ""
        for entry in entries:
            text, stamp = entry.log, entry.time
            if stamp[:_MINUTE] != known:
                known = stamp[:_MINUTE]
                minute, zone = self._local(known)
            seconds = stamp[_MINUTE:-1]
            if len(seconds) != _SECOND + _FRACTION:
                seconds = (seconds if "." in seconds else f"{seconds}.").ljust(_SECOND + _FRACTION, "0")
            if text[-1:] == "\n":
                lines.append(f"{minute}{seconds}{zone} {entry.stream} F {text}")
            else:
                lines.append(f"{minute}{seconds}{zone} {entry.stream} P {text}\n")
        return "".join(lines).encode()

    def _local(self, minute: str) -> tuple[str, str]:
        """A minute in local time, and the offset."""
        utc = datetime.fromisoformat(minute).replace(tzinfo=UTC)
        ahead = self._ahead(utc)
        hours, minutes = divmod(abs(ahead) // timedelta(minutes=1), 60)
        zone = f"{'-' if ahead < timedelta() else '+'}{hours:02}:{minutes:02}" if ahead else "Z"
        return f"{utc + ahead:%Y-%m-%dT%H:%M}", zone


def last_words(tail: bytes) -> bytes:
    """What ends the lines that the last words of a container left unfinished. ``tail`` is the end of its file."""
    last = last_lines(tail)
    return b"".join(b" ".join((*words[:2], b"F", b"\n")) for words in last.values() if words[2] == b"P")


def last_lines(tail: bytes) -> dict[bytes, list[bytes]]:
    """By stream, the last whole line of a file in its four words."""
    last: dict[bytes, list[bytes]] = {}
    for line in tail[: tail.rfind(b"\n") + 1].split(b"\n")[:-1]:
        words = line.split(b" ", 3)
        if len(words) == 4:
            last[words[1]] = words
    return last


class Written:
    """What of a container's output is in its file already, by the file's end: to go on without a note of the place.

    Times of a stream never fall; the pieces of a line have one time in common.
    """

    def __init__(self, tail: bytes) -> None:
        self._left: dict[str, tuple[datetime, str, int]] = {}
        for stream, (stamp, *_) in last_lines(tail).items():
            here = b"%s %s " % (stamp, stream)
            time, digits = datetime.fromisoformat(stamp.decode()), stamp[_MINUTE + _SECOND + 1 :][:9].decode()
            count = sum(line.startswith(here) for line in tail.split(b"\n"))
            self._left[stream.decode()] = (time, digits, count)

    @property
    def since(self) -> datetime | None:
        """Nothing older is missing. None for all there is."""
        return min((time for time, _, _ in self._left.values()), default=None)

    def has(self, stream: str, time: datetime, digits: str) -> bool:
        """Whether the next entry of a stream is there. ``digits`` are the nine of its second."""
        last, last_digits, count = self._left.get(stream, (None, "", 0))
        if last is None or (time, digits) > (last, last_digits):
            return False
        if (time, digits) == (last, last_digits):
            self._left[stream] = (last, last_digits, count - 1)
            return count > 0
        return True
