"""Which events are sent, and which only counted (client-go tools/record/events_cache.go).

An event that was seen before is the same one with a higher count. Ten that differ in nothing but their message, within
ten minutes, become one that says so. And nobody gets more than 25 at once about one object, and then one in 5 minutes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec

Json = dict[str, Any]
V = TypeVar("V")

REMEMBERED = 4096  # keys of each sort; the ones unused for the longest time are forgotten
SIMILAR = 10
SIMILAR_WITHIN = timedelta(minutes=10)
BURST = 25
REFILL_SECONDS = 300.0


class Correlated(msgspec.Struct, frozen=True, kw_only=True):
    """An event to be sent. ``patch`` is for the one that is there already, under the same name; None for a new one."""

    event: Json
    patch: Json | None
    key: tuple[str, ...]


class Correlator:
    """Give it each event, in order, as a whole v1.Event with count 1."""

    def __init__(self) -> None:
        self._seen: _Recent[Json] = _Recent()
        self._similar: _Recent[_Similar] = _Recent()
        self._allowances: _Recent[_Allowance] = _Recent()

    def take(self, event: Json, at: datetime) -> Correlated | None:
        """What is to be sent of it; None for nothing."""
        about = event["involvedObject"]
        source = (*(about.get(key, "") for key in ("kind", "namespace", "name", "uid")), event["type"])
        key = (*source, event["reason"], about.get("fieldPath", ""), event["message"])
        if self._is_one_of_many((*source, event["reason"]), event["message"], at):
            key = (*source, event["reason"])
            event = event | {"message": f"(combined from similar events): {event['message']}"}
        event, patch = self._count(key, event)
        if not self._allowances.get(source, _Allowance).spend(at):
            return None
        return Correlated(event=event, patch=patch, key=key)

    def sent(self, correlated: Correlated, stored: Json) -> None:
        """The API server has it, as ``stored``."""
        self._seen.put(correlated.key, stored)

    def _is_one_of_many(self, key: tuple[str, ...], message: str, at: datetime) -> bool:
        similar = self._similar.get(key, _Similar)
        if similar.latest is None or at - similar.latest > SIMILAR_WITHIN:
            similar.messages.clear()
        similar.latest = at
        similar.messages.add(message)
        if len(similar.messages) < SIMILAR:
            return False
        similar.messages.discard(message)
        return True

    def _count(self, key: tuple[str, ...], event: Json) -> tuple[Json, Json | None]:
        before = self._seen.find(key)
        patch = None
        if before is not None:
            patch = {k: event[k] for k in ("lastTimestamp", "message")} | {"count": before["count"] + 1}
            kept = {"metadata": {k: before["metadata"][k] for k in ("name", "namespace")}}
            event = event | kept | {"firstTimestamp": before["firstTimestamp"]} | patch
        self._seen.put(key, event)
        return event, patch


class _Similar:
    def __init__(self) -> None:
        self.messages: set[str] = set()
        self.latest: datetime | None = None


class _Allowance:
    """A bucket of tokens."""

    def __init__(self) -> None:
        self._tokens = float(BURST)
        self._at: datetime | None = None

    def spend(self, at: datetime) -> bool:
        if self._at is not None:
            gained = (at - self._at).total_seconds() / REFILL_SECONDS
            self._tokens = min(float(BURST), self._tokens + max(0.0, gained))
        self._at = at
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class _Recent(Generic[V]):
    """A dictionary that forgets what has not been used for the longest time."""

    def __init__(self) -> None:
        self._items: OrderedDict[tuple[str, ...], V] = OrderedDict()

    def find(self, key: tuple[str, ...]) -> V | None:
        if key in self._items:
            self._items.move_to_end(key)
        return self._items.get(key)

    def get(self, key: tuple[str, ...], make: Callable[[], V]) -> V:
        found = self.find(key)
        return self.put(key, make()) if found is None else found

    def put(self, key: tuple[str, ...], value: V) -> V:
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > REMEMBERED:
            self._items.popitem(last=False)
        return value
