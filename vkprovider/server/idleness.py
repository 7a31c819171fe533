"""How long a session may be silent."""

from __future__ import annotations

import asyncio

IDLE_SECONDS = 4 * 3600.0  # as a kubelet's streamingConnectionIdleTimeout


class Idleness:
    """A limit that everything which comes or goes puts off."""

    def __init__(self, seconds: float = IDLE_SECONDS) -> None:
        self._seconds = seconds
        self._timeout: asyncio.Timeout | None = None

    def limited(self) -> asyncio.Timeout:
        """To be entered; raises TimeoutError there once nothing has happened for so long."""
        self._timeout = asyncio.timeout(self._seconds)
        return self._timeout

    def interrupt(self) -> None:
        """Something happened."""
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._seconds)
