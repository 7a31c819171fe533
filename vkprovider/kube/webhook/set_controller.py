"""The controller of SidecarSets, where no OpenKruise is: their statuses and revisions, and new images for pods with
old ones.

Several may be at work, one in each webhook: all plan the same, and of two writes to a pod the API server refuses one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from functools import partial

import structlog

from vkprovider.core.actions import PodEvent
from vkprovider.errors import ApiConflict, ApiForbidden, ApiInvalid, ApiNotFound, SpecError
from vkprovider.kube.backoff import BackOff
from vkprovider.kube.client import MERGE, STRATEGIC_MERGE, ApiClient, Json
from vkprovider.kube.event_recorder import EventRecorder
from vkprovider.kube.insistence import insist
from vkprovider.kube.object_index import ObjectIndex
from vkprovider.kube.reflector import Changed, Update
from vkprovider.kube.resources import PODS, SIDECAR_SETS
from vkprovider.kube.webhook.retry import Retry
from vkprovider.kube.webhook.set_revisions import SetRevisions
from vkprovider.ports import WaitingClock
from vkprovider.sidecarset.images import RESET, Change
from vkprovider.sidecarset.injected import kept, revisions_of
from vkprovider.sidecarset.model import SidecarSet, with_status
from vkprovider.sidecarset.rollout import Refusal, plan

PAUSE_SECONDS = 1.0  # between looks: pods come and go in crowds
COMPONENT = "sidecarset-controller"
LabelsOf = Callable[[str], Mapping[str, str]]

log = structlog.get_logger()


class SetController:
    """Let it ``follow`` the virtual nodes' pods, and ``run`` it, the events and the ``revisions``, which are kept in
    ``namespace``.
    """

    def __init__(self, api: ApiClient, namespace: str, clock: WaitingClock) -> None:
        self._api = api
        self.revisions = SetRevisions(api, namespace, clock, self.look_again)
        self._clock = clock
        self._again = asyncio.Event()
        self._retry = Retry(self.look_again)
        self._pods: ObjectIndex[Json] = ObjectIndex(kept, self.look_again)
        self.events = EventRecorder(api, clock, component=COMPONENT)

    def look_again(self) -> None:
        """A set has changed, a pod, or a revision."""
        self._again.set()

    async def follow(self, updates: AsyncIterator[Update]) -> None:
        """Take in the updates of the virtual nodes' pods."""
        await self._pods.run(updates)

    async def run(self, sets: Callable[[], tuple[SidecarSet, ...]], labels_of: LabelsOf) -> None:
        """Write what has changed, for ever; nothing before the pods are known. ``sets`` gives those that are ours now,
        ``labels_of`` the labels of a namespace.
        """
        await self._pods.listed.wait()
        backoff = BackOff("SidecarSets", self._clock)
        while True:
            await self._again.wait()
            self._again.clear()
            for each in sets():
                await insist(partial(self._settle, each, labels_of), backoff)
            await self._clock.sleep(PAUSE_SECONDS)

    async def _settle(self, sidecars: SidecarSet, labels_of: LabelsOf) -> None:
        pods = [(pod, labels_of(pod["metadata"]["namespace"])) for pod in self._pods.all()]
        try:
            revisions = await self.revisions.keep(sidecars, revisions_of(sidecars, pods))
            found = plan(with_status(sidecars, revisions), pods, self._clock.now())
        except SpecError as exc:
            log.warning("a SidecarSet cannot be rolled out", error=str(exc))
            return
        await self._write(sidecars, found.status | revisions)
        for change in found.changes:
            await self._change(change)
        for refusal in found.refusals:
            await self._refuse(refusal)

    async def _write(self, sidecars: SidecarSet, told: Mapping[str, int | str]) -> None:
        wanted = {**told, "observedGeneration": sidecars.raw["metadata"].get("generation", 0)}
        status = sidecars.raw.get("status") or {}
        if all(status.get(key) == value for key, value in wanted.items()):
            return
        version = str(sidecars.raw.get("apiVersion", "")).partition("/")[2] or SIDECAR_SETS.version  # as it was read
        place = SIDECAR_SETS._replace(version=version).at(name=sidecars.name, subresource="status")
        with suppress(ApiNotFound):  # it has gone meanwhile
            await self._api.patch(place, {"status": wanted}, MERGE)

    async def _change(self, change: Change) -> None:
        if not await self._patch(change.pod, change.patch()):
            return
        meta = change.pod["metadata"]
        log.info("a sidecar gets another image", namespace=meta["namespace"], pod=meta["name"], images=change.images)
        if change.reason == RESET:
            said = PodEvent(type="Normal", reason=RESET, message="reset sidecar container image empty successfully")
            reference = {key: meta[key] for key in ("namespace", "name", "uid", "resourceVersion")}
            self.events.note({"kind": "Pod", "apiVersion": "v1", **reference}, said, self._clock.now())

    async def _refuse(self, refusal: Refusal) -> None:
        condition = refusal.condition | {"lastTransitionTime": f"{self._clock.now():%Y-%m-%dT%H:%M:%SZ}"}
        body = {"metadata": {"uid": refusal.pod["metadata"]["uid"]}, "status": {"conditions": [condition]}}
        await self._patch(refusal.pod, body, "status")

    async def _patch(self, pod: Json, body: Json, subresource: str = "") -> bool:
        """Whether it was taken. What the API server has after it counts at once, before the watch brings it."""
        meta = pod["metadata"]
        place = PODS.at(meta["namespace"], meta["name"], subresource)
        try:
            self._pods.take(Changed(await self._api.patch(place, body, STRATEGIC_MERGE)))
        except (ApiConflict, ApiNotFound):  # the watch brings what it is now
            return False
        except (ApiForbidden, ApiInvalid) as exc:  # some other webhook's business: a budget, a policy
            log.warning("a pod's sidecars cannot be upgraded now", error=str(exc))
            self._retry.put_off()
            return False
        return True
