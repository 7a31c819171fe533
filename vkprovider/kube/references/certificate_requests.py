"""PodCertificateRequests: asking a cluster's signer for the certificate of a pod, and what becomes of it.

pkg/kubelet/podcertificate/podcertificatemanager.go createPodCertificateRequest.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any

import msgspec

from vkprovider.core.pod_certificates import Issued, Refused, verdict
from vkprovider.errors import ApiInvalid, ApiNotFound
from vkprovider.kube.backoff import share
from vkprovider.kube.client import ApiClient, Json
from vkprovider.kube.reflector import Changed, Reflector, Replaced, Update
from vkprovider.kube.resources import SERVICE_ACCOUNTS, Resource, ResourcePath
from vkprovider.kube.served import CERTIFICATE_REQUESTS, served
from vkprovider.model.pod import Pod
from vkprovider.model.volume import CertificateProjection
from vkprovider.ports import WaitingClock


class CertificateRequests:
    """Those of a node, which bears ``name``; ``uid`` gives that of its Node."""

    def __init__(self, api: ApiClient, clock: WaitingClock, name: str, uid: Callable[[], str]) -> None:
        self._api = api
        self._clock = clock
        self._name = name
        self._uid = uid
        self._one_key = asyncio.Lock()
        # A node may read only what names it (plugin/pkg/auth/authorizer/node authorizePodCertificateRequest).
        self._own = {"fieldSelector": f"spec.nodeName={name}"}

    async def new_key(self, kind: str) -> bytes:
        """See ``pod_keys``. One after the other: RSA takes seconds of a processor, and a pod may want very many."""
        from vkprovider.kube.references.pod_keys import new_key  # noqa: PLC0415

        async with self._one_key:
            return await asyncio.to_thread(new_key, kind)

    async def create(self, pod: Pod, source: CertificateProjection, key: bytes) -> ResourcePath:
        """Ask for a certificate for ``key``, and say where the request is. Raises ApiError."""
        kind = await served(self._api, CERTIFICATE_REQUESTS)
        meta = pod.metadata
        await self._api.list(kind.at(meta.namespace), self._own | {"limit": "1"})  # else no answer could be read
        account = pod.spec.service_account_name or "default"
        found = await self._api.get(SERVICE_ACCOUNTS.at(meta.namespace, account))
        spec = {
            "signerName": source.signer_name,
            "podName": meta.name,
            "podUID": meta.uid,
            "serviceAccountName": account,
            "serviceAccountUID": found["metadata"]["uid"],
            "nodeName": self._name,
            "nodeUID": self._uid(),
        }
        if source.max_expiration_seconds is not None:
            spec["maxExpirationSeconds"] = source.max_expiration_seconds
        if kind.version == "v1alpha1":
            return await self._create(kind, pod, spec | await asyncio.to_thread(_proven, key, meta.uid))
        if source.user_annotations:
            spec["unverifiedUserAnnotations"] = source.user_annotations
        try:
            return await self._create(kind, pod, spec | await asyncio.to_thread(_stub, key))
        except ApiInvalid as first:  # 1.35 has this version without the field
            try:
                return await self._create(kind, pod, spec | await asyncio.to_thread(_proven, key, meta.uid))
            except ApiInvalid:  # for want of that field, where this was not the matter
                raise first from None

    async def answer(self, place: ResourcePath) -> Issued | Refused:
        """Wait for what the signer decides.

        Raises ApiNotFound where the request is gone before that, or its version of the API is served no longer, and
        ApiInvalid for an answer that is none.
        """
        chosen = {"fieldSelector": f"{self._own['fieldSelector']},metadata.name={place.name}"}
        reflector = Reflector(self._api, place.resource.at(place.namespace), self._clock, selectors=chosen)
        async with aclosing(reflector.updates(raises=(ApiNotFound,))) as updates:
            async for update in updates:
                found = _verdict(_request(update), place)
                if found is not None:
                    return found
        raise AssertionError("a reflector never ends")

    async def _create(self, kind: Resource, pod: Pod, spec: Mapping[str, Any]) -> ResourcePath:
        meta = pod.metadata
        owner = {"apiVersion": "v1", "kind": "Pod", "name": meta.name, "uid": meta.uid}
        body = {
            "apiVersion": f"{kind.group}/{kind.version}",
            "kind": "PodCertificateRequest",
            "metadata": {"generateName": "req-", "namespace": meta.namespace, "ownerReferences": [owner]},
            "spec": spec,
        }
        created = await self._api.create(kind.at(meta.namespace), body)
        return kind.at(meta.namespace, created["metadata"]["name"])


def _request(update: Update) -> Json | None:
    match update:
        case Replaced(objects):
            return objects[0] if objects else None
        case Changed(raw):
            return raw
    return None


def _verdict(request: Json | None, place: ResourcePath) -> Issued | Refused | None:
    if request is None:
        raise ApiNotFound(f"{place} was deleted before it was decided on")
    try:
        return verdict(request.get("status") or {}, share(request["metadata"]["uid"]))
    except (msgspec.ValidationError, ValueError, OverflowError) as exc:  # whatever it is, the pod goes on waiting
        raise ApiInvalid(f"{place} has a status that cannot be read: {exc}") from exc


def _stub(key: bytes) -> dict[str, str]:
    from vkprovider.kube.references.pod_keys import empty_request  # noqa: PLC0415

    return {"stubPKCS10Request": b64encode(empty_request(key)).decode()}


def _proven(key: bytes, uid: str) -> dict[str, str]:
    from vkprovider.kube.references.pod_keys import proof_of_possession, public_half  # noqa: PLC0415

    return {
        "pkixPublicKey": b64encode(public_half(key)).decode(),
        "proofOfPossession": b64encode(proof_of_possession(key, uid)).decode(),
    }
