"""The node's API on the network."""

from __future__ import annotations

import errno
import logging
import socket

import structlog
from aiohttp import web
from aiohttp.http import HttpProcessingError

from vkprovider.server.reception import Limits, Reception
from vkprovider.server.refusals import ServerError
from vkprovider.server.tls import ServerTls

KUBELET_PORT = 10250
GOODBYE_SECONDS = 2.0  # for requests under way when the server stops
LONGEST_LINE = 256 * 1024  # bytes; the words of a command are in the first line of its request
_LIMITS = Limits()
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


async def serve(
    application: web.Application, listener: socket.socket, tls: ServerTls, limits: Limits = _LIMITS
) -> None:
    """Serve until cancelled. ``application`` is one that calls its handlers with requests that it has admitted."""
    reception = Reception(tls, limits)
    application.middlewares.append(reception.admitted)
    runner = web.AppRunner(
        application,
        handler_cancellation=True,
        access_log=None,
        shutdown_timeout=GOODBYE_SECONDS,
        max_line_size=LONGEST_LINE,
        logger=_faults(),
    )
    await runner.setup()
    assert runner.server is not None
    try:
        log.info("the node's API is served", port=listener.getsockname()[1])
        await reception.run(listener, runner.server)
    finally:
        await runner.cleanup()


def _faults() -> logging.Logger:
    """A log of our own faults: what a stranger sends that is no HTTP must not fill it."""
    faults = logging.getLogger(__name__)
    faults.addFilter(_is_ours)
    return faults


def _is_ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def _listen(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))
