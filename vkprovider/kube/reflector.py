"""The objects of one kind as they are now, and every change of them: list, then watch, and list again on 410.

::

    list ──▶ Replaced ──▶ watch from the list's version ──▶ Changed, Removed, (bookmarks move the version) ──┐
     ▲                       ▲                                                                               │
     │                       └── ended, silent, cut off: from the last version, nothing is lost ◀────────────┤
     └── 410: what happened since is no longer known ◀───────────────────────────────────────────────────────┘

The list is of the newest state, never of a server's cache: to take a pod that the cache does not show yet for one that
is gone would end it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, TypeAlias

import msgspec
import structlog

from vkprovider.errors import ApiError, ApiGone, ApiNotFound
from vkprovider.kube.backoff import BackOff, share
from vkprovider.kube.client import ApiClient, Json, WatchEvent
from vkprovider.kube.resources import ResourcePath
from vkprovider.ports import WaitingClock

WATCH_SECONDS = 300.0  # and up to twice as long: the server ends the watch by then (client-go minWatchTimeout)
SILENCE_SECONDS = 75.0  # bookmarks come every minute (apiserver storage/cacher bookmarkFrequency)
SHORT_SECONDS = 1.0  # a watch that ends sooner, and says nothing, is no good (client-go VeryShortWatchError)

log = structlog.get_logger()


class Replaced(msgspec.Struct, frozen=True):
    """All objects there are. What is not among them is gone."""

    objects: tuple[Json, ...]


class Changed(msgspec.Struct, frozen=True):
    """An object that is new, or has changed."""

    object: Json


class Removed(msgspec.Struct, frozen=True):
    """An object that is gone, as it was last."""

    object: Json


Update: TypeAlias = Replaced | Changed | Removed


class Reflector:
    """Follows the objects at ``place`` that ``selectors`` choose (``{"fieldSelector": ...}``); where the server has no
    such place, those at one of ``otherwise``: the same ones in other versions of their kind, each tried in its turn.
    """

    def __init__(
        self,
        api: ApiClient,
        place: ResourcePath,
        clock: WaitingClock,
        *,
        selectors: dict[str, str] | None = None,
        otherwise: Sequence[ResourcePath] = (),
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self._api = api
        self._places = deque((place, *otherwise))  # the first is asked
        self._clock = clock
        self._selectors = selectors or {}
        self._silence_seconds = silence_seconds
        self._backoff = BackOff(f"watch of {place}", clock)
        self._version = ""  # up to which all is known; "" for nothing
        self._watches = 0

    async def updates(self, raises: tuple[type[ApiError], ...] = ()) -> AsyncGenerator[Update]:
        """All objects, then every change in order. Never ends, leaves nothing out, and raises only what is in
        ``raises``: anything else is tried again.
        """
        while True:
            try:
                if not self._version:
                    yield await self._list()
                async with aclosing(self._watch()) as updates:
                    async for update in updates:
                        yield update
            except ApiGone as exc:
                log.info("the watch is too far behind; listing again", place=str(self._place), error=str(exc))
                self._version = ""
                await self._backoff.pause()
            except ApiError as exc:
                if isinstance(exc, raises):
                    raise
                if isinstance(exc, ApiNotFound):
                    self._places.rotate(-1)
                    self._version = ""
                await self._backoff.failed(exc)

    @property
    def _place(self) -> ResourcePath:
        return self._places[0]

    async def _list(self) -> Replaced:
        found = await self._api.list(self._place, self._selectors)
        self._version = found["metadata"]["resourceVersion"]
        kind = {"apiVersion": found["apiVersion"], "kind": found["kind"].removesuffix("List")}
        return Replaced(tuple(kind | item for item in found["items"] or ()))

    async def _watch(self) -> AsyncGenerator[Update]:
        """The changes until this watch ends. It is a good one if it says anything, or ends in order and not at once;
        not if it fails before, as for want of a connection, however long that takes.
        """
        begun, eventful = self._clock.monotonic(), False
        async with aclosing(self._api.watch(self._place, self._query(), self._silence_seconds)) as events:
            async for event in events:
                if not eventful:
                    eventful = True
                    self._backoff.succeeded()
                update = self._take(event)
                if update is not None:
                    yield update
        if eventful or self._clock.monotonic() - begun >= SHORT_SECONDS:
            self._backoff.succeeded()
        else:
            await self._backoff.pause()

    def _query(self) -> dict[str, str]:
        self._watches += 1
        seconds = WATCH_SECONDS * (1 + share(f"{self._place} {self._watches}"))
        how = {"resourceVersion": self._version, "allowWatchBookmarks": "true", "timeoutSeconds": str(int(seconds))}
        return self._selectors | how

    def _take(self, event: WatchEvent) -> Update | None:
        metadata: dict[str, Any] = event.object["metadata"]
        self._version = metadata["resourceVersion"]
        if event.type == "BOOKMARK":
            return None
        return Removed(event.object) if event.type == "DELETED" else Changed(event.object)
