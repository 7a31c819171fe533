"""The display of ``vkprovider run``: told everything, it shows a live tree on a terminal and plain lines elsewhere."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, TextIO

from vkprovider.core.actions import Decision, PodEvent
from vkprovider.core.view import PodView
from vkprovider.model.engine import LogLine, PullProgress
from vkprovider.model.pod import Pod
from vkprovider.ports import Clock
from vkprovider.standalone.chronicle import Chronicle
from vkprovider.standalone.fold import fold_job, fold_look, fold_progress
from vkprovider.standalone.job_view import JobEvent
from vkprovider.standalone.log_view import Output
from vkprovider.standalone.outlet import Outlet
from vkprovider.standalone.plain import PlainLines, Recorded


class Face(Protocol):
    """How things look. ``write`` and ``close`` run on the outlet's thread, the others on the event loop."""

    @property
    def period(self) -> float: ...

    @property
    def tick(self) -> float | None: ...

    def changed(
        self, before: Chronicle, after: Chronicle, events: Sequence[Recorded], at: datetime
    ) -> Iterable[Any]: ...

    def job_event(self, job: str, event: JobEvent, at: datetime) -> Iterable[Any]: ...

    def note(self, text: str, at: datetime) -> Iterable[Any]: ...

    def summary(self, chronicle: Chronicle, at: datetime) -> Iterable[Any]: ...

    def write(self, batch: Sequence[Any], chronicle: Chronicle) -> None: ...

    def close(self, chronicle: Chronicle) -> None: ...


class Display:
    """A ``Watcher`` and an ``EventSink``. No method blocks; none raises: a display that fails does not stop a pod.

    ::

        async with Display(sys.stdout, clock) as display:
            ...
            display.finish(jobs)

    Leaving the block writes what is left and puts the terminal in order. It waits for the reader, not for ever: one
    that closes the pipe ends the display and not the run.
    """

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self.chronicle = Chronicle()
        self._clock = clock
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name or a log line the encoding lacks ends nothing
        self._face = _face(stream, clock)
        writer = _Writer(self._face, stream, lambda: self.chronicle)
        self._outlet: Outlet[Any] = Outlet(writer, period=self._face.period, tick=self._face.tick)
        self._events: list[Recorded] = []
        self._failed = False

    async def __aenter__(self) -> Display:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._outlet.aclose()

    # --- Watcher and EventSink --------------------------------------------------------------------------------

    def looked(self, view: PodView, decision: Decision) -> None:
        self._fold(lambda chronicle: fold_look(chronicle, view, decision), view.now)

    def pulling(self, pod: Pod, container: str, progress: PullProgress) -> None:
        self._fold(lambda chronicle: fold_progress(chronicle, pod, container, progress))

    def record(self, pod: Pod, event: PodEvent, at: datetime) -> None:
        """Events are shown with the look they belong to, which the worker tells of right after them."""
        self._events.append((pod, event, at))

    # --- what the runner has to tell --------------------------------------------------------------------------

    def job(self, job: Mapping[str, Any]) -> None:
        """A Job as it stands now, with its status: to be called when it is created and whenever that changes."""
        now = self._clock.now()
        self._fold(lambda chronicle: fold_job(chronicle, job, now), now)

    def job_event(self, job: str, event: JobEvent) -> None:
        """An event about a Job, given by its name."""
        self._guarded(lambda: self._say(self._face.job_event(job, event, self._clock.now())))

    def note(self, text: str) -> None:
        """Something the user should know: ``interrupted: stopping in order; Ctrl-C again kills``."""
        self._guarded(lambda: self._say(self._face.note(text, self._clock.now())))

    def log_line(self, pod: Pod, container: str, line: LogLine) -> None:
        """A piece of a container's output. See ``log_view.follow``, which awaits ``log_room`` before each."""
        piece = Output(pod=pod.metadata.name, container=container, stream=line.stream, data=line.data)
        self._outlet.put(piece)

    def log_end(self, pod: Pod, container: str) -> None:
        """No more output comes of this instance: a line without an end is shown now."""
        self._outlet.put(Output(pod=pod.metadata.name, container=container, last=True))

    async def log_room(self) -> None:
        """Return when more output can be taken without it piling up."""
        await self._outlet.room()

    def finish(self, jobs: Iterable[Mapping[str, Any]] = ()) -> None:
        """The run is over: show how it went. ``jobs`` are the Jobs in their last state."""
        for job in jobs:
            self.job(job)
        self._fold(lambda chronicle: chronicle, self._clock.now())  # events that no look has followed
        self._guarded(lambda: self._say(self._face.summary(self.chronicle, self._clock.now())))

    def svg(self) -> str:
        """The timeline as a picture."""
        from vkprovider.standalone.svg import svg  # noqa: PLC0415  only those who ask for it pay for it
        from vkprovider.standalone.timeline import timeline  # noqa: PLC0415

        return svg(timeline(self.chronicle, self._clock.now()))

    # --- inside -----------------------------------------------------------------------------------------------

    def _fold(self, fold: Callable[[Chronicle], Chronicle], at: datetime | None = None) -> None:
        self._guarded(lambda: self._adopt(fold(self.chronicle), at))

    def _adopt(self, after: Chronicle, at: datetime | None) -> None:
        before, self.chronicle = self.chronicle, after
        if at is not None:
            events, self._events = self._events, []
            self._say(self._face.changed(before, after, events, at))
        self._outlet.poke()

    def _say(self, items: Iterable[Any]) -> None:
        for item in items:
            self._outlet.put(item)

    def _guarded(self, act: Callable[[], None]) -> None:
        """A mistake in the display costs the display, never the pods: it is told once, with its place."""
        try:
            act()
        except Exception as exc:
            if not self._failed:
                self._failed = True
                self._say(self._face.note(f"the display failed, the run goes on: {exc!r}", self._clock.now()))


class _Writer:
    """The face as the outlet's thread sees it: with the newest chronicle, and with a stream that may go away."""

    def __init__(self, face: Face, stream: TextIO, newest: Callable[[], Chronicle]) -> None:
        self._face = face
        self._stream = stream
        self._newest = newest

    def write(self, batch: Sequence[Any]) -> None:
        self._face.write(batch, self._newest())

    def close(self) -> None:
        self._face.close(self._newest())

    def lost(self, exc: Exception) -> None:
        """A reader that has gone away is no error of ours: ``vkprovider run ... | head``. All else is told."""
        if not isinstance(exc, BrokenPipeError):
            with contextlib.suppress(OSError, ValueError):
                print(f"vkprovider: nothing more can be shown, the run goes on: {exc!r}", file=sys.stderr, flush=True)
        if isinstance(exc, OSError):
            _point_nowhere(self._stream)


def _point_nowhere(stream: TextIO) -> None:
    """What a dead stream still holds is flushed when Python ends, and would end it with code 120."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def is_terminal(stream: TextIO) -> bool:
    """Whether a live tree can be drawn there."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def _face(stream: TextIO, clock: Clock) -> Face:
    if not is_terminal(stream):
        return PlainLines(stream)
    from vkprovider.standalone.terminal import Terminal  # noqa: PLC0415  rich is slow to import

    return Terminal(stream, clock.now)
