"""A log file that is only ever appended to, and begun anew when it is large, with the ones before kept beside it.

They are named as the kubelet names them (pkg/kubelet/logs/container_log_manager.go), but not compressed.
"""

from __future__ import annotations

import glob
import os
from datetime import datetime, timedelta

from vkprovider.model.create import LogLimits

MODE = 0o640
_TAIL = 256 * 1024  # bytes; every stream that is in the middle of a line has some there
_SECOND = len("2006-01-02T15:04:05")
_STAMP = len("2006-01-02T15:04:05.000000000")
_IN_NAMES = str.maketrans("T", "-", "-:")  # 20060102-150405


def ahead(utc: datetime) -> timedelta:
    """How far the local clocks of this machine are ahead of UTC at some time."""
    return utc.astimezone().utcoffset() or timedelta()


class LogFile:
    """The file at ``path``. Every method raises OSError."""

    def __init__(self, path: str, limits: LogLimits) -> None:
        self._path = path
        self._limits = limits
        self._last = b""
        self._open()

    def append(self, data: bytes) -> None:
        """Write whole lines."""
        begin = data.rfind(b"\n", 0, -1) + 1
        self._last = data[begin : begin + _STAMP] or self._last
        while data:
            written = os.write(self._descriptor, data)
            self.size += written
            data = data[written:]

    def rotate(self) -> bool:
        """Begin anew if it is large enough. The name for the old one is the time of its last line: its second, and more
        where another has that. Where even the nanosecond is taken, it grows on.
        """
        if self.size < self._limits.max_bytes or not self._last:
            return False
        last = self._last.decode()
        kept = f"{self._path}.{last[:_SECOND].translate(_IN_NAMES)}"
        if os.path.exists(kept):
            kept += last[_SECOND:]
        if os.path.exists(kept):
            return False
        os.rename(self._path, kept)
        former = self._descriptor
        self._open()  # where that fails, the former one is still there to be closed
        os.close(former)
        for old in _rotated(self._path)[: -max(1, self._limits.max_files - 1)]:
            os.unlink(old)
        return True

    def tail(self) -> bytes:
        """The end of what was written, if need be of what was written before this file was begun."""
        parts = [_end_of(self._path)]
        if len(parts[0]) < _TAIL:
            parts[:0] = [_end_of(path) for path in _rotated(self._path)[-1:]]
        return b"".join(parts)

    def close(self) -> None:
        os.close(self._descriptor)

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
        status = os.fstat(self._descriptor)
        self.inode, self.size = status.st_ino, status.st_size


def _rotated(path: str) -> list[str]:
    """The oldest first."""
    return sorted(glob.glob(f"{glob.escape(path)}.*"))


def _end_of(path: str) -> bytes:
    with open(path, "rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - _TAIL))
        return file.read()
