"""The live tree: Jobs, their pods, the containers in start order and how each stands. A function of the chronicle.

At 80 columns::

    Job test  1 active, 0/1 succeeded                                            16s
    └─ test-x9k2f  Running                                                       16s
       ├─ sidecar  native sidecar  ◐ Stopping   TERM 5s ago, KILL in 25s         15s
       └─ app      app             ✔ Completed  exit 0                           10s
"""

from __future__ import annotations

import textwrap
from collections import Counter
from datetime import datetime
from enum import IntEnum

import msgspec
from rich.text import Text

from vkprovider.standalone.chronicle import Chronicle, ContainerStory, JobStory, PodStory, Pull, State
from vkprovider.standalone.explain import Tone, condition, exit_text
from vkprovider.standalone.wording import age_text, clean, size_text

KIND_FROM = 60  # columns; a narrower terminal is not told the kinds
DETAIL_CELLS = 38  # what a state and its details take; to leave that much, kinds are cut to their first word
BAR_CELLS = 20
TROUBLE_LINES = 3
NAME_CELLS = 30
INDENT = 6  # below a Job and a pod

_STYLES = {
    Tone.WAITING: "yellow",
    Tone.BUSY: "cyan",
    Tone.RUNNING: "green",
    Tone.DONE: "green",
    Tone.BAD: "red",
}
_PHASES = {"Succeeded": "green", "Running": "green", "Failed": "red", "Complete": "green"}


class Glyphs(msgspec.Struct, frozen=True, kw_only=True):
    """The characters of the tree; ASCII ones for terminals that have no others."""

    branch: str = "├─ "
    last: str = "└─ "
    bar: str = "│  "
    gap: str = "   "
    full: str = "━"
    empty: str = "─"
    more: str = "…"
    tones: tuple[str, ...] = ("◌", "◐", "●", "✔", "✖")  # in the order of Tone


UNICODE = Glyphs()
ASCII = Glyphs(branch="|- ", last="`- ", bar="|  ", full="#", empty="-", more="...", tones=("-", "*", "o", "+", "x"))


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """What a tree is drawn on: columns, the lines it may take (None: any number), and the characters."""

    width: int
    height: int | None = None
    unicode: bool = True


class Detail(IntEnum):
    """How much is shown, from everything down to what fits a low terminal."""

    ALL = 0
    LIVING = 1  # pods that ended take a line each
    LINES = 2  # every pod takes a line
    COUNTS = 3  # pods that ended are counted


def tree(chronicle: Chronicle, now: datetime, sheet: Sheet) -> list[Text]:
    """The tree as lines, in as much detail as the height allows."""
    lines: list[Text] = []
    for detail in Detail:
        lines = _Drawing(chronicle, now, sheet, detail).lines()
        if sheet.height is None or len(lines) <= sheet.height:
            return lines
    hidden = len(lines) - (sheet.height or 0) + 1
    return [*lines[: len(lines) - hidden], Text(f"{hidden} more lines", style="dim")]


