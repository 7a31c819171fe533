"""The display as a whole: on a terminal, on a pipe, and where either misbehaves."""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import re
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator
from datetime import datetime
from typing import TextIO

import msgspec
import pytest

from tests.standalone.rehearsal import T0, Act, Rehearsal, at, seed_pod
from tests.standalone.test_chronicle import job
from vkprovider.core.actions import PodEvent
from vkprovider.model.engine import LogLine, PullProgress
from vkprovider.standalone.display import Display, is_terminal
from vkprovider.standalone.job_view import JobEvent
from vkprovider.standalone.log_view import follow

PATIENCE = 20.0  # seconds; no test comes near it
LONG = "many words " * 20 + "and an end"
COMPLETE = job(succeeded=3, conditions=[{"type": "Complete", "status": "True"}])


class Stopped:
    """A clock that stands."""

    def now(self) -> datetime:
        return at(44)

    def monotonic(self) -> float:
        return 44.0


def show_the_seeds_job(display: Display) -> None:
    display.job(job(active=1))
    for view, decision in Rehearsal(seed_pod(), {"app": Act(runs=10), "sidecar": Act(pull=3)}).play(60):
        for event in decision.events:
            display.record(view.pod, event, view.now)
        display.looked(view, decision)
        progress = PullProgress(image="busybox:1.28", current_bytes=1, total_bytes=2, status="")
        display.pulling(view.pod, "sidecar", progress)


class Terminal:
    """A pseudo-terminal of 80 columns whose screen can be read."""

    def __init__(self) -> None:
        self.screen, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.stream = os.fdopen(slave, "w", encoding="utf-8")
        self.shown = b""
        self._more_shown = asyncio.Event()

    def read(self) -> None:
        """Read from now on. Until then, what is written fills the terminal's small buffer and then blocks."""
        asyncio.get_running_loop().add_reader(self.screen, self._more)

    def _more(self) -> None:
        self.shown += os.read(self.screen, 65536)
        self._more_shown.set()

    async def until(self, text: str, after: str = "") -> None:
        """Return when this is on the screen, whatever its colours, behind ``after``."""
        while text not in "\n".join(plain(after.join(self.text().split(after)[1:]) if after else self.text())):
            self._more_shown.clear()
            await self._more_shown.wait()

    def text(self) -> str:
        return self.shown.decode()

    def close(self) -> None:
        self.stream.close()
        os.close(self.screen)


