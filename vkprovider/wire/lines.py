"""Bytes cut into lines, however they arrive."""

from __future__ import annotations

from collections.abc import Iterator


class LineSplitter:
    """Feed it bytes as they come; it gives each line once it is complete, with its newline."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that these bytes complete. To be consumed before the next call."""
        self._held += data
        begin = 0
        while (end := self._held.find(b"\n", begin) + 1) > 0:
            yield bytes(self._held[begin:end])
            begin = end
        del self._held[:begin]

    def rest(self) -> bytes:
        """What came after the last newline; the splitter is empty afterwards."""
        rest = bytes(self._held)
        self._held.clear()
        return rest
