"""Checkpoints that outlast their pods until the API server knows how they ended."""

from __future__ import annotations

import asyncio

from vkprovider.core.record import PodRecord
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodUID
from vkprovider.ports import Checkpoint


class LastingCheckpoint:
    """A ``Checkpoint`` whose ``delete`` does nothing: ``forget`` does it, when the last status has been written.

    A worker is through with its pod as soon as nothing is left of it here. With the API server out of reach its last
    status may be written an hour later, by another process: that one must still find it.
    """

    def __init__(self, kept: Checkpoint) -> None:
        self._kept = kept

    def save(self, uid: PodUID, record: PodRecord, pod: Pod) -> None:
        self._kept.save(uid, record, pod)

    def delete(self, uid: PodUID) -> None:
        """Not yet."""

    async def forget(self, uid: PodUID) -> None:
        await asyncio.to_thread(self._kept.delete, uid)
