"""What says who may have objects of other namespaces, as the cluster has it now: SidecarSets, their bindings, and the
labels of namespaces. Watched, so that every change of them counts at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from vkprovider.errors import ApiError, ApiNotFound, ApiUnavailable, NotGranted
from vkprovider.kube.backoff import BackOff
from vkprovider.kube.client import ApiClient, Json
from vkprovider.kube.object_index import ObjectIndex
from vkprovider.kube.reflector import Reflector, Replaced
from vkprovider.kube.resources import LATER_SIDECAR_SETS, NAMESPACES, SIDECAR_SETS, Resource, ResourcePath
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ObjectRef
from vkprovider.ports import WaitingClock
from vkprovider.sidecarset.bindings import GROUP, allowed, refusal, resource_binding
from vkprovider.sidecarset.model import sidecar_set

BINDINGS = Resource("sidecarsetresourcebindings", GROUP, "v1alpha1")
PATIENCE_SECONDS = 5.0  # with the first lists, before a volume fails and is tried again

T = TypeVar("T")


class Grants:
    """Watches from the start until ``aclose``. ``changed`` is called after every change."""

    def __init__(self, api: ApiClient, clock: WaitingClock, changed: Callable[[], None]) -> None:
        sets = ObjectIndex(sidecar_set, changed)
        self._sets = _Watched(api, SIDECAR_SETS.at(), clock, sets, LATER_SIDECAR_SETS.at())
        self._bindings = _Watched(api, BINDINGS.at(), clock, ObjectIndex(resource_binding, changed))
        self._namespaces = _Watched(api, NAMESPACES.at(), clock, ObjectIndex(_labels, changed))
        self._all = (self._sets, self._bindings, self._namespaces)

    def allows(self, pod: Pod, ref: ObjectRef) -> bool:
        """Whether the pod may have the object; not while that is unknown."""
        labels = self._namespaces.index.get(pod.metadata.namespace)
        if labels is None or any(watched.problem is not None for watched in self._all):
            return False
        return allowed(pod.raw, ref, self._sets.index.all(), self._bindings.index.all(), labels)

    async def check(self, pod: Pod, ref: ObjectRef) -> None:
        """Raises NotGranted where the pod may not have the object, and ApiError where that is not known."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                for watched in self._all:
                    await watched.answered.wait()
        except TimeoutError:
            raise ApiUnavailable("SidecarSets and their bindings have not yet been read since the start") from None
        for watched in self._all:
            if watched.problem is not None:
                raise ApiError(str(watched.problem))
        if not self.allows(pod, ref):
            raise NotGranted(self._refusal(pod, ref))

    def stop(self) -> None:
        for watched in self._all:
            watched.task.cancel()

    async def aclose(self) -> None:
        self.stop()
        await asyncio.gather(*(watched.task for watched in self._all), return_exceptions=True)

    def _refusal(self, pod: Pod, ref: ObjectRef) -> str:
        labels = self._namespaces.index.get(pod.metadata.namespace) or {}
        text = refusal(pod.raw, ref, self._sets.index.all(), labels)
        absent = [str(watched.place) for watched in (self._sets, self._bindings) if watched.undefined]
        if absent:
            text += f". This cluster has no {' and no '.join(absent)} yet: deploy/sidecarset has their definitions"
        return text


class _Watched(Generic[T]):
    """All objects of one kind, which may be ``undefined`` in this cluster, and be defined later. They are at ``place``,
    or at ``otherwise`` (see ``Reflector``).

    ``problem`` is why they are unknown, None once they are known; ``answered`` is set as soon as it is one or the
    other.
    """

    def __init__(
        self,
        api: ApiClient,
        place: ResourcePath,
        clock: WaitingClock,
        index: ObjectIndex[T],
        *otherwise: ResourcePath,
    ) -> None:
        self.place = place
        self._otherwise = otherwise
        self.index = index
        self.undefined = False
        self.answered = asyncio.Event()
        self.problem: ApiError | None = ApiUnavailable(f"{place} have not yet been read since the start")
        self._api = api
        self._clock = clock
        self.task = asyncio.get_running_loop().create_task(self._run(), name=f"watch of {place}")

    async def _run(self) -> None:
        await self._until_listable()
        async for update in Reflector(self._api, self.place, self._clock, otherwise=self._otherwise).updates():
            self.problem, self.undefined = None, False
            self.answered.set()
            self.index.take(update)

    async def _until_listable(self) -> None:
        """A reflector waits for what it cannot list; here it matters why."""
        backoff = BackOff(f"list of {self.place}", self._clock)
        while True:
            try:
                await self._list()
                return
            except ApiError as exc:
                self.undefined = isinstance(exc, ApiNotFound)
                self.problem = None if self.undefined else exc
                self.answered.set()
                if self.undefined:
                    self.index.take(Replaced(()))
                await backoff.failed(exc)

    async def _list(self) -> None:
        *sooner, last = self.place, *self._otherwise
        for place in sooner:
            with suppress(ApiNotFound):
                await self._api.list(place, {"limit": "1"})
                return
        await self._api.list(last, {"limit": "1"})


def _labels(raw: Json) -> dict[str, str]:
    return dict(raw["metadata"].get("labels") or {})
