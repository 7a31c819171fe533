"""Pods that came to the node without having said so when they were created: a toleration led the scheduler here.

They get the label that all pods of virtual nodes have, but no sidecars any more: containers cannot be added to a pod
that exists. Where a SidecarSet is for them an event says so. The label is set by way of the status, which is the one
part of a pod that a node has to write; the API server allows that to service accounts, not to nodes of their own
(plugin/pkg/admission/noderestriction admitPodStatus).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import structlog

from vkprovider.core.actions import PodEvent
from vkprovider.core.phase import OVER
from vkprovider.errors import ApiConflict, ApiError, ApiForbidden, ApiInvalid, ApiNotFound, SpecError
from vkprovider.kube.backoff import BackOff
from vkprovider.kube.client import MERGE, ApiClient, Json
from vkprovider.kube.event_recorder import EventRecorder
from vkprovider.kube.reflector import Changed, Replaced, Update
from vkprovider.kube.resources import LATER_SIDECAR_SETS, NAMESPACES, PODS, SIDECAR_SETS
from vkprovider.model.refs import PodUID
from vkprovider.ports import WaitingClock
from vkprovider.sidecarset.destination import VIRTUAL_NODE
from vkprovider.sidecarset.matching import matching
from vkprovider.sidecarset.model import SidecarSet, sidecar_set
from vkprovider.sidecarset.records import injected_sets

NOT_INJECTED = "SidecarSetNotInjected"
FORBIDDEN = "pods that were not created for virtual nodes are not labelled: grant it, deploy/rbac.yaml has the role"
log = structlog.get_logger()


class LatePods:
    """Give the updates of the node's pods through ``seeing``, and ``run`` it. ``may_label`` is False for a node of its
    own, whom the API server would refuse it.
    """

    def __init__(self, api: ApiClient, events: EventRecorder, clock: WaitingClock, *, may_label: bool) -> None:
        self._api = api
        self._events = events
        self._clock = clock
        self._waiting: dict[PodUID, Json] = {}
        self._some = asyncio.Event()
        self._may = may_label

    async def seeing(self, updates: AsyncIterator[Update]) -> AsyncIterator[Update]:
        """The same updates."""
        async for update in updates:
            match update:
                case Replaced(objects):
                    self._note(*objects)
                case Changed(raw):
                    self._note(raw)
            yield update

    async def run(self) -> None:
        """Label those that need it, until cancelled."""
        backoff = BackOff("labels of pods", self._clock)
        while True:
            await self._some.wait()
            uid = next(iter(self._waiting))
            try:
                if self._may:
                    await self._label(self._waiting[uid])
                backoff.succeeded()
            except ApiForbidden as exc:
                self._may = False
                log.warning(FORBIDDEN, error=str(exc))
            except (ApiConflict, ApiNotFound, ApiInvalid):  # it is gone, or another one has its name
                pass
            except ApiError as exc:
                await backoff.failed(exc)
                continue
            del self._waiting[uid]
            if not self._waiting:
                self._some.clear()

    def _note(self, *pods: Json) -> None:
        for raw in pods:
            if self._may and _needs_label(raw):
                self._waiting[PodUID(raw["metadata"]["uid"])] = raw
                self._some.set()

    async def _label(self, raw: Json) -> None:
        """Bound to the very pod, not to its name."""
        meta = raw["metadata"]
        wanted = {"metadata": {"uid": meta["uid"], "labels": {VIRTUAL_NODE: "true"}}}
        labelled = await self._api.patch(PODS.at(meta["namespace"], meta["name"], "status"), wanted, MERGE)
        missed = [each.name for each in await self._sets_for(labelled)]
        if missed:
            event = PodEvent(type="Warning", reason=NOT_INJECTED, message=_message(missed))
            self._events.note(_reference(labelled), event, self._clock.now())

    async def _sets_for(self, pod: Json) -> list[SidecarSet]:
        """The sets that would have injected the pod, had they known where it goes."""
        namespace = pod["metadata"]["namespace"]
        sets = [found for raw in await self._listed() if (found := _read(raw)) is not None]
        if not sets:
            return []
        try:
            labels = (await self._api.get(NAMESPACES.at(name=namespace)))["metadata"].get("labels") or {}
        except (ApiForbidden, ApiNotFound):
            labels = {"kubernetes.io/metadata.name": namespace}
        already = injected_sets(pod)
        return [each for each in matching(pod, namespace, labels, sets) if each.name not in already]

    async def _listed(self) -> list[Json]:
        for resource in (SIDECAR_SETS, LATER_SIDECAR_SETS):
            with suppress(ApiForbidden, ApiNotFound):  # no such kind in this cluster, or none of our business
                return list((await self._api.list(resource.at()))["items"] or ())
        return []


def _needs_label(raw: Json) -> bool:
    meta, phase = raw["metadata"], (raw.get("status") or {}).get("phase")
    labelled = (meta.get("labels") or {}).get(VIRTUAL_NODE) == "true"
    return not (labelled or meta.get("deletionTimestamp") or phase in OVER)


def _read(raw: Json) -> SidecarSet | None:
    try:
        return sidecar_set(raw)
    except SpecError:  # which injects nobody
        return None


def _message(sets: list[str]) -> str:
    return (
        f"SidecarSet {', '.join(sets)} is for pods of virtual nodes, and this pod did not say where it belongs when it "
        "was created: create it again with the label alibabacloud.com/eci=true or the node selector "
        "type=virtual-kubelet"
    )


def _reference(raw: Json) -> dict[str, Any]:
    meta = raw["metadata"]
    named = {key: meta[key] for key in ("namespace", "name", "uid", "resourceVersion")}
    return {"kind": "Pod", "apiVersion": "v1", **named}