class _Drawing:
    """One drawing of the tree."""

    def __init__(self, chronicle: Chronicle, now: datetime, sheet: Sheet, detail: Detail) -> None:
        self.chronicle = chronicle
        self.now = now
        self.sheet = sheet
        self.glyphs = UNICODE if sheet.unicode else ASCII
        self.detail = detail
        shown = [c for pod in chronicle.pods if not self._folded(pod) for c in pod.containers]
        self.name_cells = min(max((len(c.name) for c in shown), default=0), NAME_CELLS, sheet.width // 3)
        kinds = {c.kind: str(c.kind) for c in shown}
        if sheet.width - 2 * INDENT - self.name_cells - max(map(len, kinds), default=0) < DETAIL_CELLS:
            kinds = {kind: kind.split()[0] for kind in kinds}
        self.kinds = kinds if sheet.width >= KIND_FROM else {}
        self.kind_cells = max(map(len, self.kinds.values()), default=0)
        words = [condition(c, now).word for c in shown]
        self.word_cells = max((len(word) for word in words if len(word) <= 16), default=0)

    def lines(self) -> list[Text]:
        drawn: list[Text] = []
        for job in self.chronicle.jobs:
            drawn.append(self._job(job))
            drawn += self._pods(self.chronicle.pods_of(job))
        alone, ended = self._parted(self.chronicle.lone_pods())
        for pod in alone:
            drawn += self._pod(pod, "", "")
        return drawn + [Text(line, style="dim") for line in ended]

    def _folded(self, pod: PodStory) -> bool:
        return self.detail >= Detail.LINES or (self.detail is Detail.LIVING and pod.ended is not None)

    def _parted(self, pods: tuple[PodStory, ...]) -> tuple[list[PodStory], list[str]]:
        """The pods to be shown one by one, and a line about those that are only counted."""
        counted = [pod.phase for pod in pods if self.detail is Detail.COUNTS and pod.ended is not None]
        if not counted:
            return list(pods), []
        phases = ", ".join(f"{count} {phase}" for phase, count in Counter(counted).items())
        return [pod for pod in pods if pod.ended is None], [f"pods that ended: {phases}"]

    def _job(self, job: JobStory) -> Text:
        of = f"/{job.completions}" if job.completions is not None else ""
        counts = [f"{job.active} active"] if job.active else []
        counts += [f"{job.succeeded}{of} succeeded"] + ([f"{job.failed} failed"] if job.failed else [])
        word = job.condition or ("Suspended" if job.suspended else "")
        line = Text.assemble(("Job ", "dim"), (clean(job.name), "bold"), "  ")
        if word:
            line.append(word, _PHASES.get(word, "red" if word == "Failed" else "yellow"))
            line.append(f" {job.reason}  " if job.condition == "Failed" else "  ")
        line.append(", ".join(counts))
        return self._aged(line, age_text((job.ended or self.now) - job.began))

    def _pods(self, pods: tuple[PodStory, ...]) -> list[Text]:
        living, ended = self._parted(pods)
        glyphs = self.glyphs
        drawn = [Text((glyphs.branch if living else glyphs.last) + line, style="dim") for line in ended]
        for pod in living:
            ends = pod is living[-1]
            drawn += self._pod(pod, glyphs.last if ends else glyphs.branch, glyphs.gap if ends else glyphs.bar)
        return drawn

    def _pod(self, pod: PodStory, first: str, rest: str) -> list[Text]:
        kind = "" if first else "Pod "
        line = Text.assemble(
            (first + kind, "dim"), (clean(pod.name), "bold"), "  ", (pod.phase, _PHASES.get(pod.phase, "yellow"))
        )
        if pod.reason:
            line.append(f"  {clean(pod.reason)}", "red")
        folded = self._folded(pod)
        if folded:
            ends = [f"{c.name} {exit_text(c.newest)}" for c in pod.containers if c.newest and c.newest.finished]
            line.append("  " + ", ".join(ends), "dim")
        drawn = [self._aged(line, age_text((pod.ended or self.now) - pod.began))]
        if folded:
            return drawn
        if pod.warning and not any(c.instances for c in pod.containers):
            drawn += self._trouble(pod.warning, rest + self.glyphs.bar)
        for container in pod.containers:
            ends_here = container is pod.containers[-1]
            head = rest + (self.glyphs.last if ends_here else self.glyphs.branch)
            drawn += self._container(container, head, rest + (self.glyphs.gap if ends_here else self.glyphs.bar))
        return drawn

    def _container(self, container: ContainerStory, head: str, below: str) -> list[Text]:
        stands = condition(container, self.now)
        name = Text(clean(container.name))
        name.truncate(self.name_cells, overflow="ellipsis", pad=True)
        line = Text.assemble((head, "dim"), name, "  ")
        if self.kind_cells:
            line.append(self.kinds[container.kind].ljust(self.kind_cells) + "  ", "dim")
        style = _STYLES[stands.tone]
        glyph = self.glyphs.tones[tuple(Tone).index(stands.tone)]
        line.append(f"{glyph} {clean(stands.word)}", style)
        if container.pulling is not None:
            line.append_text(self._progress(container.pulling))
        elif stands.detail:
            line.append(" " * max(0, self.word_cells - len(stands.word)) + f"  {clean(stands.detail)}")
        return [self._aged(line, self._age(container)), *self._trouble(stands.trouble, below)]

    def _progress(self, pull: Pull) -> Text:
        if not pull.total_bytes:
            return Text(f"  {clean(pull.image)}", style="dim")
        share = min(1.0, pull.current_bytes / pull.total_bytes)
        full = round(share * BAR_CELLS)
        size = size_text(pull.current_bytes, pull.total_bytes)
        glyphs = self.glyphs
        return Text.assemble(
            "  ", (glyphs.full * full, "cyan"), (glyphs.empty * (BAR_CELLS - full), "dim"), f" {share:4.0%} {size}"
        )

    def _age(self, container: ContainerStory) -> str:
        newest = container.newest
        if newest is None or newest.started is None or container.state is State.WAITING:
            return ""
        return age_text((newest.finished or self.now) - newest.started)

    def _trouble(self, message: str, below: str) -> list[Text]:
        """What is wrong, wrapped below the container it concerns."""
        text = clean(" ".join(message.split()))
        room = max(20, self.sheet.width - len(below) - 2)
        wrapped = textwrap.wrap(text, room, max_lines=TROUBLE_LINES, placeholder=self.glyphs.more)
        return [Text.assemble((below, "dim"), "  ", (piece, "red")) for piece in wrapped]

    def _aged(self, line: Text, age: str) -> Text:
        """The line with an age at the right margin; whatever does not fit before it is cut."""
        room = self.sheet.width - (len(age) + 2 if age else 0)
        line.truncate(room, overflow="ellipsis" if self.sheet.unicode else "crop", pad=bool(age))
        return line.append(f"  {age}", "dim") if age else line
