"""Another look at what somebody refused, in a while: nobody tells when it would be refused no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

RETRY_SECONDS = 30.0


class Retry:
    """``again`` is called once, that long after the last ``put_off``: however much is refused, there is one timer."""

    def __init__(self, again: Callable[[], None]) -> None:
        self._again = again
        self._timer: asyncio.TimerHandle | None = None

    def put_off(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._again)
