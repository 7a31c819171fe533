"""What the program is as one end of a TCP connection, run directly on this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.engine_sandbox.programs import Program

DATA = bytes(range(256)) * 20_000


@pytest.fixture(params=[(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["IPv4", "IPv6"])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family, address = request.param
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        listener.listen()
        listener.settimeout(20)
        yield listener


def start(program: Program, listener: socket.socket) -> subprocess.Popen[bytes]:
    command = [*program.command, "connect", str(listener.getsockname()[1])]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def echo(listener: socket.socket) -> None:
    """Without reading ahead: it waits until what it sends is taken."""
    connection, _ = listener.accept()
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)


def test_both_directions_at_once_to_the_end_of_the_input(program: Program, listener: socket.socket) -> None:
    with ThreadPoolExecutor(1) as pool, start(program, listener) as process:
        served = pool.submit(echo, listener)
        output, errors = process.communicate(DATA, timeout=60)
        served.result(timeout=20)
    assert (output == DATA, errors, process.returncode) == (True, b"", 0)


def test_it_ends_with_the_other_side_though_input_may_come(program: Program, listener: socket.socket) -> None:
    with start(program, listener) as process:
        connection, _ = listener.accept()
        connection.sendall(b"last words")
        connection.close()
        assert process.stdout is not None
        assert process.stdout.read() == b"last words"
        assert process.wait(20) == 0


def test_killed_it_leaves_no_connection(program: Program, listener: socket.socket) -> None:
    with start(program, listener) as process:
        connection, _ = listener.accept()
        connection.settimeout(20)
        os.kill(process.pid, signal.SIGKILL)
        assert connection.recv(1) == b""
        connection.close()


def test_nobody_listens(program: Program, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    result = program.run("connect", port)
    assert (result.returncode, result.stderr) == (1, f"connect: {port}: Connection refused\n")


@pytest.mark.parametrize("arguments", [[], ["0"], ["65536"], ["http"], ["80", "81"]])
def test_wrong_usage(program: Program, arguments: list[str]) -> None:
    result = program.run("connect", *arguments)
    assert result.returncode == 2
    assert "usage: sandbox" in result.stderr
