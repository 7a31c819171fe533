"""Trying again: at once at first, ever more slowly while it is of no use, and saying why only once."""

from __future__ import annotations

import hashlib

import structlog

from vkprovider.errors import ApiError, VkError
from vkprovider.ports import WaitingClock

FIRST_SECONDS, LONGEST_SECONDS = 0.1, 10.0
PATIENT_SECONDS = 120.0  # the longest, where somebody has to do something first (a kubelet, of volumes: 2m2s)

log = structlog.get_logger()


class BackOff:
    """The attempts at one thing. ``what`` is how the log calls it."""

    def __init__(self, what: str, clock: WaitingClock, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._what = what
        self._clock = clock
        self._longest = longest_seconds
        self._failures = 0
        self._said = ""

    async def failed(self, exc: VkError) -> None:
        """Wait before the next attempt. The same complaint is not said twice in a row."""
        if str(exc) != self._said:
            self._said = str(exc)
            reason = exc.status_reason if isinstance(exc, ApiError) else ""
            log.warning(f"{self._what}: trying again", error=self._said, reason=reason or exc.reason)
        await self.pause(exc.retry_after if isinstance(exc, ApiError) else 0)

    async def pause(self, least_seconds: float = 0) -> None:
        """Wait as after a failure that nobody needs to hear of."""
        self._failures += 1
        await self._clock.sleep(max(least_seconds, delay(self._what, self._failures, self._longest)))

    def succeeded(self) -> None:
        """The next failure is a first one again."""
        if self._said:
            log.info(f"{self._what}: it works again", attempts=self._failures)
        self._failures, self._said = 0, ""


def delay(what: str, failures: int, longest_seconds: float = LONGEST_SECONDS) -> float:
    """Seconds to wait after so many failures in a row: doubling, and spread by a digest so that nobody is in step."""
    full = min(FIRST_SECONDS * float(2 ** min(failures - 1, 20)), longest_seconds)
    return full * (0.75 + 0.25 * share(f"{what} {failures}"))


def share(text: str) -> float:
    """A number from 0 to 1 that is the same for the same text in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest()) / 0xFFFFFFFF
