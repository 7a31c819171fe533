"""A program that writes and rotates files as Docker's json-file driver does, but faster than any Docker.

    python -m integration.docker.driver_program PATH LEAST_MEGABYTES MEGABYTES_PER_SECOND MAX_BYTES MAX_FILES

It goes on until it has written the least, and its input has ended; then it prints how many lines those were, and in how
many seconds. Each says its number and has ``WIDTH`` bytes.
"""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path

from vkprovider.node.clock import SystemClock

WIDTH = 1000
NUMBER = 12  # digits
BATCH = 100  # lines


class Driver:
    """It looks at the size before it writes (loggerutils/logfile.go)."""

    def __init__(self, path: Path, max_bytes: int, max_files: int) -> None:
        self._names = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, max_files))]
        self._max_bytes = max_bytes
        self._open()

    def log(self, entries: bytes) -> None:
        if self._size >= self._max_bytes:
            self._rotate()
        self._size += os.write(self._descriptor, entries)

    def _rotate(self) -> None:
        os.close(self._descriptor)
        self._names[-1].unlink(missing_ok=True)
        for number in reversed(range(1, len(self._names))):
            if self._names[number - 1].exists():
                self._names[number - 1].rename(self._names[number])
        self._open()

    def _open(self) -> None:
        self._descriptor = os.open(self._names[0], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        self._size = os.fstat(self._descriptor).st_size


def flood(driver: Driver, least: int, bytes_per_second: float) -> tuple[int, float]:
    """The lines, and the seconds that they took."""
    clock, rest = SystemClock(), "x" * (WIDTH - NUMBER - 2)
    lines, begun = 0, time.monotonic()
    while lines * WIDTH < least or not select.select([sys.stdin], [], [], 0)[0]:
        end = f'{rest}\\n","stream":"stdout","time":"{clock.now():%Y-%m-%dT%H:%M:%S.%f}'
        entries = [f'{{"log":"{lines + place:0{NUMBER}} {end}{place:03}Z"}}\n' for place in range(BATCH)]
        driver.log("".join(entries).encode())
        lines += BATCH
        ahead = lines * WIDTH / bytes_per_second - (time.monotonic() - begun)
        if ahead > 0:
            time.sleep(ahead)
    return lines, time.monotonic() - begun


def main(path: str, least: str, speed: str, max_bytes: str, max_files: str) -> None:
    driver = Driver(Path(path), int(max_bytes), int(max_files))
    print(*flood(driver, int(least) * 10**6, float(speed) * 1e6))


if __name__ == "__main__":
    main(*sys.argv[1:])
