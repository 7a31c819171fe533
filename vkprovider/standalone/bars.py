"""The timeline as text: a bar for each container, an axis in seconds, a legend, and what was done at the end.

::

             0s            10s           20s           30s           40s    exit
    sidecar  ░░░░░██████████████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒✖  137 -> 0
    app           ╌█████████████                                            0
    ░ pull   ╌ start   █ running   ▒ TERM   ✖ KILL
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from vkprovider.standalone.timeline import Phase, Row, Segment, Timeline
from vkprovider.standalone.tree import Sheet

MOST_ROWS = 60  # on a terminal; the picture has them all
NAME_CELLS = 24
LEAST_CELLS = 10
CELLS_PER_TICK = 8

_INKS = {
    Phase.PULL: ("░", ".", "blue"),
    Phase.START: ("╌", "-", "cyan"),
    Phase.RUN: ("█", "=", "green"),
    Phase.TERM: ("▒", "~", "yellow"),
    Phase.KILL: ("✖", "X", "bold red"),
    Phase.BACKOFF: ("·", ":", "dim"),
}
# However short, these are worth a cell of their own.
_ALWAYS = (Phase.PULL, Phase.TERM, Phase.KILL)


def bars(timeline: Timeline, sheet: Sheet) -> list[Text]:
    """The timeline as lines of at most ``sheet.width`` columns."""
    rows = [row for band in timeline.bands for row in band.rows]
    names = min(max((len(r.name) for r in rows), default=0), NAME_CELLS)
    results = max([len("exit"), *(len(r.result) for r in rows)])
    cells = max(LEAST_CELLS, sheet.width - names - results - 4)
    lines = [_axis(timeline, names + 2, cells)]
    for band in timeline.bands:
        if len(timeline.bands) > 1:
            lines.append(Text(band.name, style="bold"))
        lines += [_bar(row, timeline.seconds, names, cells, sheet) for row in band.rows]
    if len(lines) > MOST_ROWS:
        left_out = len(lines) - MOST_ROWS
        lines = [*lines[:MOST_ROWS], Text(f"{left_out} more lines; --timeline FILE.svg shows all", style="dim")]
    lines.append(Text("   ").join(Text.assemble(_ink(phase, sheet), f" {phase}") for phase in timeline.phases))
    for line in lines:
        line.rstrip()
        line.truncate(sheet.width)
    return lines


def endings(timeline: Timeline, sheet: Sheet) -> list[Text]:
    """A sentence for each container, then one for each Job and lone pod. Not cut: they are for reading."""
    lines: list[Text] = []
    for band in timeline.bands:
        several = len(timeline.bands) > 1
        if several:
            lines.append(Text(band.name, style="bold"))
        for row in band.rows:
            lines += _story(row, "  " if several else "", sheet)
    return lines + [Text(result, style="bold") for result in timeline.results]


def _story(row: Row, indent: str, sheet: Sheet) -> list[Text]:
    """What was done, and by which rule it was a sidecar: on a line of its own where one is too short for both."""
    story, why = Text(indent + row.story), Text(f"({row.why})", style="dim")
    if not row.why:
        return [story]
    if len(story) + len(why) + 2 <= sheet.width:
        return [Text.assemble(story, "  ", why)]
    return [story, Text.assemble(indent, "  ", why)]


def _axis(timeline: Timeline, indent: int, cells: int) -> Text:
    line = " " * indent
    for position, label in timeline.ticks(max(2, cells // CELLS_PER_TICK)):
        column = indent + round(position / timeline.seconds * cells)
        if column + len(label) <= indent + cells:
            line = line.ljust(column) + label
    return Text(line.ljust(indent + cells) + "  exit", style="dim")


def _bar(row: Row, seconds: float, names: int, cells: int, sheet: Sheet) -> Text:
    name = Text(row.name)
    name.truncate(names, overflow="ellipsis", pad=True)
    line = name.append("  ")
    for phase in _painted(row.segments, cells / seconds, cells):
        line.append(*_ink(phase, sheet) if phase is not None else (" ",))
    good = row.result.split()[-1:] == ["0"]
    return line.append(f"  {row.result}", "" if good else "red")


def _ink(phase: Phase, sheet: Sheet) -> tuple[str, str]:
    fancy, plain, style = _INKS[phase]
    return (fancy if sheet.unicode else plain), style


def _painted(segments: Sequence[Segment], cells_per_second: float, cells: int) -> list[Phase | None]:
    """Which phase each cell shows. Boundaries are rounded; short phases that matter then claim a cell."""
    painted: list[Phase | None] = [None] * cells
    starved = []
    for segment in segments:
        begin, end = round(segment.begin * cells_per_second), round(segment.end * cells_per_second)
        painted[begin:end] = [segment.phase] * (min(end, cells) - begin)
        if begin == end and (segment.phase in _ALWAYS or len(segments) <= 2):
            starved.append((min(begin, cells - 1), segment.phase))
    free = cells
    for cell, phase in reversed(starved):  # from the right, so that KILL keeps its place and TERM goes before it
        free = min(cell, free - 1)
        if free < 0:
            break
        painted[free] = phase
    return painted
