"""Servers in the test's process, for probes that are sent to the node itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from tests.node.grpc_server import NOT_SERVING, SERVING, Answer, Heard, grpc_server
from tests.node.servers import http_server, server_tls


@dataclass(frozen=True)
class Ports:
    """Where they listen. ``healthy`` and ``unhealthy`` are of gRPC."""

    http: int
    https: int
    healthy: int
    unhealthy: int
    asked: Heard


async def _answer(request: web.Request) -> web.Response:
    """/elsewhere redirects to another host, /header wants headers, anything else is as it should be."""
    if request.path == "/elsewhere":
        return web.Response(status=302, headers={"Location": "http://elsewhere.example/"}, text="over there")
    if request.path == "/here":
        return web.Response(status=302, headers={"Location": "/fine"})
    if request.path == "/header":
        wanted = {"Host": "pods.example", "X-Probe": "yes", "User-Agent": "kube-probe/1.34"}
        fits = all(request.headers.get(name) == value for name, value in wanted.items())
        return web.Response(status=200 if fits else 418)
    return web.Response(status=503 if request.path == "/bad" else 200, text="fine")


@asynccontextmanager
async def probed_servers(directory: Path) -> AsyncIterator[Ports]:
    async with AsyncExitStack() as stack:
        heard = Heard()
        yield Ports(
            http=await stack.enter_async_context(http_server(_answer)),
            https=await stack.enter_async_context(http_server(_answer, server_tls(directory))),
            healthy=await stack.enter_async_context(grpc_server(lambda: Answer(SERVING), heard)),
            unhealthy=await stack.enter_async_context(grpc_server(lambda: Answer(NOT_SERVING))),
            asked=heard,
        )
