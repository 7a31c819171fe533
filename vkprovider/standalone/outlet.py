"""One thread that does all writing to the user, so that an output nobody reads never holds up a pod.

A terminal stopped with Ctrl-S, a pager that waits for a key, a full pipe: each makes ``write`` block for as long as it
likes. The event loop, which has TERM and KILL to send on time, therefore only puts things into a queue. The queue is
not bounded, as what happens to pods is little; those who have much to say (followed logs) await ``room`` first, which
leaves the rest of the output where it is, with the engine.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

MOST_WAITING = 1000  # items in the queue beyond which ``room`` waits


class _Signal(Enum):
    LOOK = 0  # nothing to write, but something may look different now
    END = 1


class Writer(Protocol[T_contra]):
    """What an outlet's thread calls."""

    def write(self, batch: Sequence[T_contra]) -> None: ...

    def close(self) -> None:
        """Called last, unless ``write`` has raised."""
        ...

    def lost(self, exc: Exception) -> None:
        """Told once what ``write`` or ``close`` raised. Must not raise."""
        ...


class Outlet(Generic[T]):
    """Hands batches of items, in order, to a writer on a thread of its own.

    Without items the writer is called when ``poke`` was, and every ``tick`` seconds if that is not None. Between two
    calls pass at least ``period`` seconds. Once it has raised, everything that follows is dropped.
    """

    def __init__(self, writer: Writer[T], *, period: float = 0.0, tick: float | None = None) -> None:
        self._writer = writer
        self._period = period
        self._tick = tick
        self._queue: queue.SimpleQueue[T | _Signal] = queue.SimpleQueue()
        self._poked = False
        self._ending = threading.Event()
        self._lost = False
        self._ended = False
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._thread = threading.Thread(target=self._run, name="display", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Have an item written. Never blocks."""
        self._queue.put(item)

    def poke(self) -> None:
        """Have ``write`` called soon even if there is no item. Never blocks."""
        if not self._poked:
            self._poked = True
            self._queue.put(_Signal.LOOK)

    async def room(self) -> None:
        """Return when the queue is short enough for more."""
        if self._queue.qsize() >= MOST_WAITING:
            await self._until(lambda: self._ended or self._queue.qsize() < MOST_WAITING)

    async def aclose(self) -> None:
        """Write what is left, for as long as the reader takes; then the thread has ended."""
        self._ending.set()
        self._queue.put(_Signal.END)
        await self._until(lambda: self._ended)

    async def _until(self, reached: Callable[[], bool]) -> None:
        """Wait for something the thread brings about. Asked anew after each write, and once the waiter is in place."""
        while not reached():
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            if not reached():
                await waiter

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.get_loop().call_soon_threadsafe(_settle, waiter)

    def _run(self) -> None:
        end = False
        while not end:
            batch, end = self._next()
            self._attempt(partial(self._writer.write, batch))
            self._wake()
            self._ending.wait(self._period)
        self._attempt(self._writer.close)
        self._ended = True
        self._wake()

    def _attempt(self, act: Callable[[], None]) -> None:
        if self._lost:
            return
        try:
            act()
        except Exception as exc:
            self._lost = True
            self._writer.lost(exc)

    def _next(self) -> tuple[list[T], bool]:
        """All items there are, waiting for the first; and whether the end has come."""
        batch: list[T] = []
        try:
            item = self._queue.get(timeout=self._tick)
            self._poked = False
            while item is not _Signal.END:
                if not isinstance(item, _Signal):
                    batch.append(item)
                item = self._queue.get_nowait()
        except queue.Empty:
            return batch, False
        return batch, True


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
