"""A clock on which every wait is over at once, and remembered."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

T0 = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


class QuickClock:
    def __init__(self) -> None:
        self.elapsed = 0.0
        self.waits: list[float] = []
        self._moved = asyncio.Event()

    def now(self) -> datetime:
        return T0 + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.elapsed += seconds
        self._moved.set()
        await asyncio.sleep(0)

    async def until(self, elapsed: float) -> None:
        """Wait until so much time has been waited for."""
        async with asyncio.timeout(10):
            while self.elapsed < elapsed:
                self._moved.clear()
                await self._moved.wait()
