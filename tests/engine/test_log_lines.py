from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest

from vkprovider.engine.log_lines import PIECE, FramedLog, TerminalLog
from vkprovider.model.engine import LogLine
from vkprovider.wire.stdcopy import FramingError

STAMP = b"2026-01-02T03:04:05.123456789Z "
TIME = datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)


def framed(stream: int, payload: bytes) -> bytes:
    return struct.pack(">BxxxI", stream, len(payload)) + payload


def read(log: FramedLog | TerminalLog, *pieces: bytes) -> list[LogLine]:
    return [*(line for piece in pieces for line in log.feed(piece)), *log.finish()]


def line(data: bytes, stream: str = "stdout") -> LogLine:
    return LogLine(time=TIME, stream=stream, data=data, nanoseconds=789)


def test_each_frame_is_an_entry_at_any_split():
    whole = framed(1, STAMP + b"one\n") + framed(2, STAMP + b"two words\n") + framed(1, STAMP + b"cut")
    expected = [line(b"one\n"), line(b"two words\n", "stderr"), line(b"cut")]
    for cut in range(len(whole)):
        assert read(FramedLog(), whole[:cut], whole[cut:]) == expected


def test_no_digit_of_a_time_is_lost():
    assert line(b"one\n").stamp.encode() + b" " == STAMP


def test_an_empty_line_is_an_entry():
    assert read(FramedLog(), framed(1, STAMP + b"\n")) == [line(b"\n")]


def test_an_error_of_the_daemon_within_the_stream():
    with pytest.raises(FramingError, match="disk full"):
        read(FramedLog(), framed(3, b"disk full"))


@pytest.mark.parametrize("payload", [b"", b"no stamp\n", b"\xff\xfe \n"])
def test_what_is_no_entry(payload: bytes):
    with pytest.raises(FramingError, match="no log entry"):
        read(FramedLog(), framed(1, payload))


def test_a_terminals_lines_at_any_split():
    whole = STAMP + b"one\r\n" + STAMP + b"\r\n" + STAMP + b"prompt$ "
    expected = [line(b"one\r\n"), line(b"\r\n"), line(b"prompt$ ")]
    for cut in range(len(whole)):
        assert read(TerminalLog(), whole[:cut], whole[cut:]) == expected


def test_a_terminals_long_line_is_several_entries():
    long = b"x" * PIECE
    whole = STAMP + long + STAMP + long + STAMP + b"end\r\n" + STAMP + b"next\r\n"
    expected = [line(long), line(long), line(b"end\r\n"), line(b"next\r\n")]
    assert read(TerminalLog(), whole) == expected
    for cut in (1, PIECE, PIECE + len(STAMP), PIECE + len(STAMP) + 1, 2 * PIECE):
        assert read(TerminalLog(), whole[:cut], whole[cut:]) == expected


def test_nothing_said():
    assert read(FramedLog()) == []
    assert read(TerminalLog()) == []
