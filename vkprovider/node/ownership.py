"""fsGroup: a volume is given to a group (pkg/volume/volume_linux.go)."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator

from vkprovider.ports import ContainerEngine

_READ_WRITE, _READ_ONLY = 0o660, 0o440
_DIRECTORY = stat.S_ISGID | 0o110


async def give_to_group(path: str, gid: int, engine: ContainerEngine, *, read_only: bool) -> None:
    """Give a directory and all in it to a group, and open it to that group.

    Where this process may not, the engine does it as root. Raises OSError, EngineError.
    """
    try:
        await asyncio.to_thread(_give, path, gid, _READ_ONLY if read_only else _READ_WRITE)
    except PermissionError:
        flags = ("-r",) if read_only else ()
        await engine.run_tool(["own", *flags, str(gid), path], os.path.dirname(path))


def is_of_group(path: str, gid: int | None) -> bool:
    """Whether a directory, by itself, is a group's to write to; False where that cannot be seen."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    wanted = _READ_WRITE | _DIRECTORY
    return stat.S_ISDIR(status.st_mode) and status.st_gid == gid and status.st_mode & wanted == wanted


def _give(path: str, gid: int, access: int) -> None:
    for entry in _everything(path):
        mode = os.lstat(entry).st_mode
        os.lchown(entry, -1, gid)
        if not stat.S_ISLNK(mode):  # after the chown, which may drop setgid
            os.chmod(entry, stat.S_IMODE(mode) | access | (_DIRECTORY if stat.S_ISDIR(mode) else 0))


def _everything(path: str) -> Iterator[str]:
    yield path
    for directory, directories, files in os.walk(path):
        yield from (os.path.join(directory, name) for name in (*directories, *files))
