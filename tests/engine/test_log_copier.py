"""The program that copies logs, as a process."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from tests.engine.test_log_copy import Driver
from vkprovider.engine.log_copier import Report
from vkprovider.engine.log_copies import PROGRAM
from vkprovider.engine.log_copy import Order

PATIENCE = 20.0  # seconds
POLL = 0.01
PIPE_SIZE = 64 * 1024


@pytest.fixture
def copier() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def tell(copier: subprocess.Popen[bytes], directory: Path, *, ended: bool = False) -> None:
    """Of a container "a" whose files are in this directory."""
    source, target, note = (str(directory / name) for name in ("json.log", "0.log", "note"))
    order = Order("a", ended=True) if ended else Order("a", source, target, note)
    assert copier.stdin is not None
    copier.stdin.write(msgspec.json.encode(order) + b"\n")
    copier.stdin.flush()


def told(copier: subprocess.Popen[bytes]) -> Report:
    assert copier.stdout is not None
    return msgspec.json.decode(copier.stdout.readline(), type=Report)


def open_files(pid: int) -> list[str]:
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            found.append(os.readlink(descriptor))
    return found


def wait_until_held(copier: subprocess.Popen[bytes], path: Path) -> None:
    """Until the process has opened a file."""
    deadline = time.monotonic() + PATIENCE
    while str(path) not in open_files(copier.pid):
        assert time.monotonic() < deadline, path
        with pytest.raises(subprocess.TimeoutExpired):
            copier.wait(POLL)


def test_files_are_got_hold_of_while_a_write_takes_its_time(copier: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """The disk is slow: a pipe that nobody reads for now."""
    driver, target = Driver(tmp_path, files=2), tmp_path / "0.log"
    os.mkfifo(target)
    reader = os.open(target, os.O_RDONLY | os.O_NONBLOCK)
    driver.say(PIPE_SIZE // 10)
    tell(copier, tmp_path)
    for _ in range(6):
        wait_until_held(copier, driver.path)
        driver.rotate()
        driver.say(10)
    wait_until_held(copier, driver.path)
    os.set_blocking(reader, True)
    with open(reader, "rb") as lines:
        numbers = [int(line.split(b" ")[3]) for _, line in zip(range(driver.number), lines, strict=False)]
    assert numbers == list(range(driver.number))


def test_as_many_files_as_may_be(tmp_path: Path) -> None:
    few = ("sh", "-c", 'ulimit -Sn 64; exec "$@"', "sh")
    Driver(tmp_path)
    with subprocess.Popen([*few, *PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as copier:
        tell(copier, tmp_path)
        tell(copier, tmp_path, ended=True)
        assert told(copier) == Report("a")
        soft, hard = resource.prlimit(copier.pid, resource.RLIMIT_NOFILE)
        copier.kill()
    assert soft == hard > 64


def test_what_may_be_missing_is_told(copier: subprocess.Popen[bytes], tmp_path: Path) -> None:
    driver = Driver(tmp_path)
    driver.say()
    tell(copier, tmp_path)
    tell(copier, tmp_path, ended=True)
    assert told(copier) == Report("a")
    for _ in range(4):
        driver.rotate()
        driver.say()
    tell(copier, tmp_path)
    assert told(copier) == Report("a", lost=True)
    tell(copier, tmp_path, ended=True)
    assert told(copier) == Report("a")
    assert [int(line.split()[3]) for line in (tmp_path / "0.log").read_text().splitlines()] == [0, 2, 3, 4]
