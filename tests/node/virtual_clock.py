"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

T0 = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
PATIENCE = 10  # real seconds after which a test gives up waiting for something that should happen at once


class VirtualClock:
    def __init__(self) -> None:
        self.elapsed = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []
        self._changed = asyncio.Event()

    def now(self) -> datetime:
        return T0 + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    @property
    def sleepers(self) -> int:
        return len(self._sleepers)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return
        sleeper = (self.elapsed + seconds, asyncio.get_running_loop().create_future())
        self._sleepers.append(sleeper)
        self._changed.set()
        try:
            await sleeper[1]
        finally:
            if sleeper in self._sleepers:  # cancelled
                self._sleepers.remove(sleeper)
                self._changed.set()

    def advance(self, seconds: float) -> None:
        """Move time on, and wake whoever is due by then."""
        self.elapsed += seconds
        for sleeper in list(self._sleepers):
            due, future = sleeper
            if due <= self.elapsed:
                self._sleepers.remove(sleeper)
                future.set_result(None)

    async def settle(self, sleepers: int = 1) -> None:
        """Wait until so many are asleep."""
        async with asyncio.timeout(PATIENCE):
            while self.sleepers != sleepers:
                self._changed.clear()
                await self._changed.wait()
