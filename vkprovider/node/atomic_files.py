r"""Files that change all at once, in the layout of pkg/volume/util/atomic_writer.go.

    volume/..2025_01_31_12_00_00.k3j2h1/a/b     the files
    volume/..data -> ..2025_01_31_12_00_00.k3j2h1
    volume/a -> ..data/a                        what containers open

A new content is staged in a directory of its own; renaming the link ``..data`` publishes it. What was shown before is
set aside, as ``volume..2025_01_31_11_00_00.x8d2mm``, where no container sees it: to remove many files takes long.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterable
from datetime import datetime

from vkprovider.core.projections import File

_DATA = "..data"
_DATA_NEW = "..data_tmp"
_OWN_PREFIX = ".."
_OPEN = 0o755  # of every directory: whoever the containers run as


def stage(volume: str, files: Iterable[File], now: datetime) -> str | None:
    """Write the files beside the present ones and give the new directory's name; None if nothing has changed.

    Modes are set exactly, whatever the umask. Raises OSError, and ValueError for a path with a NUL.
    """
    wanted = {file.path: file for file in files}
    present = _present(volume)
    if present == {path: file.data for path, file in wanted.items()}:
        return None
    os.makedirs(volume, exist_ok=True)
    if present is None:
        os.chmod(volume, _OPEN)
    directory = tempfile.mkdtemp(prefix=f"{_OWN_PREFIX}{now:%Y_%m_%d_%H_%M_%S}.", dir=volume)
    try:
        os.chmod(directory, _OPEN)
        for file in wanted.values():
            _write(directory, file)
    except (OSError, ValueError):  # what fails for want of room must not take more of it each time
        shutil.rmtree(directory)
        raise
    return os.path.basename(directory)


def publish(volume: str, staged: str, files: Iterable[File]) -> None:
    """Show the staged files instead of the present ones. Raises OSError."""
    tops = {file.path.partition("/")[0] for file in files}
    kept = tops | {_DATA}
    for top in sorted(tops):
        if not os.path.lexists(os.path.join(volume, top)):
            os.symlink(os.path.join(_DATA, top), os.path.join(volume, top))
    new_link = os.path.join(volume, _DATA_NEW)
    if os.path.lexists(new_link):  # a crash came between the two steps that follow
        os.unlink(new_link)
    os.symlink(staged, new_link)
    os.rename(new_link, os.path.join(volume, _DATA))
    for entry in _entries(volume):
        if entry.is_symlink() and entry.name not in kept:
            os.unlink(entry)


def set_aside(volume: str) -> tuple[str, ...]:
    """Take all out of a volume that it does not show, also what a crash left, and give the paths of all that is set
    aside and may be removed. Not while files are staged. Raises OSError.
    """
    shown = os.readlink(os.path.join(volume, _DATA))
    for entry in _entries(volume):
        if entry.name.startswith(_OWN_PREFIX) and entry.name not in {shown, _DATA}:
            os.rename(entry, volume + entry.name)
    mark = os.path.basename(volume) + _OWN_PREFIX  # of no other volume: a dot is not allowed in a name
    return tuple(entry.path for entry in _entries(os.path.dirname(volume)) if entry.name.startswith(mark))


def is_published(volume: str) -> bool:
    """Whether there are files, or there is an empty set of them, that containers may see."""
    return os.path.isdir(os.path.join(volume, _DATA))


def _entries(directory: str) -> list[os.DirEntry[str]]:
    with os.scandir(directory) as entries:
        return list(entries)


def _write(directory: str, file: File) -> None:
    parent = directory
    *parents, name = file.path.split("/")
    for element in parents:
        parent = os.path.join(parent, element)
        if not os.path.isdir(parent):
            os.mkdir(parent)
            os.chmod(parent, _OPEN)
    with open(os.path.join(parent, name), "xb") as opened:
        opened.write(file.data)
        if file.owner is not None:
            os.fchown(opened.fileno(), file.owner, -1)
        os.fchmod(opened.fileno(), stat.S_IMODE(file.mode))


def _present(volume: str) -> dict[str, bytes] | None:
    """The published files by path, or None where nothing readable has been published."""
    data = os.path.realpath(os.path.join(volume, _DATA))
    if not os.path.isdir(data):
        return None
    present = {}
    for directory, _, names in os.walk(data):
        for name in names:
            path = os.path.join(directory, name)
            try:
                with open(path, "rb") as opened:
                    present[os.path.relpath(path, data)] = opened.read()
            except PermissionError:  # a mode without r, and this process is not root
                return None
    return present
