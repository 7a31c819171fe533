"""What the API server is answered when it asks about a pod that is to be created (admission.k8s.io/v1)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from vkprovider.errors import SpecError
from vkprovider.sidecarset.destination import DestinationSettings, destined, is_labelled
from vkprovider.sidecarset.injection import inject
from vkprovider.sidecarset.json_patch import json_patch
from vkprovider.sidecarset.matching import matching
from vkprovider.sidecarset.model import SidecarSet

Json = dict[str, Any]

_VERSION = "admission.k8s.io/v1"


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """The part of an AdmissionRequest that is read. ``object`` is the pod as it would be created."""

    uid: str
    object: Json
    namespace: str = ""


class Review(msgspec.Struct, frozen=True):
    """An AdmissionReview that asks."""

    request: Request


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer depends on, as it is now. ``sets`` are those to inject by: none where OpenKruise does it."""

    destination: DestinationSettings
    namespace_labels: Mapping[str, str]
    sets: Sequence[SidecarSet]


def read_review(body: bytes) -> Request:
    """The question. Raises SpecError where it is none."""
    try:
        return msgspec.json.decode(body, type=Review).request
    except msgspec.MsgspecError as exc:
        raise SpecError(f"this is no AdmissionReview about a pod: {exc}") from exc


def answer(request: Request, cluster: Cluster, now: datetime) -> Json:
    """The AdmissionReview that answers: with a patch where the pod is to be another one.

    A pod whose annotations cannot be read for the injection is refused, as OpenKruise does.
    """
    try:
        made = admitted(request.object, request.namespace, cluster, now)
    except SpecError as exc:
        return _review({"uid": request.uid, "allowed": False, "status": {"code": 422, "message": str(exc)}})
    response: Json = {"uid": request.uid, "allowed": True}
    if patch := json_patch(request.object, made):
        response |= {"patchType": "JSONPatch", "patch": b64encode(msgspec.json.encode(patch)).decode()}
    return _review(response)


def admitted(pod: Json, namespace: str, cluster: Cluster, now: datetime) -> Json:
    """The pod as it is to be created: its destination first, then, if that is a virtual node, its sidecars.

    Raises SpecError where an annotation of the pod cannot be read or merged.
    """
    made = destined(pod, cluster.namespace_labels, cluster.destination)
    if not is_labelled(made):
        return made
    return inject(made, matching(made, namespace, cluster.namespace_labels, cluster.sets), now)


def _review(response: Json) -> Json:
    return {"apiVersion": _VERSION, "kind": "AdmissionReview", "response": response}
