"""A run as bars over time: what ``bars`` draws on a terminal and ``svg`` as a picture. Pure.

Seconds count from the first thing that happened: a pod's first look, a pull, a container's creation.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

import msgspec

from vkprovider.standalone.chronicle import Chronicle, ContainerStory, Instance, PodStory
from vkprovider.standalone.explain import ending_text, exit_text, job_text, pod_text
from vkprovider.standalone.wording import age_text, clean

_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


class Phase(StrEnum):
    """What a container is doing. BACKOFF is the wait between two runs; TERM and KILL last until its end."""

    PULL = "pull"
    START = "start"
    RUN = "running"
    TERM = "TERM"
    KILL = "KILL"
    BACKOFF = "back-off"


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One phase of one container, in seconds since the timeline's origin."""

    phase: Phase
    begin: float
    end: float


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One container. ``result`` is its last exit code in short, ``story`` the sentence about its end, ``why`` the rule
    that made it a sidecar, "" for others.
    """

    name: str
    kind: str
    segments: tuple[Segment, ...]
    result: str
    story: str
    why: str


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one pod."""

    name: str
    rows: tuple[Row, ...]


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """``seconds`` is the length of the axis; ``results`` are the sentences about Jobs and lone pods."""

    seconds: float
    bands: tuple[Band, ...]
    results: tuple[str, ...]

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases that occur, in the order of ``Phase``."""
        used = {s.phase for band in self.bands for row in band.rows for s in row.segments}
        return tuple(p for p in Phase if p in used)

    def ticks(self, most: int) -> tuple[tuple[float, str], ...]:
        """At most ``most`` round positions on the axis with their labels, the first at 0."""
        step = next((s for s in _STEPS if self.seconds / s < most), _STEPS[-1])
        return tuple((i * step, _tick(i * step)) for i in range(int(self.seconds / step) + 1))[:most]


def timeline(chronicle: Chronicle, now: datetime) -> Timeline:
    """The bars of everything in the chronicle; what has not ended yet reaches to ``now``."""
    moments = [m for pod in chronicle.pods for m in _moments(pod, now)]
    origin, last = min(moments, default=now), max(moments, default=now)
    results = [job_text(j, now) for j in chronicle.jobs] + [pod_text(p, now) for p in chronicle.lone_pods()]
    bands = tuple(
        Band(name=clean(pod.name), rows=tuple(_row(c, pod, origin, now) for c in pod.containers))
        for pod in chronicle.pods
    )
    return Timeline(seconds=max(0.1, (last - origin).total_seconds()), bands=bands, results=tuple(map(clean, results)))


def _moments(pod: PodStory, now: datetime) -> Iterator[datetime]:
    yield pod.began
    for container in pod.containers:
        for pull in container.pulls:
            yield from (pull.began, pull.ended or pod.ended or now)
        for instance in container.instances:
            yield from (instance.created, instance.finished or pod.ended or now)


def _row(container: ContainerStory, pod: PodStory, origin: datetime, now: datetime) -> Row:
    until = pod.ended or now
    # What comes later is drawn over what came before: a pull within a back-off is seen.
    marks = [
        (Phase.BACKOFF, one.finished, following.created)
        for one, following in pairwise(container.instances)
        if one.finished is not None
    ]
    marks += [(Phase.PULL, pull.began, pull.ended or until) for pull in container.pulls]
    for instance in container.instances:
        marks += _phases(instance, until)
    segments = tuple(
        Segment(phase=phase, begin=(begin - origin).total_seconds(), end=(end - origin).total_seconds())
        for phase, begin, end in marks
        if end > begin
    )
    newest = container.newest
    result = exit_text(newest).removeprefix("exit ") if newest is not None and newest.finished else ""
    return Row(
        name=clean(container.name),
        kind=container.kind,
        segments=segments,
        result=result,
        story=clean(ending_text(container)),
        why=container.why if container.sidecar else "",
    )


def _phases(instance: Instance, until: datetime) -> list[tuple[Phase, datetime, datetime]]:
    """The phases of one run, each up to the next; one that never came about takes no time."""
    end = instance.finished or until
    begins = [
        (Phase.START, instance.created),
        (Phase.RUN, instance.up),
        (Phase.TERM, instance.term),
        (Phase.KILL, instance.kill),
    ]
    came = [(phase, min(begin, end)) for phase, begin in begins if begin is not None]
    ends = [begin for _, begin in came[1:]] + [end]
    return [(phase, begin, upto) for (phase, begin), upto in zip(came, ends, strict=True)]


def _tick(seconds: float) -> str:
    """A position on the axis: ``0.5s``, ``30s``, ``1m30s``, ``2h``."""
    if seconds < 60:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    return age_text(timedelta(seconds=seconds)).replace("m0s", "m").replace("h0m", "h")
