"""A gRPC server of health alone, real down to HTTP/2, on a free port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection

from tests.node.servers import HOST

SERVING, NOT_SERVING, SERVICE_UNKNOWN = b"\x08\x01", b"\x08\x02", b"\x08\x03"


@dataclass(frozen=True)
class Answer:
    """What a call is answered with; no message and a status other than 0 is a refusal. ``reset`` ends the stream so.

    ``silent`` answers nothing at all.
    """

    message: bytes | None = None
    trailers: Mapping[str, str] = field(default_factory=lambda: {"grpc-status": "0"})
    status: str = "200"
    reset: int | None = None
    silent: bool = False
    hang_up: bool = False


@dataclass
class Heard:
    """What a server was asked."""

    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def grpc_server(
    answer: Callable[[], Answer], heard: Heard | None = None, host: str = HOST, port: int = 0
) -> AsyncIterator[int]:
    """Answers each call as ``answer`` says; gives its port, a free one if none is asked for."""
    serving: set[asyncio.Task[None] | None] = set()
    heard = heard or Heard()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            await _serve(reader, writer, answer, heard)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, host, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in serving:
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in serving if task is not None), return_exceptions=True)
        await server.wait_closed()


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Callable[[], Answer], heard: Heard
) -> None:
    http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    http.initiate_connection()
    writer.write(http.data_to_send())
    while data := await reader.read(65536):
        if not all([_take(http, event, answer, heard) for event in http.receive_data(data)]):
            return
        writer.write(http.data_to_send())


def _take(http: H2Connection, event: events.Event, answer: Callable[[], Answer], heard: Heard) -> bool:
    """Answer where a request has ended; False to hang up."""
    if isinstance(event, events.RequestReceived):
        heard.headers.append({str(name): str(value) for name, value in event.headers or ()})
    elif isinstance(event, events.DataReceived):
        heard.bodies.append(event.data or b"")
    elif isinstance(event, events.StreamEnded):
        return _reply(http, event.stream_id or 0, answer())
    return True


def _reply(http: H2Connection, stream: int, reply: Answer) -> bool:
    if reply.hang_up:
        return False
    if reply.silent:
        return True
    if reply.reset is not None:
        http.reset_stream(stream, reply.reset)
        return True
    headers = {":status": reply.status, "content-type": "application/grpc"}
    if reply.message is None:
        http.send_headers(stream, [*(headers | dict(reply.trailers)).items()], end_stream=True)
        return True
    http.send_headers(stream, [*headers.items()])
    http.send_data(stream, b"\0" + len(reply.message).to_bytes(4) + reply.message)
    http.send_headers(stream, [*reply.trailers.items()], end_stream=True)
    return True
