"""Mounts that this process makes and takes away, for which it needs CAP_SYS_ADMIN: mount(2) and umount2(2)."""

from __future__ import annotations

import ctypes
import os
import re

_NOSUID, _NODEV, _BIND, _PRIVATE = 0x2, 0x4, 0x1000, 0x40000
_DETACH, _NOFOLLOW = 0x2, 0x8
_SYS_ADMIN = 21
_OCTAL = re.compile(r"\\([0-7]{3})")
_libc = ctypes.CDLL(None, use_errno=True)


def may_mount() -> bool:
    """Whether this process has the right to; something else may yet forbid it."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        capabilities = next((line for line in status if line.startswith("CapEff:")), "CapEff: 0").split()[1]
    return bool(int(capabilities, 16) >> _SYS_ADMIN & 1)


def mount_tmpfs(path: str) -> None:
    """Mount an empty tmpfs over a directory; nobody but this user can list it. Raises OSError.

    It is never swapped out where the kernel knows how to: since 6.4.
    """
    try:
        _mount("tmpfs", path, "tmpfs", _NOSUID | _NODEV, "mode=0711,noswap")
    except OSError:
        _mount("tmpfs", path, "tmpfs", _NOSUID | _NODEV, "mode=0711")


def bind(fd: int, path: str) -> None:
    """Show the file or directory that ``fd`` has open at ``path``, which must be one of the same kind. Raises OSError.

    Nothing is resolved by name any more, so nobody can put another in its place.
    """
    _mount(f"/proc/self/fd/{fd}", path, "", _BIND, "")


def detach(path: str) -> None:
    """Take away what is mounted at ``path``; who has it open keeps it, and mounts in it stay in the original.

    Raises OSError.
    """
    _mount("", path, "", _PRIVATE, "")
    _check(_libc.umount2(os.fsencode(path), _DETACH | _NOFOLLOW), path)


def detach_all(below: str) -> None:
    """Take away what is mounted at ``below``, a real path, and below it. Raises OSError."""
    while points := mounts(below):
        detach(points[0])


def mounts(below: str) -> list[str]:
    """The mount points at ``below``, a real path, and below it, as this process sees them, the outer ones first."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mountinfo:
        points = [_OCTAL.sub(lambda code: chr(int(code[1], 8)), line.split(" ")[4]) for line in mountinfo]
    return sorted(point for point in points if point == below or point.startswith(f"{below}/"))


def _mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    names = (os.fsencode(name) for name in (source, target, kind))
    _check(_libc.mount(*names, ctypes.c_ulong(flags), os.fsencode(options)), target)


def _check(result: int, path: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
