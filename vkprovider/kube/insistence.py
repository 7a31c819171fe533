"""Trying until it works: what a node cannot do without may fail for hours, and must not end the process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from vkprovider.errors import ApiError, VkError
from vkprovider.ports import WaitingClock

SHORTEST_PAUSE = 0.1  # seconds, doubled from try to try (pkg/kubelet/kubelet_node_status.go)
LONGEST_PAUSE = 7.0

log = structlog.get_logger()


class Insistence:
    """Takes a step again and again until it succeeds, and logs each new reason why it does not.

    ``goal`` completes the sentence "cannot ...".
    """

    def __init__(self, clock: WaitingClock, goal: str) -> None:
        self._clock = clock
        self._goal = goal

    async def on(self, step: Callable[[], Awaitable[None]]) -> None:
        """Returns when ``step`` has returned; what it raises other than VkError is raised."""
        pause, complaint = SHORTEST_PAUSE, ""
        while True:
            try:
                await step()
            except VkError as exc:
                if str(exc) != complaint:
                    complaint = str(exc)
                    log.warning(f"cannot {self._goal}, and keeps trying", error=complaint)
                asked_for = exc.retry_after if isinstance(exc, ApiError) else 0
                await self._clock.sleep(max(pause, asked_for))
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                if complaint:
                    log.warning(f"can {self._goal} again")
                return
