"""Which images go when the disk fills up: the node's own that nobody uses, least recently used first.

A kubelet owns its engine and removes any image (pkg/kubelet/images/image_gc_manager.go). This one may share it with
its user, so it removes only what it has pulled itself, and what has had no other name since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

import msgspec

NEVER = 100  # a threshold that no disk gets over


class ImagePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """From ``high`` percent of the disk on, images go until it is down to ``low``. None goes that was not known for
    ``min_age``. Those that were not used for ``max_age`` go at any time; None switches that off.
    """

    high: int = 85
    low: int = 80
    min_age: timedelta = timedelta(minutes=2)
    max_age: timedelta | None = None

    @property
    def off(self) -> bool:
        return self.high >= NEVER and self.max_age is None


class KnownImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image that this node has pulled, under ``names`` alone, and that is still there.

    ``last_used`` is the last look that found it in use, None if none did.
    """

    id: str
    size: int
    names: frozenset[str]
    first_seen: datetime
    last_used: datetime | None = None


def bytes_to_free(policy: ImagePolicy, capacity: int, available: int) -> int:
    """How much is to go of a disk with so many bytes, 0 while it is not over the threshold."""
    available = min(available, capacity)
    if capacity <= 0 or 100 - available * 100 // capacity < policy.high:
        return 0
    return max(0, capacity * (100 - policy.low) // 100 - available)


def unused(
    known: Iterable[KnownImage], in_use: Collection[str], names: Mapping[str, Collection[str]]
) -> list[KnownImage]:
    """Those that may go, in the order in which they do. ``names`` are all that each image has in the engine now.

    One that somebody has given another name to is not only this node's any more.
    """
    free = (each for each in known if each.id not in in_use and each.names.issuperset(names.get(each.id, ())))
    return sorted(
        free, key=lambda each: (each.last_used is not None, each.last_used or each.first_seen, each.first_seen)
    )


def too_old(policy: ImagePolicy, free: Iterable[KnownImage], now: datetime, began: datetime) -> Iterator[KnownImage]:
    """Those that were not used for too long, once this process itself has looked on for so long."""
    if policy.max_age is None or now - began <= policy.max_age:
        return
    for image in free:
        if image.last_used is None or now - image.last_used > policy.max_age:
            yield image


def old_enough(policy: ImagePolicy, free: Iterable[KnownImage], now: datetime) -> Iterator[KnownImage]:
    """Those that are not for a container that is just about to be made."""
    return (image for image in free if now - image.first_seen >= policy.min_age)


def too_little(wanted: int, freed: int) -> str:
    """What is said where not enough could go."""
    return (
        "Failed to garbage collect required amount of images. "
        f"Attempted to free {wanted} bytes, but only found {freed} bytes eligible to free."
    )
