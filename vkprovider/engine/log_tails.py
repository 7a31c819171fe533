"""Following logs in the engine's own files. Over a rotation the engine's API loses lines, and tells others twice
(moby 20.10, daemon/logger/loggerutils/follow.go): it may be half way through a file when that is renamed.

All who follow share one thread, and that for no longer than a look at their files takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import suppress
from datetime import UTC, datetime

from vkprovider.engine.json_log import JsonLog
from vkprovider.errors import EngineError
from vkprovider.model.engine import LogLine
from vkprovider.wire.pod_log import json_entries

CHUNK = 64 * 1024  # bytes read at a time: others want the event loop too
PAUSES = (0.02, 0.05, 0.1, 0.2)  # seconds between two looks, the longer the less there is to be seen
_FRACTION = len("2006-01-02T15:04:05.")


class LogTails:
    """Reads logs on behalf of many, one after the other."""

    def __init__(self) -> None:
        self._asked: list[tuple[JsonLog, asyncio.Future[bytes]]] = []
        self._left: list[JsonLog] = []
        self._work: asyncio.Task[None] | None = None

    async def follow(
        self, path: str, ended: Callable[[], Coroutine[None, None, None]], tail: int | None, since: datetime | None
    ) -> AsyncGenerator[LogLine]:
        """What is in the files at ``path``, and what comes until the container has ``ended`` and all is told.

        Raises OSError at once where they cannot be read, and what ``ended`` does.
        """
        log = await asyncio.to_thread(_opened, path, tail, since)
        end, quiet = asyncio.create_task(ended()), 0
        try:
            while True:
                over = end.done()
                data = await self._read(log)
                for line in _lines(data):
                    if since is None or line.time >= since:
                        yield line
                if data:
                    quiet = 0
                    continue
                if over:
                    end.result()
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(end), PAUSES[min(quiet, len(PAUSES) - 1)])
                quiet += 1
        finally:
            end.cancel()
            self._left.append(log)
            self._begin()

    async def _read(self, log: JsonLog) -> bytes:
        asked: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked.append((log, asked))
        self._begin()
        return await asked

    def _begin(self) -> None:
        if self._work is None or self._work.done():
            self._work = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        while self._asked or self._left:
            asked, self._asked = self._asked, []
            left, self._left = self._left, []
            results = await asyncio.to_thread(_read_all, [log for log, _ in asked], left)
            for (_, future), result in zip(asked, results, strict=True):
                if future.done():  # nobody waits any more
                    continue
                if isinstance(result, OSError):
                    future.set_exception(EngineError(f"the engine's file cannot be read: {result}"))
                else:
                    future.set_result(result)


def _opened(path: str, tail: int | None, since: datetime | None) -> JsonLog:
    log = JsonLog(path)
    if tail is not None:
        log.go_to_last(tail)
    if since is not None:
        log.skip_files_before(since.timestamp())
    return log


def _read_all(logs: list[JsonLog], left: list[JsonLog]) -> list[bytes | OSError]:
    for log in left:
        log.close()
    return [_read(log) for log in logs]


def _read(log: JsonLog) -> bytes | OSError:
    try:
        log.look()
        return log.read(CHUNK)
    except OSError as exc:
        return exc


def _lines(data: bytes) -> Iterator[LogLine]:
    for entry in json_entries(data):
        time = datetime.fromisoformat(entry.time).astimezone(UTC)
        nanoseconds = int(entry.time[_FRACTION:-1].ljust(9, "0")[6:])
        yield LogLine(time=time, stream=entry.stream, data=entry.log.encode(), nanoseconds=nanoseconds)
