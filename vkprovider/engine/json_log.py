"""The files in which Docker's json-file driver keeps the output of a container, read as one.

The driver appends to ``<path>``; when that is large it becomes ``<path>.1``, which becomes ``<path>.2``, and so on, and
the last is removed (moby, daemon/logger/loggerutils/logfile.go). What is open here is read to its end all the same.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

CHUNK = 1 << 20  # bytes read at a time; a single entry is far shorter
_LONGEST = 128 * 1024  # bytes of an entry at most: 16 KiB, of which each may be written as six
HEAD = 4096  # bytes by which a file is known again: the number of an inode may have another owner by then
_MISSING = 2  # names without a file that say that no more follow; one may be missing while files are renamed


class Position(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place in the files: which one, and the bytes of it that are done. ``head`` is a checksum of the first."""

    inode: int = 0
    head: int = 0
    offset: int = 0


class _File(NamedTuple):
    descriptor: int
    inode: int


class JsonLog:
    """The files at ``path``, from a position on. Raises OSError where there are none, or none that may be read.

    ``complete`` is False where the position was not found, and from when files were removed faster than they were
    looked at: something may have been removed unread. ``look`` may be called by another thread than the rest.
    """

    def __init__(self, path: str, begin: Position | None = None) -> None:
        self._path = path
        self._files: deque[_File] = deque()
        self._offset = 0
        self._changing = threading.Lock()
        self._closed = False
        self.complete = True
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        self.look()
        if begin is not None and not self._go_to(begin):
            self.complete = False

    @property
    def position(self) -> Position:
        if not self._files:
            return Position()
        file = self._files[0]
        return Position(file.inode, _checksum(file.descriptor, self._offset), self._offset)

    def look(self) -> None:
        """Open the files that are new. What is not opened before the driver removes it is lost."""
        with self._changing:
            if not self._closed:
                self._look()

    def _look(self) -> None:
        newest = self._files[-1].inode if self._files else None
        if newest is not None and _inode(self._path) == newest:
            return
        found: list[_File] = []
        try:
            self._find(newest, found)
        except OSError:
            _close(found)
            raise
        self._files.extend(reversed(found))

    def _find(self, newest: int | None, found: list[_File]) -> None:
        """Open what is newer than ``newest``, the newest first."""
        for file in self._newest_first():
            if file.inode == newest:
                os.close(file.descriptor)
                break
            if any(file.inode == other.inode for other in found):  # it was renamed under our eyes
                os.close(file.descriptor)
                continue
            found.append(file)
        else:
            if newest is not None and not os.path.exists(self._path):  # they are being removed, the newest first
                _close(found)
                return
            self.complete &= newest is None

    def read(self, size: int = CHUNK) -> bytes:
        """Some whole entries; none where there are no more now. To be called after ``look``."""
        while self._files:
            ended = len(self._files) > 1  # nothing is written to it any more: there is a newer one
            data = os.pread(self._files[0].descriptor, max(size, _LONGEST), self._offset)
            end = data.rfind(b"\n") + 1
            if end:
                self._offset += end
                return data[:end]
            if not ended:
                break
            self._drop_oldest()
        return b""

    def go_to_last(self, count: int) -> None:
        """Read on with the last so many entries."""
        for place in reversed(range(len(self._files))):
            begin, found = _last_entries(self._files[place].descriptor, count)
            count -= found
            if not count or not place:
                for _ in range(place):
                    self._drop_oldest()
                self._offset = begin
                return

    def skip_files_before(self, timestamp: float) -> None:
        """Leave out files that were not written to since then, in seconds since 1970."""
        while len(self._files) > 1 and os.fstat(self._files[0].descriptor).st_mtime < timestamp:
            self._drop_oldest()

    def close(self) -> None:
        with self._changing:
            self._closed = True
        while self._files:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        os.close(self._files.popleft().descriptor)
        self._offset = 0

    def _go_to(self, begin: Position) -> bool:
        for place, (descriptor, inode) in enumerate(self._files):
            long_enough = os.fstat(descriptor).st_size >= begin.offset
            if inode == begin.inode and long_enough and _checksum(descriptor, begin.offset) == begin.head:
                for _ in range(place):
                    self._drop_oldest()
                self._offset = begin.offset
                return True
        return False

    def _newest_first(self) -> Iterator[_File]:
        number = missing = 0
        while missing < _MISSING:
            path = f"{self._path}.{number}" if number else self._path
            number += 1
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                missing += 1
                continue
            missing = 0
            yield _File(descriptor, os.fstat(descriptor).st_ino)


def _last_entries(descriptor: int, count: int) -> tuple[int, int]:
    """Where the last so many entries of a file begin, and how many there are."""
    found, position = -1, os.fstat(descriptor).st_size  # the last newline begins no entry
    while position > 0:
        begin = max(0, position - CHUNK)
        block = os.pread(descriptor, position - begin, begin)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            found += 1
            if found == count:
                return begin + at + 1, count
        position = begin
    return 0, found + 1


def _close(files: list[_File]) -> None:
    while files:
        os.close(files.pop().descriptor)


def _inode(path: str) -> int:
    """0 where there is no file."""
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return 0


def _checksum(descriptor: int, offset: int) -> int:
    return zlib.crc32(os.pread(descriptor, min(offset, HEAD), 0))
