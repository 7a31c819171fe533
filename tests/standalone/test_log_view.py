"""Following containers' output: lines put together, hostile bytes made harmless, the end told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import pytest

from tests.standalone.rehearsal import T0, Act, Rehearsal, box, make_pod, seed_pod
from tests.standalone.test_chronicle import told
from vkprovider.errors import EngineError, EngineNotFound, EngineUnavailable
from vkprovider.model.engine import LogLine
from vkprovider.model.pod import Pod
from vkprovider.standalone.chronicle import Chronicle
from vkprovider.standalone.log_view import LONGEST_LINE, LineAssembler, Output, follow, prefix_width


def fed(*pieces: tuple[str, bytes], last: bool = True) -> list[tuple[str, str]]:
    assembler = LineAssembler()
    lines: list[tuple[str, str]] = []
    for stream, data in pieces:
        lines += assembler.feed(Output(pod="p", container="c", stream=stream, data=data))
    if last:
        lines += assembler.feed(Output(pod="p", container="c", last=True))
    return lines


def test_a_line_cut_by_the_engine_is_one_line_again() -> None:
    euro = "€".encode()
    assert fed(("stdout", b"a" + euro[:1]), ("stdout", euro[1:] + b"b\nnext\n")) == [
        ("stdout", "a€b"),
        ("stdout", "next"),
    ]


def test_streams_do_not_run_into_one_another() -> None:
    assert fed(("stdout", b"out"), ("stderr", b"err\n"), ("stdout", b" more\n")) == [
        ("stderr", "err"),
        ("stdout", "out more"),
    ]


def test_containers_do_not_run_into_one_another() -> None:
    assembler = LineAssembler()
    assert list(assembler.feed(Output(pod="p", container="a", data=b"one"))) == []
    assert list(assembler.feed(Output(pod="p", container="b", data=b"two\n"))) == [("stdout", "two")]
    assert list(assembler.feed(Output(pod="p", container="a", last=True))) == [("stdout", "one")]


def test_a_line_without_an_end_is_shown_when_its_container_has_ended() -> None:
    assert fed(("stdout", b"prompt> "), last=False) == []
    assert fed(("stdout", b"prompt> "), ("stderr", b"oops")) == [("stdout", "prompt> "), ("stderr", "oops")]


def test_an_endless_line_is_shown_in_pieces() -> None:
    lines = fed(*[("stdout", b"x" * 65536)] * 5)
    assert [len(text) for _, text in lines] == [5 * 65536]
    assert LONGEST_LINE < 5 * 65536


def test_bytes_that_are_no_text_and_escape_sequences_do_no_harm() -> None:
    assert fed(("stdout", b"\xff\xfe \x1b[31mred\x1b[0m\x07 50%\r100%\r\n\n")) == [
        ("stdout", "\ufffd\ufffd red\\x07 50%\\r100%"),
        ("stdout", ""),
    ]


def test_prefixes_are_as_wide_as_the_longest_name_within_reason() -> None:
    chronicle = told(Rehearsal(seed_pod(), {"app": Act(), "sidecar": Act()}).play(0))
    assert prefix_width(chronicle) == len("test-x9k2f/sidecar")
    assert prefix_width(Chronicle()) == 0
    long = told(Rehearsal(make_pod("p" * 60, containers=[box("app")]), {"app": Act()}).play(0))
    assert prefix_width(long) == 40


class Sink:
    """Keeps what it is told, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def log_room(self) -> None:
        self.told.append("room?")

    def log_line(self, pod: Pod, container: str, line: LogLine) -> None:
        self.told.append(f"{pod.metadata.name}/{container} {line.data.decode()}")

    def log_end(self, pod: Pod, container: str) -> None:
        self.told.append(f"{pod.metadata.name}/{container} end")

    def note(self, text: str) -> None:
        self.told.append(text)


async def lines(data: Iterable[bytes], then: EngineError | None = None) -> AsyncIterator[LogLine]:
    for piece in data:
        yield LogLine(time=T0, stream="stdout", data=piece)
    if then is not None:
        raise then


async def test_each_line_waits_for_room_first() -> None:
    sink = Sink()
    await follow(sink, seed_pod(), "app", lines([b"1", b"2"]))
    assert sink.told == ["room?", "test-x9k2f/app 1", "room?", "test-x9k2f/app 2", "test-x9k2f/app end"]


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (EngineNotFound("No such container"), []),
        (
            EngineUnavailable("connection reset"),
            ["the output of test-x9k2f/app cannot be read any further: connection reset"],
        ),
    ],
)
async def test_an_engine_that_fails_ends_the_output(error: EngineError, note: list[str]) -> None:
    sink = Sink()
    await follow(sink, seed_pod(), "app", lines([b"1"], error))
    assert sink.told == ["room?", "test-x9k2f/app 1", *note, "test-x9k2f/app end"]
