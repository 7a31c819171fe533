"""What the webhook's answers depend on, as the cluster has it now: watched, so that an answer asks nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import msgspec

from vkprovider.errors import ApiNotFound, ApiUnavailable, SpecError
from vkprovider.kube.client import ApiClient, Json
from vkprovider.kube.object_index import ObjectIndex
from vkprovider.kube.reflector import Reflector
from vkprovider.kube.resources import LATER_SIDECAR_SETS, NAMESPACES, NODES, SIDECAR_SETS, ResourcePath
from vkprovider.kube.webhook.kept_configuration import MUTATING, VALIDATING
from vkprovider.ports import WaitingClock
from vkprovider.sidecarset.admission import Cluster
from vkprovider.sidecarset.destination import DestinationSettings
from vkprovider.sidecarset.model import SidecarSet, sidecar_set
from vkprovider.sidecarset.validation import findings
from vkprovider.sidecarset.webhook_configuration import KRUISE, NAME

PATIENCE_SECONDS = 3.0  # with the first lists: less than the API server has with us


class AdmissionState:
    """``changed`` is called when the configuration may have to change: nodes came or went, or somebody changed it;
    ``sets_changed`` when there are other SidecarSets, or others inject them.
    """

    def __init__(
        self,
        api: ApiClient,
        destination: DestinationSettings,
        changed: Callable[[], None],
        sets_changed: Callable[[], None],
        clock: WaitingClock,
    ) -> None:
        self._api = api
        self._clock = clock
        self._destination = destination
        self._sets: ObjectIndex[SidecarSet] = ObjectIndex(_sound, sets_changed)
        self._namespaces: ObjectIndex[dict[str, str]] = ObjectIndex(_labels)
        self._nodes: ObjectIndex[str] = ObjectIndex(_name, changed)
        self._kruise: ObjectIndex[str] = ObjectIndex(_name, sets_changed)
        self._own: tuple[ObjectIndex[str], ...] = (ObjectIndex(_version, changed), ObjectIndex(_version, changed))

    def watches(self) -> Iterator[Coroutine[Any, Any, None]]:
        """To be run, each until it is cancelled; beside ``watch_sets``."""
        ours = "=".join(self._destination.type)
        yield self._namespaces.run(self._updates(NAMESPACES.at()))
        yield self._nodes.run(self._updates(NODES.at(), labelSelector=ours))
        yield self._kruise.run(self._updates(MUTATING.at(), fieldSelector=f"metadata.name={KRUISE}"))
        for own, kind in zip(self._own, (MUTATING, VALIDATING), strict=True):
            yield own.run(self._updates(kind.at(), fieldSelector=f"metadata.name={NAME}"))

    async def watch_sets(self) -> None:
        """To be run once the kind is defined."""
        later = [LATER_SIDECAR_SETS.at()]
        await self._sets.run(Reflector(self._api, SIDECAR_SETS.at(), self._clock, otherwise=later).updates())

    async def known(self) -> None:
        """Return when an answer can be given."""
        for index in (self._namespaces, self._nodes, self._kruise):
            await index.listed.wait()
        if not self._stands_down:
            await self._sets.listed.wait()

    def destination(self) -> DestinationSettings:
        """What means virtual nodes, with those that there are now."""
        return msgspec.structs.replace(self._destination, nodes=frozenset(self._nodes.all()))

    def own_sets(self) -> tuple[SidecarSet, ...]:
        """The SidecarSets that are ours, as far as that is known by now."""
        known = self._kruise.listed.is_set() and not self._stands_down
        return self._sets.all() if known else ()

    def labels_of(self, namespace: str) -> dict[str, str]:
        """The labels of a namespace, as far as they are known by now."""
        return self._namespaces.get(namespace) or {}

    async def cluster(self, namespace: str) -> Cluster:
        """The cluster as it is now to a pod of that namespace. Raises ApiError where it could not yet be read."""
        sets = await self.sets()
        labels = await self._labels_of(namespace)
        return Cluster(destination=self.destination(), namespace_labels=labels, sets=sets or ())

    async def sets(self) -> tuple[SidecarSet, ...] | None:
        """The SidecarSets that are ours to inject; None where OpenKruise is there, and injects.

        Raises ApiError where they could not yet be read.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.known()
        except TimeoutError:
            raise ApiUnavailable("SidecarSets, namespaces and nodes have not yet been read since the start") from None
        return None if self._stands_down else self._sets.all()

    @property
    def _stands_down(self) -> bool:
        """OpenKruise is there, and injects."""
        return self._kruise.get(KRUISE) is not None

    async def _labels_of(self, namespace: str) -> dict[str, str]:
        known = self._namespaces.get(namespace)
        if known is not None:
            return known
        try:  # it may be as new as the pod
            return _labels(await self._api.get(NAMESPACES.at(name=namespace)))
        except ApiNotFound:
            return {}

    def _updates(self, place: ResourcePath, **selectors: str) -> Any:
        return Reflector(self._api, place, self._clock, selectors=selectors).updates()


def _sound(raw: Json) -> SidecarSet:
    """Raises SpecError where OpenKruise would have refused it when it was written."""
    read = sidecar_set(raw)
    for finding in findings(read):
        raise SpecError(f'SidecarSet "{read.name}": {finding}')
    return read


def _name(raw: Json) -> str:
    return str(raw["metadata"]["name"])


def _version(raw: Json) -> str:
    return str(raw["metadata"]["resourceVersion"])


def _labels(raw: Json) -> dict[str, str]:
    return dict(raw["metadata"].get("labels") or {})
