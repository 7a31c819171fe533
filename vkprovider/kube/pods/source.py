"""From the pods of the API to the node: which are new, which have changed in a way that matters, which are to end.

What the node hears of is a pod's specification and its wish to be deleted; its own status comes back from the API with
every write, and wakes nobody. A pod whose object is gone, deleted by force or while nobody looked, is ended as one that
is deleted. Nothing is ended before the first list has said which pods there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, Protocol, TypeVar

import structlog

from vkprovider.core.actions import PodEvent
from vkprovider.core.admission import UNSUPPORTED, Rejection
from vkprovider.core.allocation import as_allocated
from vkprovider.core.claims import Claim, claim_if_readable
from vkprovider.core.phase import OVER
from vkprovider.core.record import PodRecord
from vkprovider.core.unhonoured import unhonoured
from vkprovider.errors import SpecError
from vkprovider.kube.client import Json
from vkprovider.kube.node.door import TurnedAway, turn_away
from vkprovider.kube.pods.objects import bare, ended, is_over, leave_a_second, mark_of, over_record, read, slim
from vkprovider.kube.reflector import Changed, Removed, Replaced, Update
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.model.refs import PodUID
from vkprovider.ports import Clock, EventSink

ORPHANS_GRACE = 1  # seconds (pkg/kubelet/kubelet_pods.go HandlePodCleanups)
log = structlog.get_logger()


class Node(Protocol):
    """The part of the node that a source needs: ``node.dispatcher.Dispatcher`` has it."""

    @property
    def workers(self) -> Mapping[PodUID, object]: ...

    def sync(self, pod: Pod, record: PodRecord | None = None) -> None: ...

    def claim(self, uid: PodUID) -> Claim | None: ...


class Statuses(Protocol):
    """Where statuses are written: ``StatusWriter``."""

    def publish(self, pod: Pod, status: dict[str, Any]) -> None: ...

    def gone(self, pod: Pod) -> None: ...

    def seen(self, raw: Json) -> None: ...

    def vanished(self, pod: Pod) -> None: ...

    def phase(self, uid: PodUID) -> str: ...

    def is_gone(self, uid: PodUID) -> bool: ...


class LeftBehind(Protocol):
    """A pod that an earlier process had here: ``node.checkpoint.Saved``."""

    @property
    def record(self) -> PodRecord: ...

    @property
    def pod(self) -> Json: ...


Left = TypeVar("Left", bound=LeftBehind)


def of_namespace(namespace: str, left: Mapping[PodUID, Left]) -> dict[PodUID, Left]:
    """Those in the namespace that the node is for, "" for all: of others it is not told whether they still exist."""
    return {u: each for u, each in left.items() if namespace in ("", (each.pod.get("metadata") or {}).get("namespace"))}


def let_everyone_in(pod: Pod, others: Iterable[Claim]) -> None:
    """A door that is open."""


class PodSource:
    """Give ``run`` the updates of a ``Reflector`` of the node's pods. ``listed`` is set when it has had the first list.

    ``door`` decides on pods that no process has let in yet; ``left`` is what earlier processes left, by uid.
    """

    def __init__(
        self,
        node: Node,
        statuses: Statuses,
        events: EventSink,
        clock: Clock,
        door: Callable[[Pod, Iterable[Claim]], TurnedAway | None] = let_everyone_in,
        left: Mapping[PodUID, LeftBehind] | None = None,
    ) -> None:
        self.listed = asyncio.Event()
        self._node = node
        self._statuses = statuses
        self._events = events
        self._clock = clock
        self._door = door
        self._left = dict(left or {})
        self._known: dict[PodUID, _Known] = {}

    @property
    def pods(self) -> tuple[Pod, ...]:
        """The pods whose objects exist, those included that were turned away."""
        return tuple(known.pod for known in self._known.values())

    def known(self) -> frozenset[PodUID]:
        """The uids of all pods that are anybody's business: they have an object, or still end without one."""
        return frozenset(self._known.keys() | self._node.workers.keys())

    def end_unknown(self, pod: Pod) -> None:
        """End what an earlier process left, and neither the API nor its own record knows any more."""
        log.warning("containers of a pod that nobody knows; ending them", pod=str(pod.key), uid=pod.uid)
        self._statuses.vanished(pod)
        self._node.sync(ended(pod, self._clock.now(), ORPHANS_GRACE))

    async def run(self, updates: AsyncIterator[Update]) -> None:
        async for update in updates:
            self.take(update)

    def take(self, update: Update) -> None:
        """Take one update in."""
        match update:
            case Replaced(objects):
                for raw in sorted(objects, key=lambda raw: raw["metadata"].get("creationTimestamp") or ""):
                    self._take(raw)
                there = {PodUID(raw["metadata"]["uid"]) for raw in objects}
                for uid in self._known.keys() - there:
                    self._lose(uid)
                self._end_orphans()
                self.listed.set()
            case Changed(raw):
                self._take(raw)
            case Removed(raw):
                uid = PodUID(raw["metadata"]["uid"])
                if uid in self._known:
                    self._take(raw)
                    self._lose(uid)

    # --- one pod ----------------------------------------------------------------------------------------------

    def _take(self, raw: Json) -> None:
        """An object as it is now. Whatever is wrong with one pod, the others go on."""
        uid = PodUID(raw["metadata"]["uid"])
        try:
            self._statuses.seen(raw)
            known = self._known.get(uid)
            if known is None:
                self._meet(uid, slim(raw))
            else:
                self._follow(known, slim(raw))
        except Exception:
            log.exception("a pod cannot be taken in", pod=raw["metadata"].get("name"), uid=uid)

    def _meet(self, uid: PodUID, raw: Json) -> None:
        """A pod that this process sees for the first time."""
        left = self._left.pop(uid, None)
        record = left.record if left is not None else None
        try:
            pod = read(raw, left.pod if left is not None else None)
            going = is_over(raw) or pod.metadata.deletion_timestamp is not None
            turned_away = self._door(pod, self._claims()) if record is None and not going else None
        except SpecError as exc:
            pod = bare(raw)
            turned_away = turn_away(pod, Rejection(reason=exc.reason, message=str(exc)), self._clock)
        if turned_away is not None:
            self._turn_away(uid, raw, pod, turned_away)
            return
        known = self._known[uid] = _Known(pod, raw)
        known.given = as_allocated(pod, record) if record is not None else pod
        if is_over(raw):
            record = over_record(pod, record, self._clock.now())
        elif record is None:
            self._tell_unhonoured(pod, {})
        self._node.sync(leave_a_second(pod), record)

    def _follow(self, known: _Known, raw: Json) -> None:
        """A pod that is known, as it is now."""
        uid = known.pod.uid
        before, known.mark = known.mark, mark_of(raw)
        overruled = is_over(raw) and not known.over and self._statuses.phase(uid) not in OVER
        known.over = known.over or is_over(raw)
        if self._statuses.is_gone(uid) or (known.mark == before and not overruled):
            return
        if known.turned_away:
            if raw["metadata"].get("deletionTimestamp"):
                self._statuses.gone(known.pod)
            return
        earlier, known.pod = known.pod.raw["spec"], read(raw, known.pod.raw)
        self._tell_unhonoured(known.pod, earlier)
        if overruled:
            log.warning("somebody else has said that a pod is over; ending it", pod=str(known.pod.key), uid=uid)
        self._node.sync(leave_a_second(known.pod))

    def _lose(self, uid: PodUID) -> None:
        """Its object is gone."""
        known = self._known.pop(uid, None)
        if known is None:
            return
        gone = self._statuses.is_gone(uid)
        self._statuses.vanished(known.pod)
        if gone:
            return
        if known.turned_away:
            self._statuses.gone(known.pod)
        else:
            self._node.sync(ended(known.pod, self._clock.now()))

    def _end_orphans(self) -> None:
        """What an earlier process left, and the API no longer has."""
        for uid, left in self._left.items():
            try:
                pod = decode_pod(left.pod)
            except SpecError as exc:
                log.error("a pod that is left over cannot be read, nor ended", uid=uid, error=str(exc))
                continue
            log.info("a pod was deleted while nobody looked; ending it", pod=str(pod.key), uid=uid)
            self._statuses.vanished(pod)
            self._node.sync(ended(pod, self._clock.now(), ORPHANS_GRACE), left.record)
        self._left.clear()

    def _turn_away(self, uid: PodUID, raw: Json, pod: Pod, turned_away: TurnedAway) -> None:
        known = self._known[uid] = _Known(pod, raw)
        known.turned_away = True
        if not is_over(raw):
            self._statuses.publish(pod, turned_away.status)
            if turned_away.event is not None:
                self._events.record(pod, turned_away.event, self._clock.now())
        if pod.metadata.deletion_timestamp is not None:
            self._statuses.gone(pod)

    def _tell_unhonoured(self, pod: Pod, earlier: Json) -> None:
        """One event for what the pod asks for in vain, and has not asked for earlier."""
        if pod.raw["spec"] == earlier:
            return
        told, now = unhonoured(earlier), unhonoured(pod.raw["spec"])
        news = [sentence for sentence in (*now.refused, *now.warned) if sentence not in (*told.refused, *told.warned)]
        if news:
            event = PodEvent(type="Warning", reason=UNSUPPORTED, message="; ".join(news))
            self._events.record(pod, event, self._clock.now())

    def _claims(self) -> list[Claim]:
        """What the pods need that are let in and not over."""
        living = (k for k in self._known.values() if not (k.turned_away or k.over))
        counted = (k for k in living if self._statuses.phase(k.pod.uid) not in OVER)
        return [self._node.claim(k.pod.uid) or k.claim for k in counted]


class _Known:
    """A pod whose object exists. ``over``: so says the API, be it before the node or after. ``given`` is the pod with
    what it was given of the node, as far as that was known when it was met.
    """

    def __init__(self, pod: Pod, raw: Json) -> None:
        self.pod = self.given = pod
        self.mark = mark_of(raw)
        self.over = is_over(raw)
        self.turned_away = False

    @cached_property
    def claim(self) -> Claim:
        """What it takes of the node; nothing where that cannot be read."""
        return claim_if_readable(self.given)
