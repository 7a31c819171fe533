"""A relay in front of a registry, which can be told to misbehave: to refuse, to be slow, to break off in a layer."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .registries import Registry

_BLOBS = re.compile(r"/v2/.+/blobs/")
FOR_EVER = 1_000_000
_HOP = ("connection", "transfer-encoding", "host")


@dataclass
class Refusal:
    status: int
    content: bytes
    times: int


class Relay:
    """``host`` is the registry's as the engine is to call it. All is passed on unless told otherwise.

    An image may be refused; the tags that are say how, and for how often. While ``go_on`` is not set, layers stop
    halfway; each of them is broken off there as often as ``broken`` says. ``paths`` are those that were asked for.
    """

    def __init__(self, behind: int) -> None:
        self.behind = behind
        self.host = ""
        self.paths: list[str] = []
        self.broken = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.halfway = threading.Event()
        self._refusals: dict[str, Refusal] = {}

    def name_of(self, image: str) -> str:
        """An image of the registry under the relay's name."""
        return f"{self.host}/{image.partition('/')[2]}"

    def refuse(self, image: str, status: int, content: str, times: int = FOR_EVER) -> None:
        """Answer so often with an error of the registry's, which is JSON, or of something in front of it."""
        self._refusals[image.rpartition(":")[2]] = Refusal(status, content.encode(), times)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.paths.append(f"{handler.command} {handler.path}")
        refusal = self._refusals.get(handler.path.rpartition("/")[2])
        if refusal is not None and refusal.times:
            refusal.times -= handler.command == "GET"
            kind = "application/json" if refusal.content.startswith(b"{") else "text/html"
            _reply(handler, refusal.status, [("Content-Type", kind)], refusal.content)
            return
        status, headers, content = self._ask(handler)
        if status != http.HTTPStatus.OK or handler.command != "GET" or not _BLOBS.match(handler.path):
            _reply(handler, status, headers, content)
            return
        half = len(content) // 2
        _reply(handler, status, headers, content[:half], size=len(content))
        self.halfway.set()
        if self.broken:
            self.broken -= 1
            handler.close_connection = True
            return
        while not self.go_on.wait(0.02):
            handler.wfile.flush()
        handler.wfile.write(content[half:])

    def _ask(self, handler: BaseHTTPRequestHandler) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.behind, timeout=10)
        try:
            names = {name for name in handler.headers if name.lower() not in _HOP}
            headers = {name: ", ".join(handler.headers.get_all(name, ())) for name in names}
            connection.request(handler.command, handler.path, headers=headers)
            response = connection.getresponse()
            given = [(name, value) for name, value in response.getheaders() if name.lower() not in _HOP]
            return response.status, given, response.read()
        finally:
            connection.close()


def _reply(
    handler: BaseHTTPRequestHandler,
    status: int,
    headers: list[tuple[str, str]],
    content: bytes,
    *,
    size: int | None = None,
) -> None:
    handler.send_response(status)
    own = [(name, value) for name, value in headers if name.lower() != "content-length"]
    length = next((value for name, value in headers if name.lower() == "content-length"), str(len(content)))
    if handler.command != "HEAD":
        length = str(len(content) if size is None else size)
    for name, value in (*own, ("Content-Length", length)):
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(content)


@contextmanager
def relaying(registry: Registry) -> Iterator[Relay]:
    """A relay to a registry of this machine."""
    relay = Relay(int(registry.host.rpartition(":")[2]))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            relay.answer(self)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Not to the test's output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    relay.host = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        relay.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()
