"""A container's output as the engine tells it, into a pod's log file: where the engine's own files cannot be read.

It takes more work than to copy these, and what the engine throws away before it has told it is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, closing
from datetime import datetime

from vkprovider.engine.log_file import LogFile, ahead
from vkprovider.engine.seen_through import seen_through
from vkprovider.model.engine import LogLine, LogTarget
from vkprovider.wire.pod_log import CriFormat, Entry, Written, last_words

MOST = 4096  # entries that wait to be written; then who says more has to wait
Said = Callable[[datetime | None], AsyncIterator[LogLine]]
"""What a container says from some time on, to its end."""


async def relay(said: Said, target: LogTarget) -> None:
    """Raises OSError, and what ``said`` does."""
    waiting: asyncio.Queue[Entry | None] = asyncio.Queue(MOST)
    tail = await asyncio.to_thread(_tail, target)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_write(waiting, target))
            await _listen(said, Written(tail), waiting)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def _listen(said: Said, written: Written, waiting: asyncio.Queue[Entry | None]) -> None:
    async with aclosing(said(written.since)) as lines:  # type: ignore[type-var]
        async for line in lines:
            stamp = line.stamp
            if not written.has(line.stream, line.time, stamp[-10:-1]):
                await waiting.put(Entry(line.data.decode(errors="replace"), line.stream, stamp))
    await waiting.put(None)


async def _write(waiting: asyncio.Queue[Entry | None], target: LogTarget) -> None:
    """Write what waits, all of it at a time. Who gives it up waits for what is being written."""
    style, ended = CriFormat(ahead), False
    while not ended:
        batch = [await waiting.get()]
        while not waiting.empty():
            batch.append(waiting.get_nowait())
        ended = batch[-1] is None
        entries = [entry for entry in batch if entry is not None]
        await seen_through(asyncio.to_thread(_append, target, style, entries, ended=ended))


def _append(target: LogTarget, style: CriFormat, entries: Sequence[Entry], *, ended: bool) -> None:
    with closing(LogFile(target.path, target.limits)) as file:
        file.append(style.format(entries))
        if ended:
            file.append(last_words(file.tail()))
        file.rotate()


def _tail(target: LogTarget) -> bytes:
    with closing(LogFile(target.path, target.limits)) as file:
        return file.tail()
