"""The statuses of SidecarSets, where no OpenKruise writes them: how many pods they have, and how those stand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial

import structlog

from vkprovider.errors import ApiNotFound, SpecError
from vkprovider.kube.admission_state import SIDECAR_SETS
from vkprovider.kube.backoff import BackOff
from vkprovider.kube.client import MERGE, ApiClient, Json
from vkprovider.kube.insistence import insist
from vkprovider.kube.object_index import ObjectIndex
from vkprovider.kube.reflector import Update
from vkprovider.ports import WaitingClock
from vkprovider.sidecarset.counts import countable, counted
from vkprovider.sidecarset.model import SidecarSet

PAUSE_SECONDS = 1.0  # between writes: pods come and go in crowds
LabelsOf = Callable[[str], Mapping[str, str]]

log = structlog.get_logger()


class SetStatuses:
    """Let it ``follow`` the virtual nodes' pods, and ``run`` it."""

    def __init__(self, api: ApiClient, clock: WaitingClock) -> None:
        self._api = api
        self._clock = clock
        self._again = asyncio.Event()
        self._pods: ObjectIndex[Json] = ObjectIndex(countable, self.look_again)

    def look_again(self) -> None:
        """A set has changed, or a pod."""
        self._again.set()

    async def follow(self, updates: AsyncIterator[Update]) -> None:
        """Take in the updates of the virtual nodes' pods."""
        await self._pods.run(updates)

    async def run(self, sets: Callable[[], tuple[SidecarSet, ...]], labels_of: LabelsOf) -> None:
        """Write what has changed, for ever; nothing before the pods are known. ``sets`` gives those that are ours now,
        ``labels_of`` the labels of a namespace.
        """
        await self._pods.listed.wait()
        backoff = BackOff("statuses of SidecarSets", self._clock)
        while True:
            await self._again.wait()
            self._again.clear()
            for each in sets():
                await insist(partial(self._write, each, labels_of), backoff)
            await self._clock.sleep(PAUSE_SECONDS)

    async def _write(self, sidecars: SidecarSet, labels_of: LabelsOf) -> None:
        pods = ((pod, labels_of(pod["metadata"]["namespace"])) for pod in self._pods.all())
        try:
            wanted = counted(sidecars, pods)
        except SpecError as exc:
            log.warning("the pods of a SidecarSet cannot be counted", error=str(exc))
            return
        generation = sidecars.raw["metadata"].get("generation", 0)
        wanted |= {"observedGeneration": generation}
        status = sidecars.raw.get("status") or {}
        if all(status.get(key) == value for key, value in wanted.items()):
            return
        try:
            await self._api.patch(SIDECAR_SETS.at(name=sidecars.name, subresource="status"), {"status": wanted}, MERGE)
        except ApiNotFound:  # it has gone meanwhile
            return
