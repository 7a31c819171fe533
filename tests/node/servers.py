"""Real servers in this process, on a free port of the loopback interface."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from aiohttp import web

HOST = "127.0.0.1"

# Of nobody.example, signed by itself. It protects nothing.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg5ocZIW8Niur2HPOo
s+cXH6ieyA9ACI9kg+ncB1iHu7ShRANCAARfKQJfkxRfa1e439sm1gzns0SSOAg9
RsyDjYMeMBgnGaA7AVnoQo+TQjYWgb+2+/3ALFi3Ip0gHwrP//siW4Hr
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBiDCCAS+gAwIBAgIUarbeivg/XszOyeDEDr2FKVjwezEwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwObm9ib2R5LmV4YW1wbGUwIBcNMjYxMTIxMDkyODA2WhgPMjEy
NjEwMjgwOTI4MDZaMBkxFzAVBgNVBAMMDm5vYm9keS5leGFtcGxlMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEXykCX5MUX2tXuN/bJtYM57NEkjgIPUbMg42DHjAY
JxmgOwFZ6EKPk0I2FoG/tvv9wCxYtyKdIB8Kz//7IluB66NTMFEwHQYDVR0OBBYE
FM1OdWVBFTF+KT7BwoNQsG3NPuXRMB8GA1UdIwQYMBaAFM1OdWVBFTF+KT7BwoNQ
sG3NPuXRMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgAm1ef0Xc
KTEhhULwv26gSAIpsX8eYHcObIfjl9e6G8UCIHHz6huCYgAWmfFq0pDjKv+KK526
P7e1znfDsLqhUuN2
-----END CERTIFICATE-----
"""


def server_tls(directory: Path) -> ssl.SSLContext:
    """TLS with a certificate that nobody should trust."""
    pem = directory / "server.pem"
    pem.write_text(CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


@asynccontextmanager
async def http_server(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """An HTTP server for every path; gives its port."""
    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0, ssl_context=tls)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_server(reply: bytes, *, reset: bool = False, requests: list[bytes] | None = None) -> AsyncIterator[int]:
    """Answers the first bytes of each connection with ``reply`` and hangs up; gives its port."""
    served: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.add(asyncio.current_task())
        request = await reader.read(65536)
        if requests is not None:
            requests.append(request)
        writer.write(reply)
        if reset:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*served, return_exceptions=True)


@contextmanager
def silent_server() -> Iterator[int]:
    """Lets everyone connect and never says a word; gives its port."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as unused:
        unused.bind((HOST, 0))
        return unused.getsockname()[1]
