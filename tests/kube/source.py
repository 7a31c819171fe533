"""A pod source in a world that remembers what the source does to it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from tests.kube.pods import pod
from tests.kube.quick_clock import QuickClock
from vkprovider.core.actions import PodEvent
from vkprovider.core.claims import Claim
from vkprovider.core.record import PodRecord
from vkprovider.kube.node.door import TurnedAway
from vkprovider.kube.pods.source import PodSource
from vkprovider.kube.reflector import Replaced, Update
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodUID

U1 = PodUID("u1")
DELETED = {"deletionTimestamp": "2026-01-01T12:00:30Z", "deletionGracePeriodSeconds": 30}


class Saved(msgspec.Struct, frozen=True):
    record: PodRecord
    pod: dict[str, Any]


class World:
    """What a source does to its surroundings: node, status sink and event sink at once."""

    def __init__(self, **options: Any) -> None:
        self.clock = QuickClock()
        self.synced: list[tuple[Pod, PodRecord | None]] = []
        self.published: dict[PodUID, dict[str, Any]] = {}
        self.over: set[PodUID] = set()
        self.lost: set[PodUID] = set()
        self.events: list[PodEvent] = []
        self.claims: dict[PodUID, Claim] = {}
        self.source = PodSource(self, self, self, self.clock, **options)

    @property
    def workers(self) -> dict[PodUID, Pod]:
        return {pod.uid: pod for pod, _ in self.synced if pod.uid not in self.over}

    def claim(self, uid: PodUID) -> Claim | None:
        return self.claims.get(uid)

    def sync(self, pod: Pod, record: PodRecord | None = None) -> None:
        self.synced.append((pod, record))

    def publish(self, pod: Pod, status: dict[str, Any]) -> None:
        self.published[pod.uid] = status

    def gone(self, pod: Pod) -> None:
        self.over.add(pod.uid)

    def seen(self, raw: dict[str, Any]) -> None:
        self.lost.discard(PodUID(raw["metadata"]["uid"]))

    def vanished(self, pod: Pod) -> None:
        self.lost.add(pod.uid)

    def phase(self, uid: PodUID) -> str:
        return str(self.published.get(uid, {}).get("phase", ""))

    def is_gone(self, uid: PodUID) -> bool:
        return uid in self.over

    def record(self, pod: Pod, event: PodEvent, at: datetime) -> None:
        self.events.append(event)

    def take(self, *updates: Update) -> World:
        for update in updates:
            self.source.take(update)
        return self

    @property
    def last(self) -> Pod:
        return self.synced[-1][0]

    def graces(self) -> list[tuple[str, int | None]]:
        """The pods the node was told of, and the grace of their deletion, None for none."""
        return [(p.metadata.name, p.metadata.deletion_grace_period_seconds) for p, _ in self.synced]


def web(**sections: Any) -> dict[str, Any]:
    return pod("web", uid="u1", **sections)


def listed(*pods: dict[str, Any], **options: Any) -> World:
    return World(**options).take(Replaced(pods))


def nobody(pod: Pod, others: Iterable[Claim]) -> TurnedAway:
    return TurnedAway(status={"phase": "Failed"}, event=PodEvent(type="Warning", reason="NodeAffinity", message="no"))
