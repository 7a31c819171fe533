"""The webhook's port, with TLS by the certificate that it is given last."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import tempfile
from pathlib import Path
from typing import ClassVar

import structlog
from aiohttp import web

from vkprovider.errors import VkError

GOODBYE_SECONDS = 5.0  # for requests under way when the server stops: longer than the API server waits for them
HANDSHAKE_SECONDS = 5.0  # for a client to agree on TLS: asyncio would wait for a minute
IDLE_SECONDS = 120.0  # of a connection: the API server gives up its own after 90 (net/http IdleConnTimeout)
log = structlog.get_logger()


class WebhookError(VkError):
    """The webhook cannot be served. The message says what an administrator can do."""

    reason: ClassVar[str] = "WebhookError"


class ServingPair:
    """The certificate that clients are shown: that of the last ``use``. There is one once it is ``loaded``."""

    def __init__(self) -> None:
        self.loaded = asyncio.Event()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2

    async def use(self, pem: bytes) -> None:
        """Show this certificate, with its key, to whoever comes from now on. Raises WebhookError."""
        try:
            await asyncio.to_thread(self._load, pem)
        except OSError as exc:  # an SSLError is one
            raise WebhookError(f"the webhook's certificate cannot be taken up: {exc}") from exc
        self.loaded.set()

    def _load(self, pem: bytes) -> None:
        with tempfile.TemporaryDirectory() as directory:  # which nobody else may enter
            pair = Path(directory) / "pair.pem"
            pair.write_bytes(pem)
            self.context.load_cert_chain(pair)


def listen(port: int) -> socket.socket:
    """A listening socket; 0 is any free port. Raises WebhookError."""
    try:
        if socket.has_dualstack_ipv6():
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server(("", port))
    except OSError as exc:
        hint = (
            ": give another with --port (of vkprovider node: --webhook-port)" if exc.errno == errno.EADDRINUSE else ""
        )
        raise WebhookError(f"port {port} cannot be listened on: {exc.strerror}{hint}") from exc


async def serve(
    application: web.Application,
    listener: socket.socket,
    pair: ServingPair,
    handshake_seconds: float = HANDSHAKE_SECONDS,
) -> None:
    """Serve until cancelled, from when there is a certificate on. Who agrees on TLS too slowly is dropped."""
    await pair.loaded.wait()
    runner = web.AppRunner(
        application, access_log=None, shutdown_timeout=GOODBYE_SECONDS, keepalive_timeout=IDLE_SECONDS
    )
    await runner.setup()
    assert runner.server is not None
    server = await asyncio.get_running_loop().create_server(  # a site of aiohttp's knows nothing of handshakes
        runner.server, sock=listener, ssl=pair.context, ssl_handshake_timeout=handshake_seconds
    )
    try:
        log.info("the webhook is served", port=listener.getsockname()[1])
        await asyncio.Event().wait()
    finally:
        server.close()
        await runner.cleanup()
