"""Plain lines, for logs and for grep: one for each change, flushed as it happens.

::

    HH:MM:SS.mmm SUBJECT  [container/NAME (KIND)  ]WORD [DETAIL]

    12:00:01.123 pod/test-x9k2f  container/sidecar (native sidecar)  Running
    12:00:11.402 pod/test-x9k2f  container/sidecar (native sidecar)  Killing Stopping container sidecar
    12:00:41.498 pod/test-x9k2f  container/sidecar (native sidecar)  Terminated exit 137 -> 0 (Completed)

The format is kept stable. SUBJECT is ``pod/NAME``, ``job/NAME`` or ``vkprovider``; fields are parted by two spaces;
WORD is a phase, a state (Waiting has the waiting reason in its place), ``TERM`` or ``KILL``, the reason of an event
(``Warning REASON`` if it is a warning), or ``Summary`` at the end. Times are local. Container output has lines of its
own form, ``POD/CONTAINER | TEXT``. A line break within a message is written ``\\n``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TextIO

from vkprovider.core.actions import PodEvent
from vkprovider.core.sidecars import Kind, classify
from vkprovider.model.pod import Pod
from vkprovider.standalone.chronicle import Chronicle, ContainerStory, JobStory, PodStory, State
from vkprovider.standalone.explain import ending_text, exit_text, job_text, pod_text
from vkprovider.standalone.fold import container_of
from vkprovider.standalone.job_view import JobEvent
from vkprovider.standalone.log_view import LineAssembler, Output, prefix_width
from vkprovider.standalone.wording import clean, seconds_text, times_text

OWN = "vkprovider"
Recorded = tuple[Pod, PodEvent, datetime]


class PlainLines:
    """The display where there is no terminal."""

    period = 0.0
    tick = None

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._assembler = LineAssembler()
        self._width = 0

    def changed(self, before: Chronicle, after: Chronicle, events: Sequence[Recorded], at: datetime) -> Iterator[str]:
        """A line for each event and for whatever is different: first what ended, as all else follows from that."""
        for job in after.jobs:
            old_job = before.job(job.namespace, job.name)
            if old_job is None or _job_words(old_job) != _job_words(job):
                yield _line(at, f"job/{job.name}", *_job_words(job))
        changed = [(before.pod(pod.uid), pod) for pod in after.pods if before.pod(pod.uid) is not pod]
        for old, pod in changed:
            if old is None:
                yield from _phase_line(old, pod, at)
            yield from _state_lines(old, pod, at, ended=True)
        for pod_of_event, event, when in events:
            yield self._event(pod_of_event, event, when)
        for old, pod in changed:
            yield from _state_lines(old, pod, at, ended=False)
            if old is not None:
                yield from _phase_line(old, pod, at)

    @staticmethod
    def _event(pod: Pod, event: PodEvent, at: datetime) -> str:
        name = container_of(event)
        kind = next((r.kind for r in classify(pod).all if r.name == name), None)
        return _line(at, _subject(pod.metadata.name, name, kind), _event_word(event), event.message)

    def job_event(self, job: str, event: JobEvent, at: datetime) -> Iterator[str]:
        yield _line(at, f"job/{job}", _event_word(event), event.message)

    def note(self, text: str, at: datetime) -> Iterator[str]:
        yield _line(at, OWN, text)

    def summary(self, chronicle: Chronicle, at: datetime) -> Iterator[str]:
        for pod in chronicle.pods:
            for container in pod.containers:
                why = f" ({container.why})" if container.sidecar else ""
                yield _line(
                    at, _subject(pod.name, container.name, container.kind), "Summary", ending_text(container) + why
                )
        for job in chronicle.jobs:
            yield _line(at, f"job/{job.name}", "Summary", job_text(job, at))
        for pod in chronicle.lone_pods():
            yield _line(at, f"pod/{pod.name}", "Summary", pod_text(pod, at))

    def write(self, batch: Sequence[str | Output], chronicle: Chronicle) -> None:
        lines: list[str] = []
        for item in batch:
            if isinstance(item, str):
                lines.append(item)
            else:
                lines += self._logged(item, chronicle)
        if lines:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()

    def _logged(self, piece: Output, chronicle: Chronicle) -> Iterator[str]:
        self._width = max(self._width, prefix_width(chronicle))
        for _, text in self._assembler.feed(piece):
            yield f"{piece.source:{self._width}} | {text}"

    def close(self, chronicle: Chronicle) -> None:
        """Nothing is left to do: every line is flushed."""


def _line(at: datetime, subject: str, *words: str) -> str:
    clock = at.astimezone().strftime("%H:%M:%S.%f")[:-3]
    return f"{clock} {clean(subject)}  {clean(' '.join(word for word in words if word))}"


def _subject(pod: str, container: str, kind: Kind | None) -> str:
    return f"pod/{pod}  container/{container} ({kind})" if container else f"pod/{pod}"


def _event_word(event: PodEvent | JobEvent) -> str:
    return f"Warning {event.reason}" if event.type == "Warning" else event.reason


def _job_words(job: JobStory) -> tuple[str, ...]:
    of = f"/{job.completions}" if job.completions is not None else ""
    counts = f"{job.active} active, {job.succeeded}{of} succeeded, {job.failed} failed"
    if job.condition:
        return job.condition, counts, f"({job.reason})" if job.condition == "Failed" else ""
    return "Suspended" if job.suspended else "Active", counts


def _phase_line(before: PodStory | None, pod: PodStory, at: datetime) -> Iterator[str]:
    if before is None or (before.phase, before.reason) != (pod.phase, pod.reason):
        yield _line(at, f"pod/{pod.name}", pod.phase, pod.reason, pod.message)


def _state_lines(before: PodStory | None, pod: PodStory, at: datetime, *, ended: bool) -> Iterator[str]:
    """Signals and new states, either of containers that do not run now or of all others."""
    for container in pod.containers:
        old = before.container(container.name) if before is not None else None
        subject = _subject(pod.name, container.name, container.kind)
        if ended == (container.state is State.TERMINATED or container.reason == "CrashLoopBackOff"):
            yield from (_line(at, subject, signal) for signal in _signals(old, container))
            if old is None or _state(old) != _state(container):
                yield _line(at, subject, *_state(container), _waits(container))


def _signals(before: ContainerStory | None, container: ContainerStory) -> Iterator[str]:
    """The signals sent since."""
    known = {i.id: i for i in before.instances} if before is not None else {}
    for instance in container.instances:
        old = known.get(instance.id)
        if instance.term is not None and (old is None or old.term is None):
            named = "" if instance.signal == "TERM" else f" as {instance.signal}"
            due = instance.kill_due - instance.term if instance.kill_due is not None else None
            yield f"TERM sent{named}" + (f", KILL in {seconds_text(due)}" if due is not None else "")
        if instance.kill is not None and (old is None or old.kill is None):
            yield "KILL sent"


def _state(container: ContainerStory) -> tuple[str, ...]:
    """The published state in words: a line is written when they change."""
    newest = container.newest
    restarts = f"restarted {times_text(container.restarts)}" if container.restarts else ""
    if container.state is State.TERMINATED:
        return "Terminated", exit_text(newest) if newest is not None else "", f"({container.reason})"
    if container.state is State.RUNNING:
        return "Running" if container.started else "Starting", restarts
    if container.reason == "CrashLoopBackOff":
        return container.reason, exit_text(newest) if newest is not None else "", restarts
    return container.reason or "Waiting", container.message


def _waits(container: ContainerStory) -> str:
    return f"waits for {container.waits_for}" if container.waits_for else ""
