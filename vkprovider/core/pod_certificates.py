"""Certificates of pods' own: which a pod asks for, what of an answer counts, and the files that come of it.

pkg/kubelet/podcertificate/podcertificatemanager.go
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec

from vkprovider.errors import SpecError
from vkprovider.model.pem import certificates, in_pem
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ObjectRef
from vkprovider.model.volume import CertificateProjection, Volume

CREDENTIAL = "PodCertificate"
NOT_YET = "credential bundle is not issued yet"

_SPREAD = timedelta(minutes=5)


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate with those that lead to its authority, in PEM. ``renew_at`` is when to ask for another one."""

    chain: str
    renew_at: datetime


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """There will be no certificate: nobody asks again for this pod."""

    message: str


def credential_ref(namespace: str, volume: str, place: int) -> ObjectRef:
    """The credential of a volume's source. It has no name but its place in the pod."""
    return ObjectRef(CREDENTIAL, namespace, f"{volume}/{place}")


def credential_refs(volume: Volume, namespace: str) -> Iterator[tuple[ObjectRef, CertificateProjection]]:
    """The credentials that a volume shows, and how each is asked for."""
    sources = volume.projected.sources if volume.projected is not None else ()
    for place, source in enumerate(sources):
        if source.pod_certificate is not None:
            yield credential_ref(namespace, volume.name, place), source.pod_certificate


def wanted_credential(pod: Pod, ref: ObjectRef) -> CertificateProjection:
    """What the pod asks for at that place. Raises SpecError where it asks for nothing."""
    for volume in pod.spec.volumes:
        for found, source in credential_refs(volume, pod.metadata.namespace):
            if found == ref:
                return source
    raise SpecError(f"the pod has no certificate {ref.name}")


def verdict(status: Mapping[str, Any], spread: float) -> Issued | Refused | None:
    """What a PodCertificateRequest's status says; None while its signer has not decided.

    ``spread``, from 0 to 1, is how much of 5 minutes it is renewed later, so that not all are at once. Raises
    ValidationError for a status that no API server takes.
    """
    read = msgspec.convert(status, _Status)
    for condition in read.conditions:
        if condition.type in ("Denied", "Failed"):
            reason, message = (json.dumps(each, ensure_ascii=False) for each in (condition.reason, condition.message))
            how = f"permanently {condition.type.lower()}: reason={reason} message={message}"
            return Refused(message=f"PodCertificateRequest was {how}")
        if condition.type == "Issued" and read.begin_refresh_at is not None:
            chain = in_pem(certificates(read.certificate_chain)).decode()
            if not chain:
                raise msgspec.ValidationError("certificateChain has no certificate that can be read")
            return Issued(chain=chain, renew_at=read.begin_refresh_at + _SPREAD * spread)
    return None


def credential(key: str, chain: str) -> dict[str, Any]:
    """What an ``ObjectStore`` has of an issued credential, both in PEM."""
    return {"key": key, "certificateChain": chain}


def credential_files(source: CertificateProjection, raw: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Paths and contents."""
    key, chain = raw["key"].encode(), raw["certificateChain"].encode()
    targets = {
        source.credential_bundle_path: key + chain,
        source.key_path: key,
        source.certificate_chain_path: chain,
    }
    return ((path, data) for path, data in targets.items() if path)


class _Condition(msgspec.Struct):
    type: str
    reason: str = ""
    message: str = ""


class _Status(msgspec.Struct, rename="camel"):
    """The part of certificates.k8s.io PodCertificateRequestStatus that is read."""

    conditions: tuple[_Condition, ...] = ()
    certificate_chain: str = ""
    begin_refresh_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
