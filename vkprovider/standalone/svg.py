"""The timeline as a picture: one self-contained SVG that follows the reader's light or dark setting.

Phases differ by pattern as well as by colour. Every bar bears a title, so pointing at it tells its length, and the
whole has a description that says in words what the picture shows.
"""

from __future__ import annotations

from datetime import timedelta
from xml.sax.saxutils import escape, quoteattr

from vkprovider.standalone.timeline import Band, Phase, Row, Segment, Timeline
from vkprovider.standalone.wording import clean, seconds_text

WIDTH = 880
MARGIN = 24
CHAR = 7.3  # the advance of a 12 px monospace character, at most
ROW, BAR, BAND, AXIS = 28, 16, 26, 24  # heights
LEAST_BAR = 2.5
MOST_TICKS = 12
NAME_CHARS, STORY_CHARS = 30, 112

_STYLE = """
 text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#1f2328}
 .h{font-weight:700;font-size:13px} .e{text-anchor:end} .m{text-anchor:middle}
 .bg{fill:#ffffff;stroke:#d1d9e0} .dim{fill:#59636e} .grid{stroke:#d1d9e0} .bad{fill:#cf222e}
 .pull{fill:#54aeff} .start{fill:#8c959f} .run{fill:#2da44e} .term{fill:#d4a72c} .kill{fill:#cf222e}
 .backoff{fill:#afb8c1} .stripe{stroke:#ffffff;stroke-opacity:.55;stroke-width:3}
 @media (prefers-color-scheme:dark){
 text{fill:#f0f6fc} .bg{fill:#0d1117;stroke:#3d444d} .dim{fill:#9198a1} .grid{stroke:#2f353d} .bad{fill:#f85149}
 .pull{fill:#388bfd} .start{fill:#8b949e} .run{fill:#2ea043} .term{fill:#d29922} .kill{fill:#f85149}
 .backoff{fill:#484f58} .stripe{stroke:#0d1117}}
"""
_CLASSES = {
    Phase.PULL: "pull",
    Phase.START: "start",
    Phase.RUN: "run",
    Phase.TERM: "term",
    Phase.KILL: "kill",
    Phase.BACKOFF: "backoff",
}


def svg(timeline: Timeline) -> str:
    """The picture, as the text of an SVG file."""
    return _Picture(timeline).text()


class _Picture:
    """A picture in the making: ``y`` is how far down it has been drawn."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        rows = [row for band in timeline.bands for row in band.rows]
        names = min(max((len(r.name) for r in rows), default=0), NAME_CHARS)
        kinds = max((len(r.kind) for r in rows), default=0)
        results = max([len("exit"), *(len(r.result) for r in rows)])
        self.kind_x = MARGIN + names * CHAR + 10
        self.left = self.kind_x + kinds * CHAR + 14
        self.right = WIDTH - MARGIN - results * CHAR - 12
        self.scale = (self.right - self.left) / timeline.seconds
        self.parts: list[str] = []
        self.y = float(MARGIN)

    def text(self) -> str:
        for result in self.timeline.results:
            self._say(MARGIN, 13, result, "h")
            self.y += 20
        self._legend()
        top = self.y + AXIS
        self.y = top
        for band in self.timeline.bands:
            self._band(band)
        axis = self._axis(top, self.y)
        self.y += 10
        for line in self._stories():
            self._say(MARGIN, 13, line, "dim")
            self.y += 18
        height = round(self.y + MARGIN - 6)
        title = escape(clean("; ".join(self.timeline.results) or "Timeline"))
        description = escape(clean(". ".join(self._described())))
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
            f'height="{height}" role="img" aria-labelledby="title desc">\n'
            f'<title id="title">{title}</title>\n<desc id="desc">{description}</desc>\n'
            f"<style>{_STYLE}</style>\n"
            '<defs><pattern id="stripes" width="8" height="8" patternUnits="userSpaceOnUse" '
            'patternTransform="rotate(45)"><line class="stripe" x1="0" y1="0" x2="0" y2="8"/></pattern></defs>\n'
            f'<rect class="bg" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>\n'
        )
        return head + "\n".join(axis + self.parts) + "\n</svg>\n"

    def _legend(self) -> None:
        x = float(MARGIN)
        for phase in self.timeline.phases:
            self._rect(phase, x, self.y + 4, 14, 12, "")
            self._say(x + 20, 14, phase, "dim")
            x += 20 + len(phase) * CHAR + 20
        self.y += 26

    def _band(self, band: Band) -> None:
        if len(self.timeline.bands) > 1:
            self._say(MARGIN, 17, band.name, "h")
            self.y += BAND
        for row in band.rows:
            self._row(row)
            self.y += ROW

    def _row(self, row: Row) -> None:
        name = row.name if len(row.name) <= NAME_CHARS else row.name[: NAME_CHARS - 1] + "…"
        self._say(MARGIN, 18, name)
        self._say(self.kind_x, 18, row.kind, "dim")
        for segment in row.segments:
            self._segment(row, segment)
        bad = "" if row.result.split()[-1:] == ["0"] else " bad"
        self._say(WIDTH - MARGIN, 18, row.result, "e" + bad)

    def _segment(self, row: Row, segment: Segment) -> None:
        """A bar, never too short to be seen; KILL is a mark of fixed width where it was sent."""
        length = seconds_text(timedelta(seconds=segment.end - segment.begin))
        x, width = self.left + segment.begin * self.scale, (segment.end - segment.begin) * self.scale
        height, lift = (4.0, 6.0) if segment.phase is Phase.BACKOFF else (float(BAR), 0.0)
        if segment.phase is Phase.KILL:
            width, height, lift = max(width, 5.0), BAR + 6.0, -3.0
        self._rect(
            segment.phase, x, self.y + 6 + lift, max(width, LEAST_BAR), height, f"{row.name}: {segment.phase}, {length}"
        )

    def _axis(self, top: float, bottom: float) -> list[str]:
        lines = [f'<text class="dim e" x="{WIDTH - MARGIN}" y="{top - 7:.0f}">exit</text>']
        for position, label in self.timeline.ticks(MOST_TICKS):
            x = self.left + position * self.scale
            lines.append(f'<path class="grid" d="M{x:.1f} {top:.0f}V{bottom:.0f}"/>')
            lines.append(f'<text class="dim m" x="{x:.1f}" y="{top - 7:.0f}">{escape(label)}</text>')
        return lines

    def _stories(self) -> list[str]:
        several = len(self.timeline.bands) > 1
        told = [
            f"{band.name}/{row.story}" if several else row.story for band in self.timeline.bands for row in band.rows
        ]
        return [line if len(line) <= STORY_CHARS else line[: STORY_CHARS - 1] + "…" for line in told]

    def _described(self) -> list[str]:
        return [f"{row.story}{f' ({row.why})' if row.why else ''}" for band in self.timeline.bands for row in band.rows]

    def _say(self, x: float, down: float, words: str, style: str = "") -> None:
        css = f" class={quoteattr(style)}" if style else ""
        self.parts.append(f'<text{css} x="{x:.1f}" y="{self.y + down:.1f}">{escape(clean(words))}</text>')

    def _rect(self, phase: Phase, x: float, y: float, width: float, height: float, title: str) -> None:
        place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2"'
        told = f"<title>{escape(clean(title))}</title>" if title else ""
        self.parts.append(f'<rect class="{_CLASSES[phase]}" {place}>{told}</rect>')
        if phase is Phase.TERM:
            self.parts.append(f'<rect fill="url(#stripes)" {place} pointer-events="none"/>')
