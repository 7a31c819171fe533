"""A wall clock for a node's process alone, which a test sets forward."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from tests.plugins.real_parts import missing
from vkprovider.node.clock import SystemClock

LIBRARY = "libfaketimeMT.so.1"  # of Debian's package libfaketime; MT is the one for programs with threads


class WallClock:
    """The wall clock of processes that start with its ``environment``: the machine's, until it is ``set``.

    Their timers are the machine's, and so is the pace of the clock. Skips the test where libfaketime is missing.
    """

    def __init__(self, folder: Path) -> None:
        found = next(Path("/usr/lib").glob(f"*/faketime/{LIBRARY}"), None)
        if found is None:
            missing("there is no libfaketime: install Debian's package of that name")
        self._file = folder / "clock"
        self._machines = SystemClock()
        self.set(self._machines.now())
        self.environment = {
            "LD_PRELOAD": str(found),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def now(self) -> datetime:
        return self._machines.now() + self._ahead

    def set(self, to: datetime) -> None:
        """Have it go on from there."""
        self._ahead = to - self._machines.now()
        new = self._file.with_name("clock.new")
        new.write_text(f"{self._ahead / timedelta(seconds=1):+.3f}\n")
        new.replace(self._file)
