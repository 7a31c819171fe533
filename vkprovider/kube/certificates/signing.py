"""Certificates from the cluster's signers: a CertificateSigningRequest, its approval, its certificate.

client-go util/certificate/csr and pkg/kubelet/certificate/bootstrap: the request's name is a digest of all it asks for,
so that whoever asks again, after a restart too, finds the one that waits and makes no second.
"""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol

import msgspec
import structlog

from vkprovider.errors import ApiConflict, ApiNotFound, VkError
from vkprovider.kube.resources import Resource, ResourcePath
from vkprovider.ports import WaitingClock

SIGNING_REQUESTS = Resource("certificatesigningrequests", "certificates.k8s.io")
AUTOMATIC_PAUSES = (0, 0.1, 0.4, 1.0, 2.0)  # seconds in which a controller that approves has done so

Json = dict[str, Any]
log = structlog.get_logger()


class Signers(Protocol):
    """What of the API server this needs, as ``ApiClient`` gives it."""

    async def get(self, place: ResourcePath) -> Json: ...

    async def create(self, place: ResourcePath, body: Mapping[str, Any]) -> Json: ...


class CertificateNotIssued(VkError):
    """A signing request waits, or was refused. The message says what an administrator can do."""

    reason: ClassVar[str] = "CertificateNotIssued"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a certificate is to say, and for what. ``hosts`` are addresses and names of a server."""

    signer: str
    common_name: str
    organizations: tuple[str, ...]
    usages: tuple[str, ...]
    hosts: tuple[str, ...] = ()


def node_client(name: str) -> Wanted:
    """The certificate by which the node ``name`` is known to the API server.

    Key encipherment is for RSA keys only (client-go util/certificate/csr, certificates.k8s.io helpers).
    """
    return Wanted(
        signer="kubernetes.io/kube-apiserver-client-kubelet",
        common_name=f"system:node:{name}",
        organizations=("system:nodes",),
        usages=("digital signature", "client auth"),
    )


def node_server(name: str, hosts: Iterable[str]) -> Wanted:
    """The certificate by which clients know that they speak to the node ``name`` at ``hosts``."""
    return Wanted(
        signer="kubernetes.io/kubelet-serving",
        common_name=f"system:node:{name}",
        organizations=("system:nodes",),
        usages=("digital signature", "server auth"),
        hosts=tuple(hosts),
    )


async def sign(api: Signers, wanted: Wanted, key: bytes, clock: WaitingClock) -> bytes:
    """The certificate for ``key``, in PEM, asking for it unless that was done before.

    Raises ApiError, and CertificateNotIssued if it has not come within a few seconds: then come again, with the same
    key.
    """
    body = await asyncio.to_thread(_request, wanted, key)
    place = SIGNING_REQUESTS.at(name=body["metadata"]["name"])
    for pause in AUTOMATIC_PAUSES:
        await clock.sleep(pause)
        request = await _find_or_create(api, place, body)
        if certificate := _issued(request):
            return certificate
    approved = "Approved" in _conditions(request)
    raise CertificateNotIssued(
        f"certificate signing request {place.name} is approved, but its signer ({wanted.signer}) has not signed it"
        if approved
        else f"certificate signing request {place.name} waits for approval: kubectl certificate approve {place.name}"
    )


async def _find_or_create(api: Signers, place: ResourcePath, body: Json) -> Json:
    try:
        return await api.get(place)
    except ApiNotFound:
        log.info("asking for a certificate", request=place.name, signer=body["spec"]["signerName"])
    try:
        return await api.create(SIGNING_REQUESTS.at(), body)
    except ApiConflict:  # an answer was lost, and the request is there
        return await api.get(place)


def _request(wanted: Wanted, key: bytes) -> Json:
    from vkprovider.kube.certificates.key_pair import public_half, signing_request  # noqa: PLC0415

    digest = hashlib.sha256(public_half(key) + msgspec.json.encode(wanted)).hexdigest()[:16]
    pem = signing_request(key, wanted.common_name, wanted.organizations, wanted.hosts)
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": f"{wanted.common_name.replace(':', '-')}-{digest}"},
        "spec": {
            "request": b64encode(pem).decode(),
            "signerName": wanted.signer,
            "usages": list(wanted.usages),
        },
    }


def _issued(request: Json) -> bytes:
    """The certificate, empty while there is none. Raises CertificateNotIssued where there will be none."""
    conditions, name = _conditions(request), request["metadata"]["name"]
    for kind in ("Denied", "Failed"):
        if (condition := conditions.get(kind)) is not None:
            words = ": ".join(filter(None, (condition.get("reason"), condition.get("message"))))
            raise CertificateNotIssued(
                f"certificate signing request {name} was {_REFUSED[kind]} ({words or 'nobody said why'}): "
                f"to have it asked for again, kubectl delete csr {name}"
            )
    return b64decode((request.get("status") or {}).get("certificate") or "")


def _conditions(request: Json) -> dict[str, Json]:
    return {condition["type"]: condition for condition in (request.get("status") or {}).get("conditions") or ()}


_REFUSED = {"Denied": "denied", "Failed": "given up by its signer"}
