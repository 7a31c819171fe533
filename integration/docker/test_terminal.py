"""A run on a terminal: a live tree, then the timeline and a line for each sidecar."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from integration.docker.command import PROGRAM, Command, eventually
from integration.docker.lines import PATIENCE
from integration.docker.pods import ALWAYS, IDLE, UNTIL_TERM, pod, shell

pytestmark = pytest.mark.docker

SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\r")


class Terminal:
    """A terminal with ``vkprovider run`` in it, and all that was ever written there."""

    def __init__(self, screen: int, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._screen = screen
        self._written = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def type(self, keys: bytes) -> None:
        os.write(self._screen, keys)

    def text(self) -> str:
        return SEQUENCE.sub("", self._written.decode(errors="replace"))

    def until(self, *parts: str) -> None:
        """Wait until a line with all these parts has been written."""
        eventually(
            lambda: any(all(part in line for part in parts) for line in self.text().splitlines()),
            f"{parts} on the screen: {self.text()[-2000:]}",
        )

    def finish(self) -> int:
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def _read(self) -> None:
        with suppress(OSError):  # what a terminal answers when its last program is gone
            while data := os.read(self._screen, 65536):
                self._written += data


@contextmanager
def terminal(command: Command, file: str) -> Iterator[Terminal]:
    screen, inside = os.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("4H", 40, 120, 0, 0))
    process = subprocess.Popen(
        ["setsid", "--ctty", *PROGRAM, "run", "--state-dir", str(command.state_dir), file],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(inside)
    try:
        yield Terminal(screen, process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(PATIENCE)
        os.close(screen)


def test_the_tree_the_timeline_and_what_was_done_to_the_sidecar(command: Command) -> None:
    sidecar = shell("helper", IDLE) | ALWAYS
    spec = pod("shown", shell("app", "sleep 2"), initContainers=[sidecar], terminationGracePeriodSeconds=2)
    with terminal(command, command.file(spec)) as shown:
        shown.until("helper", "native sidecar", "Running")
        shown.until("app", "Running")
        shown.until("helper", "Stopping", "TERM")
        assert shown.finish() == 0
        text = shown.text()
    assert "helper: ignored TERM for 2 s, killed, 137 -> 0" in text
    assert "Pod shown: Succeeded" in text
    assert "█" in text  # bars


def test_ctrl_c_on_the_keyboard(command: Command) -> None:
    with terminal(command, command.file(pod("shown", shell("app", UNTIL_TERM), restartPolicy="Always"))) as shown:
        shown.until("app", "Running")
        shown.type(b"\x03")
        assert shown.finish() == 130
        assert "interrupted: stopping in order" in shown.text()
