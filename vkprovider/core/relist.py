"""Which pods to look at though nothing was heard of them: events may get lost.

As in pkg/kubelet/pleg/generic.go, one list of all is compared with the one before, and only what differs is looked at.
What began or ended since shows by its age, though it may stand as before. For whatever a list does not show, each pod
has its turn now and then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from zlib import crc32

import msgspec

from vkprovider.model.observed import Glance
from vkprovider.model.refs import PodUID

TURNS = 10  # of so many relists, each pod is looked at in one
LONGEST_GAP_SECONDS = 45.0  # less than a minute, for so long a glance shows what is fresh


class Relist(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of all pods showed, and when it was asked for: in seconds, of any clock."""

    number: int
    asked_at: float
    glances: Mapping[PodUID, Glance]


def due(uids: Iterable[PodUID], last: Relist | None, this: Relist) -> list[PodUID]:
    """Those of the pods that need a look; all where the last list is too old to be compared with, or there is none."""
    if last is None or this.asked_at - last.asked_at > LONGEST_GAP_SECONDS:
        return list(uids)
    return [uid for uid in uids if _may_have_changed(uid, last, this) or _has_its_turn(uid, this)]


def _may_have_changed(uid: PodUID, last: Relist, this: Relist) -> bool:
    glance = this.glances.get(uid)
    return glance != last.glances.get(uid) or (glance is not None and glance.fresh)


def _has_its_turn(uid: PodUID, this: Relist) -> bool:
    return crc32(uid.encode()) % TURNS == this.number % TURNS
