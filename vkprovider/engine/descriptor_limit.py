"""How many files this process may have open: each log that is copied takes three."""

from __future__ import annotations

import resource
from contextlib import suppress


def raise_descriptor_limit() -> None:
    """As many as may be had without asking anybody. Shells and service managers often give 1024 at first, for the
    sake of programs that use ``select`` on high numbers; this one does not. Whatever it starts has the same limit.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # where a system has a lower limit of its own, what there is has to do
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
