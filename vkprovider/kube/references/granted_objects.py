"""What pods refer to, in their own namespace and in others. Of another namespace a pod is given what is granted to it,
as long as it is, and nothing is asked about anything else: not even whether it is there.

SidecarSets and their bindings are watched while a pod of this node refers to another namespace, and else not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from vkprovider.core.pod_certificates import CREDENTIAL
from vkprovider.core.services import Service
from vkprovider.core.tokens import Token
from vkprovider.errors import ApiForbidden
from vkprovider.kube.client import ApiClient
from vkprovider.kube.references.grants import Grants
from vkprovider.kube.references.objects import KubeObjects
from vkprovider.kube.references.pod_certificates import PodCertificates
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ObjectRef, PodUID, TokenRef
from vkprovider.ports import WaitingClock
from vkprovider.sidecarset.bindings import RESOURCE_KINDS


class GrantedObjects:
    """The ``ObjectStore`` of a cluster."""

    def __init__(
        self, objects: KubeObjects, certificates: PodCertificates, api: ApiClient, clock: WaitingClock
    ) -> None:
        self._objects = objects
        self._certificates = certificates
        self._api = api
        self._clock = clock
        self._grants: Grants | None = None
        self._wishes: dict[PodUID, _Wish] = {}  # of the pods that refer to other namespaces

    async def get(self, ref: ObjectRef, pod: Pod) -> Mapping[str, Any] | None:
        if ref.kind == CREDENTIAL:
            return await self._certificates.get(ref, pod)
        if not _is_elsewhere(ref, pod):
            return await self._objects.get(ref)
        await self._watched().check(pod, ref)
        try:
            return await self._objects.get(ref)
        except ApiForbidden as exc:
            role = f"deploy/sidecarset/rbac-bound-namespace.yaml has the role for namespace {ref.namespace}"
            raise ApiForbidden(f"{exc}; {role}", status_reason=exc.status_reason) from exc

    def follow(self, pod: Pod, refs: frozenset[ObjectRef], changed: Callable[[ObjectRef], None]) -> None:
        credentials = frozenset(ref for ref in refs if ref.kind == CREDENTIAL)
        self._certificates.follow(pod, credentials, changed)
        refs -= credentials
        elsewhere = frozenset(ref for ref in refs if _is_elsewhere(ref, pod))
        if elsewhere:
            before = self._wishes.get(pod.uid)
            granted = before.granted if before is not None else frozenset()
            self._watched()
            self._wishes[pod.uid] = _Wish(pod, refs, elsewhere, changed, granted)
            self._look_at(self._wishes[pod.uid])
            return
        self._wishes.pop(pod.uid, None)
        self._objects.follow(pod.uid, refs, changed)
        if not self._wishes and self._grants is not None:
            self._grants.stop()
            self._grants = None

    async def token(self, ref: TokenRef) -> Token:
        return await self._objects.token(ref)

    async def services(self) -> tuple[Service, ...]:
        return await self._objects.services()

    async def aclose(self) -> None:
        """Follow nothing any more."""
        if self._grants is not None:
            await self._grants.aclose()
        await self._certificates.aclose()
        await self._objects.aclose()

    def _watched(self) -> Grants:
        if self._grants is None:
            self._grants = Grants(self._api, self._clock, self._look)
        return self._grants

    def _look(self) -> None:
        for wish in tuple(self._wishes.values()):
            self._look_at(wish)

    def _look_at(self, wish: _Wish) -> None:
        """Follow what is granted, and tell what is so from now on, or no longer."""
        grants = self._watched()
        granted = frozenset(ref for ref in wish.elsewhere if grants.allows(wish.pod, ref))
        before, wish.granted = wish.granted, granted
        self._objects.follow(wish.pod.uid, (wish.refs - wish.elsewhere) | granted, wish.changed)
        for ref in granted ^ (before & wish.elsewhere):
            wish.changed(ref)


class _Wish(msgspec.Struct):
    """What a pod refers to, ``elsewhere`` and all told, and what of it was ``granted`` when somebody last looked."""

    pod: Pod
    refs: frozenset[ObjectRef]
    elsewhere: frozenset[ObjectRef]
    changed: Callable[[ObjectRef], None]
    granted: frozenset[ObjectRef]


def _is_elsewhere(ref: ObjectRef, pod: Pod) -> bool:
    return ref.kind in RESOURCE_KINDS and ref.namespace != pod.metadata.namespace
