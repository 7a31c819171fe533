"""A way to the engine, or to a server, that a test can cut, and on which it sees what is asked of the engine."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ENGINE = Path(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://"))


class Relay:
    """A socket that leads to the engine's, for as long as it is open; it counts the requests that pass. Or a port of
    loopback that leads to another.

    While it is ``deaf``, no event that the engine tells arrives, as if nothing happened.
    """

    def __init__(self, path: Path | int, to: Path | int = ENGINE) -> None:
        self.path = path
        self._to = to
        self.requests = 0
        self.deaf = False
        self._ends: list[socket.socket] = []

    def open(self) -> None:
        server, address = _at(self.path)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(address)
        server.listen()
        self._ends.append(server)
        threading.Thread(target=self._accept, args=(server,), daemon=True).start()

    def close(self) -> None:
        """As when the engine ends: its connections are cut, and nobody listens."""
        if isinstance(self.path, Path):
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
                far, address = _at(self._to)
                far.connect(address)
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


def _at(place: Path | int) -> tuple[socket.socket, str | tuple[str, int]]:
    if isinstance(place, Path):
        return socket.socket(socket.AF_UNIX), str(place)
    return socket.socket(), ("127.0.0.1", place)


def carry(source: socket.socket, sink: socket.socket, passes: Callable[[bytes], bool]) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if passes(data):
                sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
