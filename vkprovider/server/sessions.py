"""Work that is done for a client for as long as it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

from vkprovider.server.channels import ClientGone

LINGER_SECONDS = 1.0  # for the client to hang up first: to close on what it still sends would lose our last words
T = TypeVar("T")
log = structlog.get_logger()


class Sessions:
    """Sees each session's work to its end, whatever becomes of the request that began it."""

    def __init__(self) -> None:
        self._working: set[asyncio.Task[None]] = set()

    async def run(self, reading: Coroutine[Any, Any, None], work: Coroutine[Any, Any, None]) -> None:
        """Read what the client sends, and do the work until it is done, or the client is gone."""
        loop = asyncio.get_running_loop()
        reader, worker = loop.create_task(reading), loop.create_task(work)
        self._working.add(worker)
        worker.add_done_callback(self._ended)
        try:
            await asyncio.wait((reader, worker), return_when=asyncio.FIRST_COMPLETED)
            worker.cancel()
            await asyncio.wait((worker,))
            await asyncio.wait((reader,), timeout=LINGER_SECONDS)
        finally:
            worker.cancel()
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def close(self) -> None:
        """Give up all work, and wait until that is done."""
        for worker in self._working:
            worker.cancel()
        while self._working:
            await asyncio.wait(self._working)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        self._working.discard(worker)
        error = None if worker.cancelled() else worker.exception()
        if isinstance(error, BaseExceptionGroup):
            error = error.split(ClientGone)[1]
        if error is not None and not isinstance(error, ClientGone):
            log.error("a session failed", exc_info=error)


async def unless(dropped: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work. Raises ClientGone, once the work is given up, if the client drops it meanwhile."""
    loop = asyncio.get_running_loop()
    worker, waiter = loop.create_task(work), loop.create_task(dropped.wait())
    try:
        await asyncio.wait((worker, waiter), return_when=asyncio.FIRST_COMPLETED)
        if not worker.done():
            raise ClientGone("the client has dropped the stream")
        return worker.result()
    finally:
        waiter.cancel()
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
