"""What a pod shows of a SidecarSet that it was injected by (pkg/controller/sidecarset/sidecarset_processor.go)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vkprovider.errors import SpecError
from vkprovider.sidecarset.matching import covers
from vkprovider.sidecarset.model import SidecarSet
from vkprovider.sidecarset.records import injected_sets, recorded_hash, recorded_revision
from vkprovider.sidecarset.twins import is_doubled, twin_names

Json = dict[str, Any]

_OVER = ("Succeeded", "Failed")


def kept(pod: Mapping[str, Any]) -> Json:
    """As much of a pod as is looked at here, for those who keep many."""
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    of_meta = ("name", "namespace", "uid", "resourceVersion", "labels", "annotations", "deletionTimestamp")
    images = [{"name": each["name"], "image": each.get("image")} for each in spec.get("containers") or ()]
    return {
        "metadata": {key: meta[key] for key in of_meta if key in meta},
        "spec": {"containers": images},
        "status": {key: status[key] for key in ("phase", "conditions", "containerStatuses") if key in status},
    }


def sidecar_names(of: SidecarSet) -> frozenset[str]:
    """The containers that a pod has of the set, without init containers."""
    return frozenset(
        name
        for rules in of.spec.containers
        for name in (twin_names(rules.name) if is_doubled(rules, init=False) else (rules.name,))
    )


def is_injected(of: SidecarSet, pod: Mapping[str, Any], namespace_labels: Mapping[str, str]) -> bool:
    """Whether it is alive, matches, says that the set has injected it, and has all that the set has."""
    meta = pod["metadata"]
    if meta.get("deletionTimestamp") or (pod.get("status") or {}).get("phase") in _OVER:
        return False
    has = {each["name"] for each in pod["spec"].get("containers") or ()}
    if of.name not in injected_sets(pod) or not sidecar_names(of) <= has:
        return False
    return covers(of, pod, meta.get("namespace", ""), namespace_labels)


def recorded(pod: Mapping[str, Any], key: str, name: str) -> str:
    """The hash of the set that the pod was injected by; "" where it does not say so in words that can be read."""
    try:
        return recorded_hash(pod, key, name)
    except SpecError:
        return ""


def revisions_of(of: SidecarSet, pods: Iterable[tuple[Json, Mapping[str, str]]]) -> frozenset[str]:
    """The ControllerRevisions of the set that its pods say they were injected by; each pod with the labels of its
    namespace.
    """
    return frozenset(_revision(pod, of.name) for pod, labels in pods if is_injected(of, pod, labels))


def _revision(pod: Json, name: str) -> str:
    try:
        return recorded_revision(pod, name)
    except SpecError:
        return ""


def is_ready(pod: Mapping[str, Any]) -> bool:
    status = pod.get("status") or {}
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or ()}
    return status.get("phase") == "Running" and conditions.get("Ready") == "True"


def is_settled(of: SidecarSet, pod: Mapping[str, Any]) -> bool:
    """Ready, with its sidecars being of the images that they are to be."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    shown = {each["name"]: each.get("image") for each in statuses}
    names = sidecar_names(of)
    return is_ready(pod) and all(
        shown.get(each["name"]) == each["image"] for each in pod["spec"]["containers"] if each["name"] in names
    )
