"""Connections to the engine that stop being HTTP: bytes both ways, one side of which may end before the other."""

from __future__ import annotations

import asyncio
import http.client
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from vkprovider.engine.endpoint import CONNECT_SECONDS, Endpoint, tls_context
from vkprovider.engine.refusals import FAILURES, engine_error, refused
from vkprovider.errors import EngineError
from vkprovider.wire.stdcopy import FramingError

CHUNK = 64 * 1024  # bytes; also about what is held of either direction
_SWITCHING = 101
_UNFINISHED = (asyncio.IncompleteReadError, asyncio.LimitOverrunError)


class Hijacked:
    """The connection after the engine has agreed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        """What has come, b"" once the engine's side has ended. Raises EngineUnavailable."""
        try:
            return await self._reader.read(CHUNK)
        except OSError as exc:
            raise engine_error(exc) from exc

    async def write(self, data: bytes) -> None:
        """Wait until the engine takes it; one that has hung up takes everything."""
        with suppress(ConnectionError):
            self._writer.write(data)
            await self._writer.drain()

    def end(self) -> None:
        """Say that no more will be written. Raises EngineError where TLS stands in the way."""
        if not self._writer.can_write_eof():
            raise EngineError(
                "over TLS the end of a command's input cannot be told to the Docker engine: use its Unix socket"
            )
        with suppress(OSError):
            self._writer.write_eof()


@asynccontextmanager
async def hijacked(
    endpoint: Endpoint, path: str, *, params: Mapping[str, str | int] | None = None, body: Any = None
) -> AsyncIterator[Hijacked]:
    """Ask for the streams behind a path (POST). Leaving hangs up.

    Raises EngineNotFound, EngineConflict, EngineUnavailable or EngineError.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await _connect(endpoint)
    except FAILURES as exc:
        raise engine_error(exc) from exc
    try:
        try:
            writer.write(_request(f"{path}?{urlencode(params)}" if params else path, body))
            await _agree(reader)
        except (*FAILURES, *_UNFINISHED) as exc:
            raise engine_error(exc) from exc
        yield Hijacked(reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _connect(endpoint: Endpoint) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if endpoint.socket_path:
        return await asyncio.open_unix_connection(endpoint.socket_path, limit=CHUNK)
    address = urlsplit(endpoint.url)
    context = await asyncio.to_thread(tls_context, endpoint.tls) if endpoint.tls else None
    return await asyncio.open_connection(address.hostname, address.port, ssl=context, limit=CHUNK)


def _request(target: str, body: Any) -> bytes:
    content = b"" if body is None else msgspec.json.encode(body)
    head = (
        f"POST {target} HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode("ascii") + content


async def _agree(reader: asyncio.StreamReader) -> None:
    """Read the answer's head. Raises Refused with the engine's words if it does not switch."""
    status_line, _, rest = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
    match status_line.split(maxsplit=2):
        case [_, code, *_] if code.isdigit():
            status = int(code)
        case _:
            raise FramingError(f"no answer of HTTP: {status_line[:80]!r}")
    if status == _SWITCHING:
        return
    headers = http.client.parse_headers(io.BytesIO(rest))
    raise refused(status, await reader.readexactly(int(headers.get("Content-Length", "0"))))
