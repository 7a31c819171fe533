"""The handlers of a node's API, by path (pkg/kubelet/server/server.go)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from vkprovider.errors import EngineError
from vkprovider.ports import Clock, ContainerEngine, PodIndex
from vkprovider.server import relay
from vkprovider.server.channels import Channel, CommandChannels
from vkprovider.server.commands import serve_command
from vkprovider.server.logs import log_bytes
from vkprovider.server.lookup import Lookup
from vkprovider.server.port_forwards import serve_port_forward
from vkprovider.server.queries import log_options, stream_options
from vkprovider.server.reads import Reads
from vkprovider.server.refusals import Refused
from vkprovider.server.sessions import Sessions
from vkprovider.wire.outcome import Outcome

Admit = Callable[[web.Request], Awaitable[None]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_POD = "/{namespace}/{pod}"
_POD_AND_UID = "/{namespace}/{pod}/{uid}"


class KubeletApi:
    """What is asked of this node. ``admit`` sees each request first and raises Refused for those that may not."""

    def __init__(
        self, pods: PodIndex, engine: ContainerEngine, clock: Clock, admit: Admit, reads: Reads | None = None
    ) -> None:
        self._pods = pods
        self._lookup = Lookup(pods, engine)
        self._engine = engine
        self._clock = clock
        self._admit = admit
        self._reads = reads or Reads()
        self._sessions = Sessions()

    def application(self) -> web.Application:
        """To be served by a runner that cancels handlers when their client is gone."""
        app = web.Application(middlewares=[self._guard])
        self._reads.add_numbers(app.router)
        self._reads.add_objects(app.router, self._pods, self._engine)
        app.router.add_get(f"/containerLogs{_POD}/{{container}}", self._logs)
        for method in ("GET", "POST"):  # a WebSocket's request is a GET
            for pod in (_POD, _POD_AND_UID):
                app.router.add_route(method, f"/exec{pod}/{{container}}", self._exec)
                app.router.add_route(method, f"/attach{pod}/{{container}}", self._attach)
                app.router.add_route(method, f"/portForward{pod}", self._port_forward)
        app.on_shutdown.append(self._close)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Admit the request, and word what is refused."""
        try:
            await self._admit(request)
            return await handler(request)
        except Refused as exc:
            return web.Response(status=exc.status, text=str(exc))

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        options = stream_options(request.query)
        words = request.query.getall("command", [])
        container = await self._lookup.running(request.match_info)
        if not words:
            raise Refused(500, "a command is required: give it as query parameters named command")

        async def run(client: CommandChannels) -> Outcome:
            opened = self._engine.open_exec(container.id, words, stdin=options.stdin, tty=options.tty)
            return await relay.execute(opened, client)

        return await serve_command(request, options, run, self._sessions)

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        options = stream_options(request.query)
        container = await self._lookup.running(request.match_info)

        async def run(client: CommandChannels) -> Outcome:
            return await relay.attach(self._engine.open_attach(container.id, stdin=options.stdin), client)

        return await serve_command(request, options, run, self._sessions)

    async def _port_forward(self, request: web.Request) -> web.StreamResponse:
        sandbox_id = await self._lookup.sandbox(request.match_info)

        async def forward(port: int, data: Channel, error: Channel) -> None:
            await relay.forward(self._engine, sandbox_id, port, data, error)

        return await serve_port_forward(request, forward, self._sessions)

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        options = log_options(request.query, self._clock.now())
        container_id = self._lookup.logged(request.match_info, previous=options.previous)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        try:
            if options.follow:
                await response.prepare(request)
            async for data in log_bytes(self._engine, container_id, options):
                if not response.prepared:
                    await response.prepare(request)
                await response.write(data)
        except EngineError as exc:
            if not response.prepared:
                raise Refused(400, f"the log cannot be read: {exc}") from exc
            await response.write(f"the log cannot be read further: {exc}\n".encode())
        return response

    async def _close(self, _: web.Application) -> None:
        await self._sessions.close()


def read_only(reads: Reads) -> web.Application:
    """What anybody on this machine may be told: whether the node lives, and its numbers."""
    app = web.Application()
    reads.add_numbers(app.router)
    return app
