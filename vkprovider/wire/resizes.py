"""The sizes of a client's terminal: JSON objects, one after the other on one stream."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

LARGEST = 1024  # bytes of one object
MOST_CHARACTERS = 65535  # the kernel's terminals know no more


class TerminalSize(NamedTuple):
    width: int
    height: int


class ResizeReader:
    """Feed it bytes as they come; it gives each size once it is complete. What is none ends it: it gives no more."""

    def __init__(self) -> None:
        self._held = ""
        self._broken = False

    def feed(self, data: bytes) -> list[TerminalSize]:
        """The sizes that these bytes complete."""
        sizes: list[TerminalSize] = []
        if self._broken:
            return sizes
        *complete, self._held = (self._held + data.decode("latin-1")).replace("}", "}\0").split("\0")
        for text in complete:
            size = _size(text)
            if size is None:
                self._broken = True
                break
            sizes.append(size)
        self._broken |= len(self._held) > LARGEST
        return sizes


def _size(text: str) -> TerminalSize | None:
    try:
        read: Any = json.loads(text)
        size = TerminalSize(read["Width"], read["Height"])
    except (ValueError, KeyError, TypeError):
        return None
    fits = all(type(side) is int and 0 <= side <= MOST_CHARACTERS for side in size)
    return size if fits else None
