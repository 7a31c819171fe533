"""Waiting for what a cluster does in its own time."""

import time
from collections.abc import Callable


def eventually(holds: Callable[[], object], seconds: float = 20) -> None:
    """Wait until `holds` returns something true.

    Raises AssertionError where it does not within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"it does not hold within {seconds:.0f} s"
        time.sleep(0.05)
