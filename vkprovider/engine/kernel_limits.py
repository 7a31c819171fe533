"""What the engine's host withholds from it. Found out once, and left out of containers with a note.

An OOM score below the engine's own needs CAP_SYS_RESOURCE in the first user namespace (proc(5), oom_score_adj). Where
the engine lacks it, a container with a negative score cannot be started, and the error does not say why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from vkprovider.engine.engine_process import process_id

CAP_SYS_RESOURCE = 24
OOM_SCORE_NOTE = (
    "negative OOM scores are set to 0: the engine's host withholds CAP_SYS_RESOURCE, "
    "so the kernel may prefer a pod's sandbox or a Guaranteed container when memory is short"
)
_WHOLE_UID_MAP = ["0", "0", "4294967295"]


class KernelLimits:
    """``notes`` are for users: the limits found so far."""

    def __init__(self, socket_path: str, can_start_with_negative_score: Callable[[], Awaitable[bool]]) -> None:
        self.notes: tuple[str, ...] = ()
        self._socket_path = socket_path
        self._try = can_start_with_negative_score
        self._allowed: bool | None = None
        self._lock = asyncio.Lock()

    async def allows_negative_oom_score(self) -> bool:
        """The engine's process is looked at where it can be seen, and costs nothing; else a container is tried."""
        async with self._lock:
            if self._allowed is None:
                seen = await asyncio.to_thread(_engine_may, self._socket_path) if self._socket_path else None
                self._allowed = await self._try() if seen is None else seen
                if not self._allowed:
                    self.notes = (OOM_SCORE_NOTE,)
            return self._allowed


def _engine_may(socket_path: str) -> bool | None:
    """Whether the process that listens on the engine's socket has the capability. None if it cannot be seen.

    Under socket activation that is the init process, which hands its capabilities down.
    """
    try:
        pid = process_id(socket_path)
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as status:
            capabilities = next(line for line in status if line.startswith("CapEff:")).split()[1]
        with open(f"/proc/{pid}/uid_map", encoding="ascii") as uid_map:
            in_first_namespace = uid_map.read().split() == _WHOLE_UID_MAP
    except (OSError, StopIteration):
        return None
    return in_first_namespace and bool(int(capabilities, 16) >> CAP_SYS_RESOURCE & 1)
