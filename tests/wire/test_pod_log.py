"""The lines of pods' log files."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vkprovider.wire.pod_log import CriFormat, Entry, Written, json_entries, last_words

TIME = "2025-04-29T03:26:06.783205694Z"
TELLING = (b'"', b"\\", b"\\n", b'","stream":"', b'"}', b"\xe2\x80\xa8", b"\xf0\x9f\x98\x80", b"\xff", b"\0\t\r<&>")
LOCAL = "2025-04-29T11:26:06.783205694+08:00"


def formatted(*entries: Entry, hours: float = 8) -> str:
    return CriFormat(lambda _: timedelta(hours=hours)).format(entries).decode()


@pytest.mark.parametrize(
    ("log", "stream", "line"),
    [
        ("2025/04/29 03:26:06 Server is listening on :8080\n", "stderr", "F 2025/04/29 03:26:06 Server is listening"),
        ("two words\n", "stdout", "F two words\n"),
        ("\n", "stdout", "F \n"),
        ("of a terminal\r\n", "stdout", "F of a terminal\r\n"),
        ("x" * 16384, "stdout", f"P {'x' * 16384}\n"),
        ("cut", "stderr", "P cut\n"),
        ('"é" \\ \u2028\n', "stdout", 'F "é" \\ \u2028\n'),
    ],
)
def test_an_entry_is_a_line(log: str, stream: str, line: str) -> None:
    assert formatted(Entry(log, stream, TIME)).startswith(f"{LOCAL} {stream} {line}")


@pytest.mark.parametrize(
    ("time", "hours", "stamp"),
    [
        ("2025-04-29T03:26:06.783205694Z", 0, "2025-04-29T03:26:06.783205694Z"),
        ("2025-04-29T03:26:06.7832Z", 0, "2025-04-29T03:26:06.783200000Z"),
        ("2025-04-29T03:26:06Z", 8, "2025-04-29T11:26:06.000000000+08:00"),
        ("2025-04-29T03:26:59.5Z", 5.75, "2025-04-29T09:11:59.500000000+05:45"),
        ("2025-01-01T00:00:00.000000001Z", -3.5, "2024-12-31T20:30:00.000000001-03:30"),
    ],
)
def test_times_are_local_and_have_nine_digits(time: str, hours: float, stamp: str) -> None:
    assert formatted(Entry("a\n", "stdout", time), hours=hours) == f"{stamp} stdout F a\n"


def test_a_clock_that_is_put_forward() -> None:
    change = datetime(2025, 3, 30, 1, tzinfo=UTC)
    style = CriFormat(lambda utc: timedelta(hours=2 if utc >= change else 1))
    times = ("2025-03-30T00:59:59.9Z", "2025-03-30T01:00:00Z", "2025-03-30T00:59:59.95Z")
    lines = style.format(Entry("a\n", "stdout", time) for time in times).decode().splitlines()
    assert [line.split()[0] for line in lines] == [
        "2025-03-30T01:59:59.900000000+01:00",
        "2025-03-30T03:00:00.000000000+02:00",
        "2025-03-30T01:59:59.950000000+01:00",
    ]


def test_what_is_no_entry_is_passed_over() -> None:
    good = b'{"log":"\\u003ca\\u003e\\n","stream":"stdout","time":"%s","attrs":{"a":"b"}}\n' % TIME.encode()
    assert list(json_entries(good)) == [Entry("<a>\n", "stdout", TIME)]
    assert list(json_entries(b"\0\0\0{\n" + good + b'{"log":1}\n' + good)) == [Entry("<a>\n", "stdout", TIME)] * 2
    assert (
        list(json_entries(good + b'{"log":"\xff\\n","stream":"stdout","time":"%s"}\n' % TIME.encode() + good))
        == [Entry("<a>\n", "stdout", TIME)] * 2
    )
    assert list(json_entries(b"")) == []


def written(raw: bytes, stream: str, fraction: str) -> bytes:
    """As the driver writes it (moby, daemon/logger/jsonfilelog/jsonlog/jsonlogbytes.go)."""
    text = "".join(map(escaped, raw.decode(errors="surrogateescape")))
    return f'{{"log":"{text}","stream":"{stream}","time":"2025-04-29T03:26:06{fraction}Z"}}\n'.encode()


def escaped(char: str) -> str:
    """Bytes that are no UTF-8 become U+FFFD."""
    if "\udc80" <= char <= "\udcff":
        return "\\ufffd"
    if char in "<>&\u2028\u2029" or (char < " " and char not in "\n\r"):
        return f"\\u{ord(char):04x}"
    return {"\n": "\\n", "\r": "\\r", '"': '\\"', "\\": "\\\\"}.get(char, char)


said = st.tuples(
    st.lists(
        st.one_of(st.binary(max_size=9), st.text(max_size=9).map(str.encode), st.sampled_from(TELLING)), max_size=9
    ).map(lambda parts: b"".join(parts).replace(b"\n", b" ")),
    st.sampled_from((b"\n", b"")),
    st.sampled_from(("stdout", "stderr")),
    st.sampled_from(("", ".5", ".123456789")),
)


@given(st.lists(said))
def test_whatever_is_said_is_there_as_the_driver_has_it(entries: list[tuple[bytes, bytes, str, str]]) -> None:
    data = [written(raw + end, stream, fraction) for raw, end, stream, fraction in entries]
    lines = CriFormat(lambda _: timedelta()).format(json_entries(b"".join(data))).split(b"\n")
    assert lines.pop() == b""
    assert len(lines) == len(entries)
    for line, entry, (_, end, stream, fraction) in zip(lines, data, entries, strict=True):
        stamp = f"2025-04-29T03:26:06{fraction or '.':0<10}Z"
        text = json.loads(entry)["log"].removesuffix("\n")
        assert line.decode() == f"{stamp} {stream} {'F' if end else 'P'} {text}"


def test_last_words_without_a_newline_become_a_line() -> None:
    said = (Entry("a", "stdout", TIME), Entry("b\n", "stderr", TIME), Entry("c", "stderr", TIME))
    tail = formatted(*said).encode()
    assert last_words(tail).decode() == f"{LOCAL} stdout F \n{LOCAL} stderr F \n"
    assert last_words(tail + last_words(tail)) == b""
    assert last_words(b"") == b""


def test_what_is_written_is_known_again() -> None:
    entries = [
        Entry("old\n", "stderr", "2025-04-29T03:26:05.000000009Z"),
        Entry("x" * 9, "stdout", TIME),
        Entry("y" * 9, "stdout", TIME),
        Entry("z\n", "stdout", TIME),
        Entry("new\n", "stderr", "2025-04-29T03:26:06.783205695Z"),
    ]
    for count in range(len(entries) + 1):
        written = Written(formatted(*entries[:count]).encode())
        missing = [e for e in entries if not written.has(e.stream, instant(e), e.time[20:-1])]
        assert missing == entries[count:]


def test_from_when_on_something_may_be_missing() -> None:
    both = (Entry("a\n", "stdout", TIME), Entry("b\n", "stderr", "2025-04-29T03:26:07Z"))
    assert Written(formatted(*both).encode()).since == datetime(2025, 4, 29, 3, 26, 6, 783205, UTC)
    assert Written(b"").since is None


def instant(entry: Entry) -> datetime:
    return datetime.fromisoformat(entry.time)
