"""The only real clock. Everything else is handed one, so that tests run in virtual time."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime


class SystemClock:
    """The host's clock and the event loop's timer."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251  the one place that may

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never set back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
