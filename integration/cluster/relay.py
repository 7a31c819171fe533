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
    """A socket that leads to the engine's, for as long as it is open; it counts the requests that pass.

    While it is ``deaf``, no event that the engine tells arrives, as if nothing happened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests = 0
        self.deaf = False
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
                tells_events = threading.Event()
                threading.Thread(target=self._ask, args=(near, far, tells_events), daemon=True).start()
                threading.Thread(target=self._answer, args=(far, near, tells_events), daemon=True).start()

    def _ask(self, source: socket.socket, sink: socket.socket, tells_events: threading.Event) -> None:
        def count(data: bytes) -> bool:
            """A request's first line comes in one piece, at the latest when its answer has been awaited."""
            self.requests += data.count(b" HTTP/1.1\r\n")
            if b"/events?" in data:
                tells_events.set()
            return True

        carry(source, sink, count)

    def _answer(self, source: socket.socket, sink: socket.socket, tells_events: threading.Event) -> None:
        carry(source, sink, lambda _: not (self.deaf and tells_events.is_set()))


def carry(source: socket.socket, sink: socket.socket, passes: Callable[[bytes], bool]) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if passes(data):
                sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
