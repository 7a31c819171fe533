"""A way to the engine that a test can cut, and on which it sees what is asked."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ENGINE = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


class Relay:
    """A socket that leads to the engine's, for as long as it is open; it counts the requests that pass."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests = 0
        self._ends: list[socket.socket] = []

    def open(self) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(self.path))
        server.listen()
        self._ends.append(server)
        threading.Thread(target=self._accept, args=(server,), daemon=True).start()

    def close(self) -> None:
        """As when the engine ends: its connections are cut, and nobody listens."""
        self.path.unlink(missing_ok=True)
        while self._ends:
            end = self._ends.pop()
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = server.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(ENGINE)
                self._ends += [near, far]
                threading.Thread(target=self._ask, args=(near, far), daemon=True).start()
                threading.Thread(target=carry, args=(far, near), daemon=True).start()

    def _ask(self, source: socket.socket, sink: socket.socket) -> None:
        carry(source, sink, self._count)

    def _count(self, data: bytes) -> None:
        """A request's first line comes in one piece, at the latest when its answer has been awaited."""
        self.requests += data.count(b" HTTP/1.1\r\n")


def carry(source: socket.socket, sink: socket.socket, look: Callable[[bytes], None] = lambda _: None) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            look(data)
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
