"""What the status of a SidecarSet counts (pkg/controller/sidecarset/sidecarset_processor.go)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vkprovider.sidecarset.hashes import HASH, set_hashes
from vkprovider.sidecarset.injected import is_injected, is_settled, recorded
from vkprovider.sidecarset.model import SidecarSet

Json = dict[str, Any]


def countable(pod: Mapping[str, Any]) -> Json:
    """As much of a pod as is looked at here, for those who keep many."""
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    kept = ("name", "namespace", "labels", "annotations", "deletionTimestamp")
    groups = ("containers", "initContainers")
    images = {
        key: [{"name": each["name"], "image": each.get("image")} for each in spec.get(key) or ()] for key in groups
    }
    return {
        "metadata": {key: meta[key] for key in kept if key in meta},
        "spec": images,
        "status": {key: status[key] for key in ("phase", "conditions", "containerStatuses") if key in status},
    }


def counted(sidecars: SidecarSet, pods: Iterable[tuple[Mapping[str, Any], Mapping[str, str]]]) -> dict[str, int]:
    """The part of the status that counts ``pods``, each with the labels of its namespace.

    Raises SpecError where a container has a quantity that is none.
    """
    own = [pod for pod, labels in pods if is_injected(sidecars, pod, labels)]
    wanted = set_hashes(sidecars)[HASH]
    updated = [pod for pod in own if recorded(pod, HASH, sidecars.name) == wanted]
    return {
        "matchedPods": len(own),
        "updatedPods": len(updated),
        "readyPods": sum(is_settled(sidecars, pod) for pod in own),
        "updatedReadyPods": sum(is_settled(sidecars, pod) for pod in updated),
    }
