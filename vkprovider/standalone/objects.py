"""ConfigMaps, Secrets and what else pods refer to, given as manifests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from vkprovider.core.runtime_classes import RUNTIME_CLASS
from vkprovider.core.services import Service
from vkprovider.core.tokens import Token
from vkprovider.core.trust_anchors import BUNDLE, BUNDLES_OF_SIGNER
from vkprovider.errors import SpecError
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ObjectRef, TokenRef

REFERRED_KINDS = ("ConfigMap", "Secret", RUNTIME_CLASS, BUNDLE)
_OF_NO_NAMESPACE = (RUNTIME_CLASS, BUNDLE)


class ManifestObjects:
    """An ``ObjectStore`` over raw objects as ``manifests.load`` leaves them. They never change while a run lasts."""

    def __init__(self, objects: Iterable[Mapping[str, Any]]) -> None:
        self._objects = {object_ref(raw): raw for raw in objects if raw["kind"] in REFERRED_KINDS}

    async def get(self, ref: ObjectRef, pod: Pod) -> Mapping[str, Any] | None:
        """The raw object, or None: what is not in the manifests does not exist.

        ``manifests.load`` has refused what the pod may not have.
        """
        if ref.kind == BUNDLES_OF_SIGNER:
            return bundles_of(ref.name, self._objects.values())
        return self._objects.get(ref)

    def follow(self, pod: Pod, refs: frozenset[ObjectRef], changed: Callable[[ObjectRef], None]) -> None:
        """Nothing to be done: they never change."""

    async def token(self, ref: TokenRef) -> Token:
        """Raises SpecError: ``manifests.load`` has refused all pods that need one."""
        raise SpecError(f"there is no API server to give a token of the service account {ref.service_account}")

    async def services(self) -> tuple[Service, ...]:
        """There are none without a cluster."""
        return ()


def bundles_of(signer: str, objects: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The list of a signer's ClusterTrustBundles."""
    return {"items": [raw for raw in objects if raw["kind"] == BUNDLE and raw["spec"].get("signerName") == signer]}


def object_ref(raw: Mapping[str, Any]) -> ObjectRef:
    """The reference by which an object is found."""
    metadata, kind = raw.get("metadata") or {}, raw.get("kind") or ""
    namespace = "" if kind in _OF_NO_NAMESPACE else metadata.get("namespace") or "default"
    return ObjectRef(kind, namespace, metadata.get("name") or "")
