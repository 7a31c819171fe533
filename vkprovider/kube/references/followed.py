"""What a pod refers to, under watch: one object, or all of a sort."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from vkprovider.core.trust_anchors import BUNDLES_OF_SIGNER
from vkprovider.errors import ApiError
from vkprovider.kube.backoff import PATIENT_SECONDS, BackOff
from vkprovider.kube.client import ApiClient, Json
from vkprovider.kube.reflector import Changed, Reflector, Removed, Replaced, Update
from vkprovider.kube.resources import Resource
from vkprovider.kube.served import others
from vkprovider.model.refs import ObjectRef, PodUID
from vkprovider.ports import WaitingClock


class Watching(NamedTuple):
    """How something is watched: ``find`` gives its kind as this API server has it, or raises ApiError."""

    api: ApiClient
    clock: WaitingClock
    find: Callable[[ObjectRef], Awaitable[Resource]]


class Followed:
    """``raw`` is None where the object does not exist, once that is ``known``; of many it is their list."""

    def __init__(self, ref: ObjectRef, watching: Watching) -> None:
        self.known = False
        self.raw: Json | None = None
        self.listeners: dict[PodUID, Callable[[ObjectRef], None]] = {}
        self._ref = ref
        self._found: dict[str, Json] = {}
        self.task = asyncio.get_running_loop().create_task(self._run(watching), name=f"watch of {ref}")

    async def _run(self, watching: Watching) -> None:
        kind = await self._kind(watching)
        place, *otherwise = (each.at(self._ref.namespace) for each in (kind, *others(kind)))
        chosen = selectors(self._ref)
        reflector = Reflector(watching.api, place, watching.clock, selectors=chosen, otherwise=otherwise)
        async for update in reflector.updates():
            before = _versions(self._found)
            self._take(update)
            if self.known and _versions(self._found) == before:
                continue
            self.known, self.raw = True, self._whole()
            for changed in tuple(self.listeners.values()):
                changed(self._ref)

    async def _kind(self, watching: Watching) -> Resource:
        backoff = BackOff(f"watch of {self._ref.kind} {self._ref.name}", watching.clock, PATIENT_SECONDS)
        while True:
            try:
                return await watching.find(self._ref)
            except ApiError as exc:
                await backoff.failed(exc)

    def _take(self, update: Update) -> None:
        match update:
            case Replaced(objects):
                self._found = {_name(raw): raw for raw in objects}
            case Changed(raw):
                self._found[_name(raw)] = raw
            case Removed(raw):
                self._found.pop(_name(raw), None)

    def _whole(self) -> Json | None:
        if self._ref.kind == BUNDLES_OF_SIGNER:
            return {"items": list(self._found.values())}
        return next(iter(self._found.values()), None)


def selectors(ref: ObjectRef) -> dict[str, str]:
    """Which objects of their kind are meant."""
    field = "spec.signerName" if ref.kind == BUNDLES_OF_SIGNER else "metadata.name"
    return {"fieldSelector": f"{field}={ref.name}"}


def _name(raw: Json) -> str:
    return str(raw["metadata"]["name"])


def _versions(found: dict[str, Json]) -> dict[str, str]:
    return {name: raw["metadata"]["resourceVersion"] for name, raw in found.items()}
