"""What a container says, now and then: its log, and its streams while it runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import datetime
from functools import partial

from vkprovider.engine.attached import AttachedStreams
from vkprovider.engine.log_lines import FramedLog, TerminalLog
from vkprovider.engine.log_tails import LogTails
from vkprovider.engine.streaming import Streaming
from vkprovider.engine.unary import Unary
from vkprovider.errors import EngineNotFound
from vkprovider.model.engine import LogLine
from vkprovider.model.refs import ContainerID


async def ended(streaming: Streaming, container_id: ContainerID) -> None:
    """Wait until a container that was started runs no more, or is gone."""
    with suppress(EngineNotFound):
        async with streaming.open("POST", f"/containers/{container_id}/wait") as answer:
            await answer.read()


async def followed(
    unary: Unary,
    streaming: Streaming,
    tails: LogTails,
    container_id: ContainerID,
    *,
    tail: int | None = None,
    since: datetime | None = None,
) -> AsyncGenerator[LogLine]:
    """The output recorded so far and what comes until the container ends, from the engine's files where that can be."""
    inspected = await unary.call("GET", f"/containers/{container_id}/json")
    path = inspected.get("LogPath") or ""  # none of a container that was never started
    lines = tails.follow(path, partial(ended, streaming, container_id), tail, since)
    try:
        async with aclosing(lines):
            async for line in lines:
                yield line
    except OSError:
        async with aclosing(logs(unary, streaming, container_id, follow=True, tail=tail, since=since)) as told:
            async for line in told:
                yield line


async def logs(
    unary: Unary,
    streaming: Streaming,
    container_id: ContainerID,
    *,
    follow: bool = False,
    tail: int | None = None,
    since: datetime | None = None,
) -> AsyncGenerator[LogLine]:
    """The output recorded so far, and with ``follow`` what comes until the container ends."""
    inspected = await unary.call("GET", f"/containers/{container_id}/json")
    log = TerminalLog() if inspected["Config"]["Tty"] else FramedLog()
    params: dict[str, str | int] = {
        "stdout": 1,
        "stderr": 1,
        "timestamps": 1,
        "follow": int(follow),
        "tail": "all" if tail is None else tail,
    }
    if since is not None:
        params["since"] = f"{int(since.timestamp())}.{since.microsecond:06}"
    async with streaming.open("GET", f"/containers/{container_id}/logs", params=params) as content:
        async for chunk in content.iter_any():
            for line in log.feed(chunk):
                yield line
        for line in log.finish():
            yield line


@asynccontextmanager
async def attach(
    unary: Unary, streaming: Streaming, container_id: ContainerID, *, stdin: bool = False
) -> AsyncIterator[AttachedStreams]:
    """The streams of a container's first process, from now on."""
    inspected = await unary.call("GET", f"/containers/{container_id}/json")

    async def resize(width: int, height: int) -> None:
        await unary.call("POST", f"/containers/{container_id}/resize", params={"w": width, "h": height})

    params = {"stream": 1, "stdout": 1, "stderr": 1, "stdin": int(stdin)}
    async with streaming.hijack(f"/containers/{container_id}/attach", params=params) as connection:
        config = inspected["Config"]
        yield AttachedStreams(connection, tty=config["Tty"], resize=resize, shared_input=not config["StdinOnce"])
