"""The gRPC health check of a probe: one call on one plain HTTP/2 connection (pkg/probe/grpc/grpc.go).

Failures are worded as the kubelet words them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError

from vkprovider.core.waiting import go_duration
from vkprovider.model.probe import GRPCAction, TCPSocketAction
from vkprovider.node.handlers import KUBERNETES_VERSION, NoAnswerError, address, netloc
from vkprovider.wire import grpc_health as wire

RECONNECT_SECONDS = 1.0  # grpc-go's first back-off between attempts to connect
_READ = 65536  # bytes


async def check_health(action: GRPCAction, pod_ip: str, timeout: int) -> str:
    """Ask for the health of the service within ``timeout`` seconds, and give what a success is worth saying.

    Raises NoAnswerError with the reason of any failure, or UnusableActionError.
    """
    host, port = address(TCPSocketAction(port=action.port), pod_ip, ())
    where, patience = netloc(host, port), go_duration(timeout)
    late = f'timeout: failed to connect service "{where}" within {patience}: context deadline exceeded'
    try:
        async with asyncio.timeout(timeout), _connection(host, port) as connection:
            late = f"timeout: health rpc did not complete within {patience}"
            status = wire.status(await connection.call(action.service, where, timeout))
    except TimeoutError as exc:
        raise NoAnswerError(late) from exc
    except wire.RpcError as exc:
        raise NoAnswerError(_worded(exc)) from exc
    if status != wire.SERVING:
        raise NoAnswerError(f'service unhealthy (responded with "{status}")')
    return "service healthy"


def _worded(error: wire.RpcError) -> str:
    if error.code == "Unimplemented":
        health = "the grpc health protocol (grpc.health.v1.Health)"
        return f"error: this server does not implement {health}: {error.message}"
    return f"error: health rpc probe failed: {error}"


@asynccontextmanager
async def _connection(host: str, port: int) -> AsyncIterator[_Connection]:
    """A connection to what has shown that it speaks HTTP/2. As grpc-go, it tries until it is cancelled."""
    connection = await _connect(host, port)
    while connection is None:
        await asyncio.sleep(RECONNECT_SECONDS)
        connection = await _connect(host, port)
    try:
        yield connection
    finally:
        await connection.close()


async def _connect(host: str, port: int) -> _Connection | None:
    try:
        connection = _Connection(*await asyncio.open_connection(host, port))
    except OSError:
        return None
    try:
        await connection.greet()
    except (OSError, EOFError, ProtocolError):
        await connection.close()
        return None
    except asyncio.CancelledError:
        await connection.close()
        raise
    return connection


class _Connection:
    """One HTTP/2 connection, for one call. What it is sent is never acknowledged: an answer about health fits into
    the window that every connection begins with.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))

    async def greet(self) -> None:
        """Exchange settings. Raises OSError, EOFError or ProtocolError where the other side is no HTTP/2 server."""
        self._http.initiate_connection()
        await self._send()
        while not any(isinstance(event, events.RemoteSettingsChanged) for event in await self._receive()):
            pass

    async def call(self, service: str, authority: str, timeout: float) -> bytes:
        """Make the call and give the body of the answer. Raises RpcError."""
        headers = {
            ":method": "POST",
            ":scheme": "http",
            ":path": wire.PATH,
            ":authority": authority,
            "content-type": "application/grpc",
            "user-agent": f"kube-probe/{KUBERNETES_VERSION}",
            "te": "trailers",
            "grpc-timeout": f"{round(timeout * 1000)}m",
        }
        stream = self._http.get_next_available_stream_id()
        try:
            self._http.send_headers(stream, list(headers.items()))
            self._http.send_data(stream, wire.request(service), end_stream=True)
            await self._send()
            return await self._answer()
        except EOFError as exc:
            raise wire.RpcError("Unavailable", "error reading from server: EOF") from exc
        except (OSError, ProtocolError) as exc:
            raise wire.RpcError("Unavailable", f"error reading from server: {exc}") from exc

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError):  # the other side may have hung up first, and harder
            await self._writer.wait_closed()

    async def _answer(self) -> bytes:
        headers: dict[str, str] = {}
        body = b""
        while True:
            for event in await self._receive():
                match event:
                    case events.ResponseReceived(headers=received) | events.TrailersReceived(headers=received):
                        headers |= {str(name): str(value) for name, value in received or ()}
                    case events.DataReceived(data=data):
                        body += data or b""
                    case events.StreamEnded():
                        wire.verify(headers)
                        return body
                    case events.StreamReset(error_code=code):
                        raise wire.reset(code.name if isinstance(code, ErrorCodes) else str(code))
                    case events.ConnectionTerminated():
                        raise wire.RpcError("Unavailable", "the server is closing the connection (GOAWAY)")

    async def _receive(self) -> Sequence[events.Event]:
        data = await self._reader.read(_READ)
        if not data:
            raise EOFError
        received = self._http.receive_data(data)
        await self._send()
        return received

    async def _send(self) -> None:
        self._writer.write(self._http.data_to_send())
        await self._writer.drain()
