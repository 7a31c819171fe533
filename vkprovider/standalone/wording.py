"""How the display words things: durations, sizes, and text from outside made harmless.

Whatever a container, a registry or a manifest says may hold control characters. ``clean`` is the one gate through
which such text reaches a terminal, a line of output or a picture.
"""

from __future__ import annotations

import re
from datetime import timedelta

# Whole escape sequences, so that a coloured line loses its colour and not its legibility: CSI, then the string
# sequences (OSC, DCS, SOS, PM, APC) up to their end, then the short ones. U+009B is CSI in one character.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-Z\\`-~]"
)
# Control characters save tab, line separators, marks that change the direction of text, and lone surrogates.
_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    """The text as one line without anything a terminal could act upon.

    Escape sequences are dropped; any other control character is shown as Python would write it (``\\r``, ``\\x07``).
    """
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), _SEQUENCES.sub("", text))


def seconds_text(duration: timedelta) -> str:
    """A duration to be read in a sentence: ``0.04 s``, ``10.1 s``, ``30 s``, ``2 min 5 s``, ``1 h 3 min``."""
    seconds = max(0.0, duration.total_seconds())
    if seconds < 0.1:
        return f"{seconds:.2f} s" if seconds >= 0.005 else "0 s"
    if round(seconds, 1) < 120:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    hours, minutes, rest = _parts(seconds)
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def age_text(duration: timedelta) -> str:
    """A duration for a narrow column, in whole seconds passed: ``7s``, ``2m5s``, ``1h3m``."""
    hours, minutes, rest = _parts(int(max(0.0, duration.total_seconds())))
    if hours:
        return f"{hours}h{minutes}m"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _parts(seconds: float) -> tuple[int, int, int]:
    minutes, rest = divmod(round(seconds), 60)
    return minutes // 60, minutes % 60, rest


def size_text(current: int, total: int) -> str:
    """Bytes done of bytes in all, in the unit of the total: ``3.2/7.1 MB``."""
    for unit, factor in (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)):
        if total >= factor:
            return f"{current / factor:.1f}/{total / factor:.1f} {unit}"
    return f"{current}/{total} B"


def times_text(count: int) -> str:
    """``once``, ``twice``, ``3 times``."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
