"""The display on a terminal: the live tree, output and notes above it, and the bars at the end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TextIO

from rich.console import Console, ConsoleDimensions, Group
from rich.live import Live
from rich.text import Text

from vkprovider.standalone.bars import bars, endings
from vkprovider.standalone.chronicle import Chronicle
from vkprovider.standalone.job_view import JobEvent
from vkprovider.standalone.log_view import LineAssembler, Output, prefix_width
from vkprovider.standalone.plain import Recorded
from vkprovider.standalone.timeline import timeline
from vkprovider.standalone.tree import Sheet, tree
from vkprovider.standalone.wording import clean

USUAL_SIZE = (80, 24)
HINT = "Ctrl-C: stop in order, twice: kill"
_COLOURS = ("cyan", "magenta", "yellow", "blue", "green", "bright_cyan", "bright_magenta", "bright_blue")


class Terminal:
    """Draws at most eight times a second, and only what looks different; ages make that once a second."""

    period = 0.125
    tick = 1.0

    def __init__(self, stream: TextIO, now: Callable[[], datetime]) -> None:
        self._stream = stream
        self._console = Console(file=stream, force_terminal=True, highlight=False, markup=False, emoji=False)
        self._now = now
        self._live: Live | None = None
        self._shown: list[Text] = []
        self._assembler = LineAssembler()
        self._colours: dict[str, str] = {}
        self._width = 0
        self._over = False

    def changed(self, before: Chronicle, after: Chronicle, events: Sequence[Recorded], at: datetime) -> Iterator[Text]:
        """Nothing is said about changes and events: the tree shows them, and the warnings that matter."""
        yield from ()

    def job_event(self, job: str, event: JobEvent, at: datetime) -> Iterator[Text]:
        """Only warnings are said: what a Job does in the normal course of things is in the tree."""
        if event.type == "Warning":
            yield from self.note(f"Job {job}: {event.reason}: {event.message}", at)

    def note(self, text: str, at: datetime) -> Iterator[Text]:
        yield Text(clean(text), style="bold yellow")

    def summary(self, chronicle: Chronicle, at: datetime) -> Iterator[Text]:
        """The last tree, the bars and the sentences; nothing is live any more."""
        self._over = True
        sheet = self._sheet(high=False)
        yield from tree(chronicle, at, sheet)
        line = timeline(chronicle, at)
        if any(row.segments for band in line.bands for row in band.rows):
            yield Text()
            yield from bars(line, sheet)
        yield Text()
        yield from endings(line, sheet)

    def write(self, batch: Sequence[Text | Output], chronicle: Chronicle) -> None:
        lines: list[Text] = []
        for item in batch:
            if isinstance(item, Text):
                lines.append(item)
            else:
                lines += self._logged(item, chronicle)
        if self._over:
            self._stop()
        if lines:
            self._console.print(Group(*lines), crop=False)
        if not self._over:
            self._draw(chronicle)

    def close(self, chronicle: Chronicle) -> None:
        """Leave the terminal as it was found, with the last tree in it even where the run did not come to its end."""
        self._stop()
        if not self._over:
            self._console.print(Group(*tree(chronicle, self._now(), self._sheet(high=False))))

    def _draw(self, chronicle: Chronicle) -> None:
        lines = tree(chronicle, self._now(), self._sheet(high=True))
        if not lines or lines == self._shown:
            return
        self._shown = lines
        if self._live is None:
            # What others write to the same terminal meanwhile is put above the tree; what is meant for a file is not.
            ours = sys.stderr.isatty()
            self._live = Live(
                console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=ours
            )
            self._live.start()
        self._live.update(Group(*lines, Text(), Text(HINT, style="dim")), refresh=True)

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _sheet(self, *, high: bool) -> Sheet:
        """The terminal as it is now: it may have been resized. One that does not know its size gets the usual one."""
        try:
            width, height = os.get_terminal_size(self._stream.fileno())
        except OSError:
            width, height = 0, 0
        width, height = (width, height) if width and height else USUAL_SIZE
        self._console.size = ConsoleDimensions(width, height)
        room = max(3, height - 3)  # the hint, the empty line above it, and the line of the cursor
        return Sheet(width=width, height=room if high else None, unicode=not self._console.options.ascii_only)

    def _logged(self, piece: Output, chronicle: Chronicle) -> Iterator[Text]:
        self._width = max(self._width, prefix_width(chronicle))
        colour = self._colours.setdefault(piece.source, _COLOURS[len(self._colours) % len(_COLOURS)])
        for stream, text in self._assembler.feed(piece):
            bar = (" | ", "red" if stream == "stderr" else "dim")
            line = Text.assemble((piece.source.ljust(self._width), colour), bar, text)
            # The terminal wraps it, so that what is copied from there is the line as it was.
            line.no_wrap, line.overflow = True, "ignore"
            yield line
