"""What is counted of pods: at each look of a worker what it had heard, what has ended, and what is published of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from vkprovider.core import actions as a
from vkprovider.core.actions import Decision
from vkprovider.core.exits import reason
from vkprovider.core.phase import FAILED, OVER, PENDING
from vkprovider.core.record import PodRecord, Stop
from vkprovider.core.sidecars import Kind, classify
from vkprovider.core.view import PodView
from vkprovider.model.engine import PullProgress
from vkprovider.model.observed import ContainerState, Run
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodUID
from vkprovider.telemetry import catalogue as c
from vkprovider.telemetry.meter import Labels, Meter
from vkprovider.telemetry.words import kind_of, plugin_of, size_of, type_of

KILLED = 137
HTTP_FALLBACK = "LifecycleHTTPFallback"  # the event's reason
STATUSES = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


class _Seen(msgspec.Struct, kw_only=True):
    """A pod as of the last look. It is ``pending`` until it runs; ``forgiven`` are the ends that have been counted."""

    pod: Pod
    kinds: Mapping[str, Kind]  # of each container that the pod declares
    record: PodRecord
    forgiven: frozenset[str]
    pending: bool = False
    over: bool = False
    volumes_made: bool = False

    def kind(self, container: str) -> Kind:
        """What is there but is not declared, as of a pod whose object nobody knows any more, is any container."""
        return self.kinds.get(container, Kind.APP)


class PodNumbers:
    """A ``Watcher`` that counts. Labels have the kinds of containers, never names: there is no end of those."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._pods: dict[PodUID, _Seen] = {}

    def looked(self, view: PodView, decision: Decision) -> None:
        seen = self._seen(view)
        for news in view.news:
            self._count_news(view, seen, news)
        self._meter.count(c.STARTED_PODS, by=sum(isinstance(each, a.CreateSandbox) for each in decision.actions))
        self._count_ends(view, seen, decision)
        self._count_start(view, seen, decision)
        if view.eviction is not None and view.eviction.signal and view.record.ending is None:
            self._meter.count(c.EVICTIONS, view.eviction.signal, by=decision.record.ending is not None)
        seen.record, seen.volumes_made = decision.record, decision.memory.volumes_ready
        if decision.gone:
            del self._pods[view.pod.uid]

    def pulling(self, pod: Pod, container: str, progress: PullProgress) -> None:
        """Of no interest before it is done."""

    def take_stock(self) -> None:
        """Set the gauges: what there is of pods, containers and volumes now."""
        running: Counter[Labels] = Counter(
            (kind_of(s.kind(each.name)),) for s in self._pods.values() for each in _running(s.record)
        )
        self._meter.put(c.CONTAINERS, running)
        volumes: Counter[Labels] = Counter()
        for seen in self._pods.values():
            for volume in () if seen.over else seen.pod.spec.volumes:
                volumes[plugin_of(volume), "desired_state_of_world"] += 1
                volumes[plugin_of(volume), "actual_state_of_world"] += seen.volumes_made
        self._meter.put(c.VOLUMES, volumes)

    def _seen(self, view: PodView) -> _Seen:
        """What is known of the pod. What had ended before this process looked is counted by nobody any more."""
        seen = self._pods.get(view.pod.uid)
        if seen is None or seen.pod is not view.pod:
            kinds = {role.name: role.kind for role in classify(view.pod).all}
            if seen is None:
                old = frozenset(each.id for each in _over(view.record))
                seen = self._pods[view.pod.uid] = _Seen(pod=view.pod, kinds=kinds, record=view.record, forgiven=old)
            seen.pod, seen.kinds = view.pod, kinds
        return seen

    def _count_news(self, view: PodView, seen: _Seen, news: a.News) -> None:
        match news:
            case a.SandboxFailed():
                self._meter.count(c.STARTED_PODS_ERRORS)
            case a.ContainerStarted(key=name, container_id=started):
                self._meter.count(c.STARTED_CONTAINERS, type_of(seen.kind(name)))
                self._meter.count(c.STARTS, kind_of(seen.kind(name)))
                instance = view.observed.by_id(started)
                again = instance is not None and instance.attempt > 0
                self._meter.count(c.RESTARTS, kind_of(seen.kind(name)), by=again)
            case a.StartFailed(key=name, reason=why):
                self._meter.count(c.STARTED_CONTAINERS, type_of(seen.kind(name)))
                self._meter.count(c.STARTED_CONTAINERS_ERRORS, type_of(seen.kind(name)), why)
            case a.PullDone(seconds=seconds, size_bytes=size) if seconds is not None:
                self._meter.observe(c.IMAGE_PULL, seconds, size_of(size))
            case a.Warned(reason=why) if why == HTTP_FALLBACK:
                self._meter.count(c.HTTP_FALLBACKS)

    def _count_ends(self, view: PodView, seen: _Seen, decision: Decision) -> None:
        known = {each.id for each in _over(view.record)}
        for instance in _over(decision.record):
            if instance.id not in known:
                stop = decision.record.stops.get(instance.id) or view.record.stops.get(instance.id)
                self._count_end(view, instance, kind_of(seen.kind(instance.name)), stop)
        shown = set(_shown_as_success(decision.status))
        for instance in _over(decision.record):
            if instance.exit_code and instance.id in shown - seen.forgiven:
                self._meter.count(c.FORGIVEN, kind_of(seen.kind(instance.name)))
                seen.forgiven |= {instance.id}

    def _count_end(self, view: PodView, instance: ContainerState, kind: str, stop: Stop | None) -> None:
        self._meter.count(c.EXITS, kind, reason(instance))
        if stop is None or stop.term_at is None or instance.finished_at is None:
            return
        self._meter.observe(c.STOPS, max(0.0, (instance.finished_at - stop.term_at).total_seconds()), kind)
        killed = stop.kill_sent or _being_killed(view, instance)
        self._meter.count(c.KILLS, kind, by=killed and instance.exit_code == KILLED)

    def _count_start(self, view: PodView, seen: _Seen, decision: Decision) -> None:
        phase, began = decision.status["phase"], decision.record.start_time
        if seen.pending and phase not in (PENDING, FAILED) and began is not None:
            self._meter.observe(c.POD_START, (view.now - began).total_seconds())
        seen.pending, seen.over = phase == PENDING, phase in OVER


def _being_killed(view: PodView, instance: ContainerState) -> bool:
    """Whether it has been sent KILL and nobody has heard yet that it was: an end may be seen sooner."""
    action = view.in_flight.get(instance.name)
    return isinstance(action, a.SignalContainer) and action.signal == "KILL"


def _over(record: PodRecord) -> Iterator[ContainerState]:
    return (each for each in (*record.newest, *record.lost) if each.run is Run.EXITED)


def _running(record: PodRecord) -> Iterator[ContainerState]:
    return (each for each in record.newest if each.run is Run.RUNNING)


def _shown_as_success(status: Mapping[str, Any]) -> Iterator[str]:
    """The IDs of the instances that a v1.PodStatus says have ended with 0."""
    listed: Iterable[dict[str, Any]] = (each for key in STATUSES for each in status.get(key, ()))
    ends = (each["state"]["terminated"] for each in listed if "terminated" in each.get("state", ()))
    return (end["containerID"].removeprefix("docker://") for end in ends if end["exitCode"] == 0)
