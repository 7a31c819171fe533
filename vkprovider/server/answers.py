"""Answers that cost a request each, kept for their time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from vkprovider.ports import Clock

MOST = 8192  # answers kept (apiserver, plugin/pkg/authorizer/webhook)
AT_ONCE = 8  # questions on their way: strangers may ask many, and the node needs its connections for itself
V = TypeVar("V")


class Answers(Generic[V]):
    """``seconds`` says for how long an answer holds; 0 for one that is not kept. A failure never is."""

    def __init__(self, clock: Clock, seconds: Callable[[V], float]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._kept: dict[Hashable, tuple[float, V]] = {}
        self._asked: dict[Hashable, _Asked[V]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[V]]) -> V:
        """The answer that is kept, or the one that is waited for already, or a new one. Raises what asking does."""
        until, answer = self._kept.get(key, (0.0, None))
        if answer is not None and self._clock.monotonic() < until:
            return answer
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = _Asked(asyncio.get_running_loop().create_task(self._ask(key, ask)))
        asked.waiting += 1
        try:
            return await asyncio.shield(asked.task)
        finally:
            asked.waiting -= 1
            if not asked.waiting:  # what nobody waits for any more is not asked
                del self._asked[key]
                asked.task.cancel()

    async def _ask(self, key: Hashable, ask: Callable[[], Awaitable[V]]) -> V:
        async with self._turns:
            answer = await ask()
        self._kept.pop(key, None)
        if (seconds := self._seconds(answer)) > 0:
            self._kept[key] = (self._clock.monotonic() + seconds, answer)
            if len(self._kept) > MOST:
                del self._kept[next(iter(self._kept))]
        return answer


class _Asked(Generic[V]):
    """A question on its way, and how many wait for the answer."""

    def __init__(self, task: asyncio.Task[V]) -> None:
        self.task = task
        self.waiting = 0