@pytest.fixture
async def terminal(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    yield terminal
    terminal.close()


def plain(text: str) -> list[str]:
    """What of a terminal's output is text, line by line."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "").split("\n")


def pipe() -> tuple[TextIO, int]:
    """A stream and the file descriptor it can be read from."""
    read, write = os.pipe()
    return os.fdopen(write, "w", encoding="utf-8"), read


async def endless(count: int) -> AsyncIterator[LogLine]:
    for number in range(count):
        yield LogLine(time=T0, stream="stdout", data=f"line {number}\n".encode())


async def test_on_a_terminal_the_tree_is_live_and_the_bars_come_last(terminal: Terminal) -> None:
    async with asyncio.timeout(PATIENCE):
        terminal.read()
        async with Display(terminal.stream, Stopped()) as display:
            display.note("the image was made \x1b[2Jon the spot")
            display.job_event("test", JobEvent(type="Normal", reason="SuccessfulCreate", message="Created a pod"))
            display.job_event("test", JobEvent(type="Warning", reason="FailedCreate", message="no more pods"))
            show_the_seeds_job(display)
            await terminal.until("Ctrl-C: stop in order, twice: kill")
            await follow(display, seed_pod(), "app", endless(3))
            display.log_line(seed_pod(), "app", LogLine(time=T0, stream="stderr", data=LONG.encode() + b"\n"))
            display.finish([COMPLETE])
        await terminal.until("Job test: Complete, 3 succeeded, 0 failed (0 s)\n")
    text = terminal.text()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1, "the cursor is given back"
    assert "\x1b[2J" not in text
    lines = plain(text)
    assert lines[:2] == ["the image was made on the spot", "Job test: FailedCreate: no more pods"]
    assert "Created a pod" not in text
    assert any(line.endswith("test-x9k2f/app     | line 2") for line in lines)
    assert any(line.endswith(f"test-x9k2f/app     | {LONG}") for line in lines), "wrapped by the terminal alone"
    end = lines[next(i for i in reversed(range(len(lines))) if lines[i].startswith("Job test  Complete")) :]
    assert end[0].startswith("Job test  Complete  3/3 succeeded")
    assert end[2].startswith("   ├─ sidecar  native sidecar  ✔ Completed  exit 137 -> 0")
    assert end[6].endswith("✖  137 -> 0")
    assert end[8] == "░ pull   ╌ start   █ running   ▒ TERM   ✖ KILL"
    assert end[10:] == [
        "sidecar: ignored TERM for 30 s, killed, 137 -> 0",
        "  (native sidecar: an init container with restartPolicy Always)",
        "app: exit 0 after 10 s",
        "Job test: Complete, 3 succeeded, 0 failed (0 s)",
        "",
    ]


@pytest.mark.parametrize("no_color", ["1", ""])
async def test_colours_are_used_and_no_color_is_honoured(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, no_color: str
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    async with asyncio.timeout(PATIENCE):
        terminal.read()
        async with Display(terminal.stream, Stopped()) as display:
            show_the_seeds_job(display)
            display.finish([COMPLETE])
        await terminal.until("Job test: Complete, 3")
    coloured = re.search(r"\x1b\[[0-9;]*3[0-7][0-9;]*m", terminal.text())
    assert (coloured is None) == bool(no_color)


async def broken_off(terminal: Terminal) -> None:
    async with Display(terminal.stream, Stopped()) as display:
        show_the_seeds_job(display)
        await terminal.until("Ctrl-C")
        raise RuntimeError("broke off")


async def test_a_run_that_breaks_off_gives_the_terminal_back_with_its_last_tree(terminal: Terminal) -> None:
    async with asyncio.timeout(PATIENCE):
        terminal.read()
        with pytest.raises(RuntimeError, match="broke off"):
            await broken_off(terminal)
        await terminal.until("Completed  exit 0                           10s\n", after="\x1b[?25h")
    assert terminal.text().count("\x1b[?25h") == 1
    assert plain(terminal.text())[-2].startswith("   └─ app      app             ✔ Completed")


async def test_a_terminal_nobody_reads_does_not_hold_up_the_pods(terminal: Terminal) -> None:
    async with asyncio.timeout(PATIENCE):
        async with Display(terminal.stream, Stopped()) as display:
            talking = asyncio.create_task(follow(display, seed_pod(), "app", endless(20_000)))
            show_the_seeds_job(display)
            for _ in range(1000):
                await asyncio.sleep(0)
            assert not talking.done(), "output stays with the engine until there is room for it"
            assert display.chronicle.pods[0].phase == "Succeeded", "and yet the pod went on"
            terminal.read()
            await talking
            display.finish([COMPLETE])
        await terminal.until("Job test: Complete, 3")
    assert [line for line in plain(terminal.text()) if "| line " in line][-1].endswith("line 19999")


async def test_a_pipe_nobody_reads_does_not_hold_up_the_pods_either() -> None:
    stream, read = pipe()
    lines: list[bytes] = []

    def read_all() -> None:
        with os.fdopen(read, "rb") as reader:
            lines.extend(reader)

    async with asyncio.timeout(PATIENCE):
        async with Display(stream, Stopped()) as display:
            talking = asyncio.create_task(follow(display, seed_pod(), "app", endless(20_000)))
            show_the_seeds_job(display)
            for _ in range(1000):
                await asyncio.sleep(0)
            assert not talking.done()
            assert display.chronicle.pods[0].phase == "Succeeded"
            reading = asyncio.create_task(asyncio.to_thread(read_all))
            await talking
            display.finish([COMPLETE])
        stream.close()
        await reading
    assert sum(b"| line " in line for line in lines) == 20_000
    assert lines[-1].endswith(b"job/test  Summary Job test: Complete, 3 succeeded, 0 failed (0 s)\n")


async def test_a_reader_that_went_away_ends_the_display_and_not_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    stream, read = pipe()
    os.close(read)
    async with asyncio.timeout(PATIENCE), Display(stream, Stopped()) as display:
        show_the_seeds_job(display)
        await follow(display, seed_pod(), "app", endless(5000))
        display.finish([COMPLETE])
    assert display.chronicle.pods[0].phase == "Succeeded"
    stream.close()  # what was left in it is flushed into nowhere
    assert capsys.readouterr().err == ""


async def test_a_full_disk_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with open("/dev/full", "w") as stream:  # noqa: ASYNC230  a device
        async with asyncio.timeout(PATIENCE), Display(stream, Stopped()) as display:
            show_the_seeds_job(display)
    assert "nothing more can be shown, the run goes on: OSError(28" in capsys.readouterr().err


async def test_an_encoding_that_lacks_a_character_ends_nothing() -> None:
    raw = io.BytesIO()
    async with asyncio.timeout(PATIENCE), Display(io.TextIOWrapper(raw, encoding="ascii"), Stopped()) as display:
        display.note("größe")
    assert raw.getvalue().endswith(b"vkprovider  gr\\xf6\\xdfe\n")


async def test_a_mistake_in_the_display_is_told_once_and_raises_nothing() -> None:
    stream = io.StringIO()
    looks = Rehearsal(seed_pod(), {"app": Act(), "sidecar": Act()}).play(1)
    view, decision = looks[-1]
    odd = msgspec.structs.replace(
        decision, status={"phase": "Running", "containerStatuses": [{"name": "app", "state": 7}]}
    )
    async with asyncio.timeout(PATIENCE), Display(stream, Stopped()) as display:
        display.looked(view, odd)
        display.looked(view, odd)
        display.looked(view, decision)
    lines = stream.getvalue().splitlines()
    assert sum("the display failed, the run goes on" in line for line in lines) == 1
    assert lines[-1].endswith("container/app (app)  Running")


async def test_events_that_no_look_follows_are_shown_at_the_end() -> None:
    stream = io.StringIO()
    async with asyncio.timeout(PATIENCE), Display(stream, Stopped()) as display:
        display.record(seed_pod(), PodEvent(type="Normal", reason="Evicted", message="gone"), at(3))
        display.finish()
    assert stream.getvalue().endswith("pod/test-x9k2f  Evicted gone\n")


def test_the_picture_is_that_of_the_run() -> None:
    display = Display(io.StringIO(), Stopped())
    show_the_seeds_job(display)
    assert "sidecar: ignored TERM for 30 s, killed, 137 -&gt; 0" in display.svg()


async def test_what_counts_as_a_terminal(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_terminal(terminal.stream)
    assert not is_terminal(io.StringIO())
    for dumb in ("dumb", "unknown", ""):
        monkeypatch.setenv("TERM", dumb)
        assert not is_terminal(terminal.stream)


def test_rich_is_not_imported_where_there_is_no_terminal() -> None:
    code = (
        "import sys, vkprovider.standalone.display; print(sorted(m for m in sys.modules if m.split('.')[0] == 'rich'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
