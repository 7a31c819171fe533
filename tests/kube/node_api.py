"""An API server for one node, in memory: it creates, patches and refuses as the real one does."""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import Mapping
from typing import Any

import msgspec

from tests.fakes.strategic_merge import apply
from vkprovider.errors import ApiConflict, ApiError, ApiNotFound
from vkprovider.kube.client import MERGE, STRATEGIC_MERGE
from vkprovider.kube.resources import ResourcePath

Json = dict[str, Any]


class Request(msgspec.Struct, frozen=True):
    verb: str
    place: ResourcePath
    body: Any = None
    content_type: str = ""


class FakeNodeApi:
    """``objects`` by place; ``requests`` in order. ``failures`` are raised by the next requests of a verb."""

    def __init__(self) -> None:
        self.objects: dict[ResourcePath, Json] = {}
        self.requests: list[Request] = []
        self.failures: dict[str, list[ApiError]] = {}
        self.waits: dict[str, asyncio.Event] = {}  # requests of these verbs are held back until it is set
        self._numbers = itertools.count(1)

    def asked(self, *verbs: str) -> list[Request]:
        return [request for request in self.requests if request.verb in verbs]

    def put(self, place: ResourcePath, body: Mapping[str, Any]) -> Json:
        """Have an object, as if somebody else had written it."""
        kept = copy.deepcopy(dict(body))
        before = self.objects.get(place)
        kept["metadata"] = {**kept.get("metadata", {}), "name": place.name}
        kept["metadata"].setdefault("uid", before["metadata"]["uid"] if before else f"uid-{next(self._numbers)}")
        kept["metadata"]["resourceVersion"] = str(next(self._numbers))
        self.objects[place] = kept
        return copy.deepcopy(kept)

    async def get(self, place: ResourcePath) -> Json:
        await self._ask(Request("get", place))
        return copy.deepcopy(self._find(place))

    async def create(self, place: ResourcePath, body: Mapping[str, Any]) -> Json:
        await self._ask(Request("create", place, copy.deepcopy(body)))
        at = place._replace(name=body["metadata"]["name"])
        if at in self.objects:
            raise ApiConflict(f"cannot create {at}: it already exists", status_reason="AlreadyExists")
        return self.put(at, body)

    async def patch(self, place: ResourcePath, body: Mapping[str, Any], content_type: str) -> Json:
        await self._ask(Request("patch", place, copy.deepcopy(body), content_type))
        at = place._replace(subresource="")
        present = self._find(at)
        version = body.get("metadata", {}).get("resourceVersion")
        if version is not None and version != present["metadata"]["resourceVersion"]:
            raise ApiConflict(f"cannot patch {at}: it has been modified", status_reason="Conflict")
        merge = {MERGE: merged, STRATEGIC_MERGE: apply}[content_type]
        return self.put(at, merge(present, body))

    async def _ask(self, request: Request) -> None:
        self.requests.append(request)
        if request.verb in self.waits:
            await self.waits[request.verb].wait()
        failures = self.failures.get(request.verb)
        if failures:
            raise failures.pop(0)

    def _find(self, place: ResourcePath) -> Json:
        if place not in self.objects:
            raise ApiNotFound(f"cannot get {place}: not found", status_reason="NotFound")
        return self.objects[place]


def merged(present: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, Mapping):
        return patch
    kept = dict(present) if isinstance(present, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = merged(kept.get(key), value)
    return kept
