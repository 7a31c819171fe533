"""The node's API on the network."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

import structlog
from aiohttp import web

from vkprovider.server.refusals import ServerError

KUBELET_PORT = 10250
GOODBYE_SECONDS = 2.0  # for requests under way when the server stops
log = structlog.get_logger()


def listen(port: int) -> socket.socket:
    """A listening socket. Where the usual port is taken, by a kubelet or another node, it is any free one.

    Raises ServerError where a port that was asked for is not to be had.
    """
    try:
        return _listen(port)
    except OSError as exc:
        if port != KUBELET_PORT or exc.errno != errno.EADDRINUSE:
            raise ServerError(f"port {port} cannot be listened on: {exc.strerror}: give another with --port") from exc
    listener = _listen(0)
    log.warning("the usual port is taken, another one is registered", usual=port, port=listener.getsockname()[1])
    return listener


async def serve(application: web.Application, listener: socket.socket, context: ssl.SSLContext) -> None:
    """Serve until cancelled."""
    runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=GOODBYE_SECONDS)
    await runner.setup()
    try:
        await web.SockSite(runner, listener, ssl_context=context).start()
        log.info("the node's API is served", port=listener.getsockname()[1])
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _listen(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))
