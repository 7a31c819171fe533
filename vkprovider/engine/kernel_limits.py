"""What the engine's host withholds from it. Found out once, and left out of containers with a note.

An OOM score below the engine's own needs CAP_SYS_RESOURCE in the first user namespace (proc(5), oom_score_adj). Where
the engine lacks it, a container with a negative score cannot be started, nor can one that is to have that capability;
and the error does not say why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from vkprovider.engine.convert import LOWEST_OOM_SCORE
from vkprovider.engine.engine_process import process_id

CAP_SYS_RESOURCE = 24
OOM_SCORE_NOTE = (
    "negative OOM scores are set to 0: the engine's host withholds CAP_SYS_RESOURCE, "
    "so the kernel may prefer a pod's sandbox or a Guaranteed container when memory is short"
)
_WHOLE_UID_MAP = ["0", "0", "4294967295"]
_NEGATIVE_SCORE = {"OomScoreAdj": LOWEST_OOM_SCORE}
_THE_CAPABILITY = {"CapAdd": ["SYS_RESOURCE"]}


class _Rights(msgspec.Struct, frozen=True):
    """What the engine may do, and give."""

    lowers_scores: bool
    has_capability: bool


class KernelLimits:
    """``notes`` are for users: the limits found so far. ``can_start_with`` tries a container with these settings."""

    def __init__(self, socket_path: str, can_start_with: Callable[[Mapping[str, Any]], Awaitable[bool]]) -> None:
        self.notes: tuple[str, ...] = ()
        self._socket_path = socket_path
        self._try = can_start_with
        self._found: _Rights | None = None
        self._lock = asyncio.Lock()

    async def allows_negative_oom_score(self) -> bool:
        return (await self._rights()).lowers_scores

    async def withheld(self) -> tuple[str, ...]:
        """The capabilities that no container can have, without ``CAP_``."""
        return () if (await self._rights()).has_capability else ("SYS_RESOURCE",)

    async def _rights(self) -> _Rights:
        """The engine's process is looked at where it can be seen, and costs nothing; else containers are tried."""
        async with self._lock:
            if self._found is None:
                seen = await asyncio.to_thread(_rights_of, self._socket_path) if self._socket_path else None
                self._found = seen or await self._tried()
                if not self._found.lowers_scores:
                    self.notes = (OOM_SCORE_NOTE,)
            return self._found

    async def _tried(self) -> _Rights:
        lowers = await self._try(_NEGATIVE_SCORE)
        return _Rights(lowers, lowers or await self._try(_THE_CAPABILITY))


def _rights_of(socket_path: str) -> _Rights | None:
    """Those of the process that listens on the engine's socket. None if it cannot be seen.

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
    has = bool(int(capabilities, 16) >> CAP_SYS_RESOURCE & 1)
    return _Rights(in_first_namespace and has, has)
