"""The ControllerRevisions of SidecarSets: in the namespace of the webhook's authority, which few may write in.

Several controllers may keep them: all want the same, and of two new ones of a name the API server refuses one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Set
from contextlib import suppress
from typing import Any

import structlog

from vkprovider.errors import ApiConflict, ApiError, ApiForbidden, ApiInvalid, ApiNotFound, ApiUnavailable
from vkprovider.kube.client import ApiClient, Json
from vkprovider.kube.object_index import ObjectIndex
from vkprovider.kube.reflector import Changed, Reflector
from vkprovider.kube.resources import Resource, ResourcePath
from vkprovider.kube.webhook.retry import Retry
from vkprovider.ports import WaitingClock
from vkprovider.sidecarset.model import SidecarSet
from vkprovider.sidecarset.pod_metadata import merge_patch
from vkprovider.sidecarset.revisions import Revision, history, revision

REVISIONS = Resource("controllerrevisions", "apps")
PATIENCE_SECONDS = 3.0  # with the first list: less than the API server has with us

log = structlog.get_logger()


class SetRevisions:
    """``run`` it. ``changed`` is called when there are others."""

    def __init__(self, api: ApiClient, namespace: str, clock: WaitingClock, changed: Callable[[], None]) -> None:
        self._api = api
        self._namespace = namespace
        self._clock = clock
        self._index: ObjectIndex[Revision] = ObjectIndex(revision, changed)
        self._retry = Retry(changed)

    async def run(self) -> None:
        """Watch them, for ever."""
        await self._index.run(Reflector(self._api, REVISIONS.at(self._namespace), self._clock).updates())

    def known(self) -> tuple[Revision, ...] | None:
        """All of the namespace; None before they have been read."""
        return self._index.all() if self._index.listed.is_set() else None

    async def named_by(self, sets: Iterable[SidecarSet]) -> tuple[Revision, ...]:
        """All of the namespace, where one of the sets names one. Raises ApiError where they could not yet be read."""
        if all(each.spec.injection_strategy.revision is None for each in sets):
            return ()
        try:
            await asyncio.wait_for(self._index.listed.wait(), PATIENCE_SECONDS)
        except TimeoutError:
            where = REVISIONS.at(self._namespace)
            raise ApiUnavailable(f"a SidecarSet names a revision, and {where} have not yet been read") from None
        return self._index.all()

    async def keep(self, of: SidecarSet, used: Set[str]) -> dict[str, Any]:
        """Have the set's present state among its revisions, and none too many; the fields of the set's status that say
        so, none as long as that cannot be.

        Raises SpecError as ``history`` does, and ApiError.
        """
        known = self.known()
        if known is None:
            return {}
        found = history(of, known, used)
        try:
            if found.new is not None:
                self._take(await self._api.create(REVISIONS.at(self._namespace), found.new))
            if found.change is not None:
                await self._change(found.latest, found.change)
            for name in found.obsolete:
                with suppress(ApiNotFound):  # the watch has not come so far
                    await self._api.delete(self._at(name))
        except ApiConflict:  # another controller was faster: the watch brings what it has made
            return {}
        except (ApiForbidden, ApiInvalid, ApiNotFound) as exc:
            self._put_off(of, exc)
            return {}
        return {"latestRevision": found.latest, "collisionCount": found.collisions}

    async def _change(self, name: str, change: Json) -> None:
        """By replacing it: its data may not change, not even in its spaces, which the server leaves out in a patch."""
        there = await self._api.get(self._at(name))
        self._take(await self._api.replace(self._at(name), merge_patch(there, change)))

    def _take(self, raw: Json) -> None:
        """What was written counts at once, before the watch brings it."""
        self._index.take(Changed(raw))

    def _put_off(self, of: SidecarSet, exc: ApiError) -> None:
        log.warning("the revisions of a SidecarSet cannot be kept now", set=of.name, error=str(exc))
        self._retry.put_off()

    def _at(self, name: str) -> ResourcePath:
        return REVISIONS.at(self._namespace, name)
