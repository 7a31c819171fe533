"""Which injected pods get a SidecarSet's new images now, where OpenKruise is not there to see to it.

pkg/controller/sidecarset/{sidecarset_processor,sidecarset_strategy,sidecarset_hotupgrade}.go. Nothing but images can be
changed in a pod: a set that has changed in anything else is for new pods.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from vkprovider.model.selectors import selects
from vkprovider.sidecarset.hashes import HASH, HASH_WITHOUT_IMAGE, set_hashes
from vkprovider.sidecarset.images import Change, emptied, with_new_images
from vkprovider.sidecarset.injected import is_injected, is_ready, is_settled, recorded
from vkprovider.sidecarset.model import NOT_UPDATE, Raw, SidecarSet

UPGRADABLE = "SidecarSetUpgradable"
IMMUTABLE = "UpdateImmutableField"


class Refusal(msgspec.Struct, frozen=True):
    """A pod that cannot be brought to the set's state, and the condition that says so."""

    pod: Raw
    condition: Raw


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """``status`` is what the set's counts of pods. The changes are for now; more come when these have settled."""

    status: dict[str, int]
    changes: tuple[Change, ...] = ()
    refusals: tuple[Refusal, ...] = ()


class _Stood(msgspec.Struct, frozen=True, kw_only=True):
    """A pod of the set. ``upgradable``: nothing but images differs from what it was injected with; None where it does
    not say with what.
    """

    pod: Raw
    updated: bool
    upgradable: bool | None
    ready: bool
    settled: bool


def plan(of: SidecarSet, pods: Iterable[tuple[Raw, Mapping[str, str]]], now: datetime) -> Plan:
    """What is to be done about the set, given all pods that may be its own, each with the labels of its namespace.

    Pods are taken in the order of their names, so that whoever else works on the set plans the same.
    Raises SpecError where a container of the set has a quantity that is none.
    """
    hashes = set_hashes(of)
    own = sorted((pod for pod, labels in pods if is_injected(of, pod, labels)), key=_key)
    stood = [_stood(of, pod, hashes) for pod in own]
    status = {
        "matchedPods": len(stood),
        "updatedPods": sum(each.updated for each in stood),
        "readyPods": sum(each.settled for each in stood),
        "updatedReadyPods": sum(each.updated and each.settled for each in stood),
    }
    resets = tuple(filter(None, (emptied(of, each.pod) for each in stood if each.updated and each.settled)))
    strategy = of.spec.update_strategy
    if strategy.type == NOT_UPDATE or strategy.paused:  # which is no reason to leave two twins at work
        return Plan(status=status, changes=resets)
    changes = (with_new_images(of, pod, now) for pod in _next(of, stood))
    refused = (_refusal(of, each.pod) for each in stood if each.upgradable is False)
    return Plan(status=status, changes=(*resets, *changes), refusals=tuple(filter(None, refused)))


def _stood(of: SidecarSet, pod: Raw, hashes: Mapping[str, str]) -> _Stood:
    image, rest = (recorded(pod, key, of.name) for key in (HASH, HASH_WITHOUT_IMAGE))
    return _Stood(
        pod=pod,
        updated=image == hashes[HASH],
        upgradable=rest == hashes[HASH_WITHOUT_IMAGE] if image and rest else None,
        ready=is_ready(pod),
        settled=is_settled(of, pod),
    )


def _next(of: SidecarSet, stood: Sequence[_Stood]) -> Iterator[Raw]:
    """Pods that may be changed now: those that are not ready, and of the others as many as may be away."""
    strategy = of.spec.update_strategy
    chosen = (each for each in stood if strategy.selector is None or selects(strategy.selector, _labels(each.pod)))
    due = sorted((each for each in chosen if each.upgradable and not each.updated), key=lambda each: each.ready)
    number = len(due) - _share(strategy.partition or 0, len(stood))
    away = sum(each.updated and not each.settled for each in stood)
    budget = _share(strategy.max_unavailable, len(stood)) - away
    for each in _scattered(due, of)[: max(0, number)]:
        if not each.ready:
            yield each.pod
        elif budget > 0:
            budget -= 1
            yield each.pod


def _scattered(due: Sequence[_Stood], of: SidecarSet) -> list[_Stood]:
    """Pods with a label of the scatter strategy spread evenly among the others."""
    order = list(due)
    for key, value in _scatter_labels(due, of):
        those = [each for each in order if _labels(each.pod).get(key) == value]
        others = [each for each in order if _labels(each.pod).get(key) != value]
        places = [((place + 0.5) / len(group), each) for group in (those, others) for place, each in enumerate(group)]
        order = [each for _, each in sorted(places, key=lambda place: place[0])]
    return order


def _scatter_labels(due: Sequence[_Stood], of: SidecarSet) -> Iterable[tuple[str, str]]:
    """The labels of the scatter strategy; the value "*" stands for every one that these pods have."""
    found: dict[tuple[str, str], None] = {}
    for term in of.spec.update_strategy.scatter_strategy:
        present = [_labels(each.pod)[term.key] for each in due if term.key in _labels(each.pod)]
        found |= {(term.key, value): None for value in (present if term.value == "*" else [term.value])}
    return found


def _share(amount: int | str, of: int) -> int:
    """A number of pods, or a percentage of them, rounded down (sidecarset_strategy.go calculateUpgradeCount)."""
    return amount if isinstance(amount, int) else int(amount.removesuffix("%")) * of // 100


def _refusal(of: SidecarSet, pod: Raw) -> Refusal | None:
    """None where the pod says so already."""
    message = f"SidecarSet {of.name} has changed in more than images: delete the pod, and its successor gets it"
    condition = {"type": UPGRADABLE, "status": "False", "reason": IMMUTABLE, "message": message}
    shown = (pod.get("status") or {}).get("conditions") or ()
    return None if any(condition.items() <= each.items() for each in shown) else Refusal(pod, condition)


def _labels(pod: Mapping[str, Any]) -> Mapping[str, str]:
    return pod["metadata"].get("labels") or {}


def _key(pod: Raw) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]
