"""What volumes showed before: removed while containers see what they show now."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable

import structlog

from vkprovider.model.refs import PodUID

log = structlog.get_logger()


class FormerFiles:
    """Those of all pods. What is not removed, for a crash comes between, is begun with again at the next write."""

    def __init__(self) -> None:
        self._removals: dict[PodUID, asyncio.Task[None]] = {}

    def remove(self, uid: PodUID, paths: Iterable[str]) -> None:
        """Begin to remove these directories, after all that was begun before for the pod: some may be the same."""
        removal = _remove(paths, self._removals.get(uid))
        self._removals[uid] = asyncio.create_task(removal, name=f"removal of former files of pod {uid}")

    async def removed(self, uid: PodUID) -> None:
        """Wait for all that was begun for a pod."""
        removal = self._removals.pop(uid, None)
        if removal is not None:
            await removal


async def _remove(paths: Iterable[str], earlier: asyncio.Task[None] | None) -> None:
    if earlier is not None:
        await earlier
    for path in paths:
        try:
            await asyncio.to_thread(shutil.rmtree, path)
        except FileNotFoundError:
            continue
        except OSError as exc:
            log.warning("former files of a volume are left until it is written again", path=path, error=str(exc))
