"""Which SidecarSets a pod is injected by (pkg/control/sidecarcontrol/util.go PodMatchedSidecarSet)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vkprovider.model.selectors import is_empty, selects
from vkprovider.sidecarset.model import SidecarSet

_OVER = ("Succeeded", "Failed")


def matching(
    pod: Mapping[str, Any], namespace: str, namespace_labels: Mapping[str, str], sets: Sequence[SidecarSet]
) -> tuple[SidecarSet, ...]:
    """The sets that are for a pod of that namespace, in the order of their names; none for a pod that is over or
    being deleted, and none that is paused.
    """
    if not _active(pod):
        return ()
    found = (
        candidate
        for candidate in sets
        if not candidate.spec.injection_strategy.paused and covers(candidate, pod, namespace, namespace_labels)
    )
    return tuple(sorted(found, key=lambda match: match.name))


def covers(candidate: SidecarSet, pod: Mapping[str, Any], namespace: str, namespace_labels: Mapping[str, str]) -> bool:
    """Whether the set's selector, namespace and namespaceSelector hold for the pod as it is now."""
    spec = candidate.spec
    if spec.namespace not in ("", namespace or "default"):
        return False
    if spec.namespace_selector is not None and not selects(spec.namespace_selector, namespace_labels):
        return False
    if spec.selector is None or is_empty(spec.selector):
        return False  # OpenKruise refuses such a set; were it there, it would be for no pod
    return selects(spec.selector, (pod.get("metadata") or {}).get("labels") or {})


def _active(pod: Mapping[str, Any]) -> bool:
    over = (pod.get("status") or {}).get("phase") in _OVER
    return not over and not (pod.get("metadata") or {}).get("deletionTimestamp")
