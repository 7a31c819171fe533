"""Lines as another process writes them, to be read at leisure or waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 30.0  # seconds after which something that should happen soon has not happened


class Lines:
    """All lines of a stream so far, read by a thread until the stream ends."""

    def __init__(self, stream: Iterable[str]) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __str__(self) -> str:
        return "\n".join(self.all())

    def all(self) -> list[str]:
        with self._changed:
            return list(self._lines)

    def until(self, found: Callable[[list[str]], T | None], what: str, seconds: float = PATIENCE) -> T:
        """Wait until something is found in the lines, and give it; fail if the stream ends or time runs out first."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while (result := found(self._lines)) is None:
                left = deadline - time.monotonic()
                assert left > 0, f"not within {seconds} s: {what}; there is:\n" + "\n".join(self._lines[-40:])
                assert self._thread.is_alive(), f"not before the end: {what}; there is:\n" + "\n".join(self._lines)
                self._changed.wait(min(left, 0.5))
            return result

    def until_line(self, *parts: str, seconds: float = PATIENCE) -> str:
        """Wait for a line that holds all these parts."""
        return self.until(
            lambda lines: next((line for line in lines if all(part in line for part in parts)), None),
            f"a line with {parts}",
            seconds,
        )

    def join(self) -> None:
        """Return when the stream has ended."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the stream does not end"

    def _read(self) -> None:
        for line in self._stream:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()
