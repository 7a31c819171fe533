"""The open files of a container's processes (cadvisor, container/libcontainer/handler.go processStatsFromProcs)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from vkprovider.model.usage import OpenFiles
from vkprovider.wire.kernel_texts import open_files_limit


def open_files(proc: Path, pids: Sequence[str]) -> OpenFiles | None:
    """``proc`` is where /proc is. None where they may not be seen, or no process is left."""
    opened: list[str] = []
    limit: int | None = None
    for pid in pids:
        try:
            if limit is None:
                with open(f"{proc}/{pid}/limits", encoding="ascii") as file:
                    limit = open_files_limit(file.read())
            opened += _opened(f"{proc}/{pid}/fd")
        except PermissionError:
            return None
        except OSError:  # it has just ended
            continue
    if limit is None:
        return None
    return OpenFiles(all=len(opened), sockets=sum(name.startswith("socket:") for name in opened), limit=limit)


def _opened(directory: str) -> list[str]:
    """What a process's descriptors stand for, but those that it has just closed."""
    found = []
    for descriptor in os.listdir(directory):
        try:
            found.append(os.readlink(f"{directory}/{descriptor}"))
        except FileNotFoundError:
            continue
    return found
