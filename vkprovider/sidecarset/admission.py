"""What the API server is answered when it asks about a pod or a SidecarSet that is written (admission.k8s.io/v1)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from vkprovider.errors import SpecError
from vkprovider.sidecarset.conflicts import with_older, with_others
from vkprovider.sidecarset.destination import DestinationSettings, destined, is_labelled
from vkprovider.sidecarset.injection import inject
from vkprovider.sidecarset.json_patch import json_patch
from vkprovider.sidecarset.matching import matching
from vkprovider.sidecarset.model import SidecarSet, sidecar_set
from vkprovider.sidecarset.revisions import Revision, pinned, unknown_revision
from vkprovider.sidecarset.validation import findings

Json = dict[str, Any]

_VERSION = "admission.k8s.io/v1"


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """The part of an AdmissionRequest that is read: what would be written, and what was there (None, if nothing)."""

    uid: str
    object: Json
    old_object: Json | None = None
    namespace: str = ""


class Review(msgspec.Struct, frozen=True):
    """An AdmissionReview that asks."""

    request: Request


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer depends on, as it is now. ``sets`` are those to inject by: none where OpenKruise does it.

    ``revisions`` are all that there are, where one of the sets that are for the pod names one.
    """

    destination: DestinationSettings
    namespace_labels: Mapping[str, str]
    sets: Sequence[SidecarSet]
    revisions: Sequence[Revision] = ()


def read_review(body: bytes) -> Request:
    """The question. Raises SpecError where it is none."""
    try:
        return msgspec.json.decode(body, type=Review).request
    except msgspec.MsgspecError as exc:
        raise SpecError(f"this is no AdmissionReview of an object that is written: {exc}") from exc


def answer(request: Request, cluster: Cluster, now: datetime) -> Json:
    """The AdmissionReview that answers: with a patch where the pod is to be another one.

    A pod whose annotations cannot be read for the injection is refused, as OpenKruise does, and so is one for which a
    set names a revision that there is not.
    """
    try:
        made = admitted(request.object, request.namespace, cluster, now)
    except SpecError as exc:
        return _refused(request, str(exc))
    response: Json = {"uid": request.uid, "allowed": True}
    if patch := json_patch(request.object, made):
        response |= {"patchType": "JSONPatch", "patch": b64encode(msgspec.json.encode(patch)).decode()}
    return _review(response)


def answer_on_set(request: Request, others: Sequence[SidecarSet], revisions: Sequence[Revision] | None) -> Json:
    """The AdmissionReview that answers one about a SidecarSet, by what OpenKruise refuses: all of it at once.

    Where the ``revisions`` are None, and so unknown, it may name any.
    """
    try:
        written = sidecar_set(request.object)
        told = [*findings(written), *with_others(written, others)]
        if revisions is not None:
            told += unknown_revision(written, revisions)
        if request.old_object is not None:
            told += with_older(written, sidecar_set(request.old_object))
    except SpecError as exc:
        return _refused(request, str(exc))
    return _refused(request, "; ".join(map(str, told))) if told else allowed(request)


def allowed(request: Request) -> Json:
    """The AdmissionReview that lets it be written as it is."""
    return _review({"uid": request.uid, "allowed": True})


def admitted(pod: Json, namespace: str, cluster: Cluster, now: datetime) -> Json:
    """The pod as it is to be created: its destination first, then, if that is a virtual node, its sidecars.

    Raises SpecError where an annotation of the pod cannot be read or merged, or a set names a revision that there is
    not.
    """
    made = destined(pod, cluster.namespace_labels, cluster.destination)
    if not is_labelled(made):
        return made
    return inject(made, [pinned(each, cluster.revisions) for each in _matching(made, namespace, cluster)], now)


def sets_for(pod: Json, namespace: str, cluster: Cluster) -> Sequence[SidecarSet]:
    """The sets that a pod is injected by when it is created: none where it is not meant for virtual nodes."""
    return _matching(destined(pod, cluster.namespace_labels, cluster.destination), namespace, cluster)


def _matching(made: Json, namespace: str, cluster: Cluster) -> Sequence[SidecarSet]:
    """The same of a pod that has been told of its destination."""
    return matching(made, namespace, cluster.namespace_labels, cluster.sets) if is_labelled(made) else ()


def _refused(request: Request, why: str) -> Json:
    status = {"code": 422, "reason": "Invalid", "message": why}
    return _review({"uid": request.uid, "allowed": False, "status": status})


def _review(response: Json) -> Json:
    return {"apiVersion": _VERSION, "kind": "AdmissionReview", "response": response}
