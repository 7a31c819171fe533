"""Between a client's channels and the streams of a process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from vkprovider.errors import EngineError
from vkprovider.model.refs import ContainerID
from vkprovider.ports import ContainerEngine, ExecStreams, ProcessStreams
from vkprovider.server.channels import Channel, ClientGone, CommandChannels
from vkprovider.server.sessions import unless
from vkprovider.wire.outcome import Outcome
from vkprovider.wire.resizes import ResizeReader

MOST_COMPLAINT = 4096  # bytes of what a failed connection says


async def execute(opened: AbstractAsyncContextManager[ExecStreams], client: CommandChannels) -> Outcome:
    """Relay a command to its end. Raises ClientGone."""
    try:
        async with opened as streams:
            await _relay(streams, client)
            return Outcome(await streams.exit_code())
    except EngineError as exc:
        return Outcome(None, f"error executing command in container: {exc}")


async def attach(opened: AbstractAsyncContextManager[ProcessStreams], client: CommandChannels) -> Outcome:
    """Relay to the end of the container. Its exit code is told by the pod's status. Raises ClientGone."""
    try:
        async with opened as streams:
            await _relay(streams, client)
            return Outcome()
    except EngineError as exc:
        return Outcome(None, f"error attaching to container: {exc}")


async def forward(engine: ContainerEngine, sandbox_id: ContainerID, port: int, data: Channel, error: Channel) -> None:
    """Relay a connection to a port of the pod, and say so where that fails."""
    try:
        complaint = await unless(data.dropped, _connect(engine, sandbox_id, port, data))
        if complaint:
            await error.write(f"error forwarding port {port} to pod {sandbox_id}, uid : {complaint}".encode())
    except ClientGone:
        pass
    data.inbox.abandon()
    await data.end()
    await error.end()


async def _connect(engine: ContainerEngine, sandbox_id: ContainerID, port: int, data: Channel) -> str:
    """What went wrong, "" if nothing did."""
    complaint = b""
    try:
        async with engine.open_port(sandbox_id, port) as streams, _feeding(streams, data, None):
            async for output in streams.output():
                if output.stream == "stdout":
                    await data.write(output.data)
                else:
                    complaint += output.data[: MOST_COMPLAINT - len(complaint)]
    except EngineError as exc:
        return str(exc)
    if not complaint:
        return ""
    reason = complaint.decode(errors="replace").strip().rpartition(": ")[2]
    return f"failed to connect to localhost:{port} inside the pod's network namespace: {reason}"


async def _relay(streams: ProcessStreams, client: CommandChannels) -> None:
    async with _feeding(streams, client.stdin, client.resize):
        async for output in streams.output():
            channel = client.stderr if output.stream == "stderr" else client.stdout
            if channel is not None:
                await channel.write(output.data)


@asynccontextmanager
async def _feeding(streams: ProcessStreams, stdin: Channel | None, resize: Channel | None) -> AsyncIterator[None]:
    """Pass the client's side on meanwhile. What fails there fails here."""
    try:
        async with asyncio.TaskGroup() as group:
            feeders = []
            if stdin is not None:
                feeders.append(group.create_task(_feed(streams, stdin)))
            if resize is not None:
                feeders.append(group.create_task(_resize(streams, resize)))
            yield
            for feeder in feeders:
                feeder.cancel()
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def _feed(streams: ProcessStreams, stdin: Channel) -> None:
    while data := await stdin.inbox.get():
        await streams.write(data)
    await streams.end_input()


async def _resize(streams: ProcessStreams, resize: Channel) -> None:
    reader = ResizeReader()
    while data := await resize.inbox.get():
        for size in reader.feed(data)[-1:]:  # of several only the last matters
            await streams.resize(size.width, size.height)
