"""Files with variables, as containers have left them in a volume: nothing there can be trusted."""

from __future__ import annotations

import os
import stat

from vkprovider.core.env_files import UNREADABLE
from vkprovider.core.faults import Fault

MOST_BYTES = 1 << 20  # as a ConfigMap

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # nobody waits for the writer of a pipe


def read(root: str, path: str) -> str:
    """The text of a file below ``root``. Links are followed as long as they stay there.

    Raises Fault. Like the kubelet, it does not say why: the reason would tell the pod about the host.
    """
    try:
        base = os.path.realpath(root, strict=True)
        target = os.path.realpath(os.path.join(base, path), strict=True)
        if os.path.commonpath((base, target)) != base:
            raise Fault(UNREADABLE)
        file = _open(base, os.path.relpath(target, base).split(os.sep))
        with os.fdopen(file, "rb") as opened:
            content = opened.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise Fault(f"{UNREADABLE}: it is larger than 1 MiB")
        return content.decode()
    except (OSError, ValueError) as exc:  # a path with a NUL is none; nor is everything text
        raise Fault(UNREADABLE) from exc


def _open(root: str, elements: list[str]) -> int:
    """Go down from the volume's directory without following links: they may have been swapped meanwhile."""
    found = os.open(root, _FLAGS | os.O_DIRECTORY)
    try:
        for place, element in enumerate(elements, 1):
            below = os.open(element, _FLAGS | (os.O_DIRECTORY if place < len(elements) else 0), dir_fd=found)
            os.close(found)
            found = below
        if not stat.S_ISREG(os.fstat(found).st_mode):
            raise OSError("not a regular file")
    except BaseException:
        os.close(found)
        raise
    return found
