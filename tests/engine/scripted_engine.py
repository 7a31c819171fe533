"""An engine that answers as a test wants, on a socket: for what a real one does only on a bad day."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
VERSION = {"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10.24", "Arch": "amd64"}


class Asked(msgspec.Struct, frozen=True):
    """One request, its path without the version of the API."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any


class ScriptedEngine:
    """``answers`` by method and path, as "GET /info": JSON, or a handler. Others get 404, as of no container."""

    def __init__(self, socket: Path) -> None:
        self.url = f"unix://{socket}"
        self.answers: dict[str, Any] = {"GET /version": VERSION, "GET /_ping": self._ping}
        self.asked: list[Asked] = []
        self.date = "Fri, 02 Jan 2026 03:04:05 GMT"
        self.headers: list[Mapping[str, str]] = []

    def paths(self, method: str = "GET") -> list[str]:
        return [asked.path for asked in self.asked if asked.method == method]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        path = "/" + request.path.split("/", 2)[2] if request.path.startswith("/v1.") else request.path
        content = await request.read()
        body = msgspec.json.decode(content) if request.content_type == "application/json" and content else content
        self.asked.append(Asked(request.method, path, dict(request.query), body))
        self.headers.append(dict(request.headers))
        answer = self.answers.get(f"{request.method} {path}")
        if callable(answer):
            return await answer(request)
        if answer is None:
            return web.json_response({"message": f"No such container: {path}"}, status=404)
        return web.json_response(answer)

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(text="OK", headers={"Date": self.date})


@asynccontextmanager
async def serving(engine: ScriptedEngine) -> AsyncIterator[None]:
    """The engine is up within, and hangs up on everybody at the end."""
    runner = web.ServerRunner(web.Server(engine.serve, handler_cancellation=True), shutdown_timeout=0.01)
    await runner.setup()
    site = web.UnixSite(runner, engine.url.removeprefix("unix://"))
    await site.start()
    try:
        yield
    finally:
        await runner.cleanup()


def refusing(status: int, message: str) -> Handler:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"message": message}, status=status)

    return refuse


class Stream:
    """A handler whose answer is written piece by piece by the test, one stream for each request."""

    def __init__(self) -> None:
        self.opened: asyncio.Queue[asyncio.Queue[bytes | None]] = asyncio.Queue()
        self.closed = asyncio.Event()  # a client has hung up

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.opened.put_nowait(pieces)
        try:
            while (piece := await pieces.get()) is not None:
                await response.write(piece)
        except (asyncio.CancelledError, ConnectionError):
            self.closed.set()
            raise
        return response

    async def next(self) -> asyncio.Queue[bytes | None]:
        """Wait for a client; what is put into the queue is written to it, None ends the answer."""
        async with asyncio.timeout(10):
            return await self.opened.get()
