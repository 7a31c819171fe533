"""An event loop whose time is a number: whole minutes of timers pass in no time, in the order in which they are due.

As long as anything can run, or a thread works for the loop, time stands still. When nothing can, it jumps to the next
timer. ``asyncio.sleep``, ``asyncio.timeout`` and every wait of vkprovider itself are then as exact as arithmetic, and a
deadline that is missed is missed at once.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar

RESTLESS = 100_000  # turns of the loop in one moment after which it will never come to rest
T0 = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
P = ParamSpec("P")
T = TypeVar("T")


class _Jumping(selectors.DefaultSelector):
    """Instead of waiting for a timer it moves time on; only threads are really waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed = 0.0
        self.threads = 0
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._turns += 1
        if self._turns > RESTLESS:
            self._turns = 0
            raise AssertionError("time stands still: something is done again and again")
        if timeout is None or (timeout > 0 and self.threads):
            return super().select(None)
        found = super().select(0)
        if timeout and not found:
            self.elapsed += timeout
            self._turns = 0
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        self._pool = ThreadPoolExecutor(4)
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.elapsed

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """As every loop does, but a thread counts until it has ended, even if nobody waits for it any more."""
        self._jumping.threads += 1
        work = (executor or self._pool).submit(func, *args)
        future = asyncio.wrap_future(work, loop=self)
        work.add_done_callback(lambda _: self.call_soon_threadsafe(self._thread_is_done))  # and not before the future
        return future

    def close(self) -> None:
        self._pool.shutdown()
        super().close()

    def _thread_is_done(self) -> None:
        self._jumping.threads -= 1


async def threads_have_ended() -> None:
    """Until no thread works for the running virtual loop: then its time goes on, by next to nothing."""
    await asyncio.sleep(1e-8)


class LoopClock:
    """The time of the running loop, which began at T0, in microseconds."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def now(self) -> datetime:
        return T0 + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        return round(self._loop.time(), 6)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run_in_virtual_time(story: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a virtual loop of its own, from T0 on."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(story)


def virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an asynchronous test in virtual time."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        run_in_virtual_time(test(*args, **kwargs))

    return run
