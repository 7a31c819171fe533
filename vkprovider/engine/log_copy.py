"""One container's output on its way from the engine's files to the pod's log file: each byte once, whoever dies.

What is written follows from what is read alone. So after a crash the reading begins at the last position that was
noted, and as many bytes as the file has grown since then are not written again.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

import msgspec

from vkprovider.engine.json_log import JsonLog, Position
from vkprovider.engine.log_file import LogFile
from vkprovider.model.create import LogLimits
from vkprovider.wire.pod_log import CriFormat, json_entries, last_words

_NOTE_SIZE = 256  # bytes: one write, which no crash of a process can cut


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a copier is told, a line of JSON each: to begin with a container, that it has ended, or to let go of it.

    ``source`` is the engine's file, ``target`` the pod's, and ``note`` the file in which to remember how far it is.
    """

    id: str
    source: str = ""
    target: str = ""
    note: str = ""
    limits: LogLimits = LogLimits()
    ended: bool = False
    dropped: bool = False


class _Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far it was: in the source, and what the target had then."""

    position: Position = Position()
    inode: int = 0
    size: int = 0


class LogCopy:
    """Raises OSError where one of the files cannot be had."""

    def __init__(self, order: Order, style: CriFormat) -> None:
        self.ended = False
        self._style = style
        self._note_fd = os.open(order.note, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with ExitStack() as opened:
            opened.callback(os.close, self._note_fd)
            noted = self._noted()
            self._source = JsonLog(order.source, noted.position if noted else None)
            opened.callback(self._source.close)
            self._target = LogFile(order.target, order.limits)
            opened.callback(self._target.close)
            self._go_on_from(noted)
            opened.pop_all()  # they are this copy's to close

    def _go_on_from(self, noted: _Note | None) -> None:
        complete = self._source.complete
        grown = self._target.size - (noted.size if noted else 0)
        same = noted is None or noted.inode == self._target.inode  # else the file was begun anew after the note
        self._skip = max(0, grown) if same and complete else 0
        if not complete and self._target.tail()[-1:] not in (b"", b"\n"):
            self._target.append(b"\n")  # what ends the line is lost

    def look(self) -> None:
        """Get hold of what the engine has written. For any thread. Raises OSError."""
        self._source.look()

    def missed(self) -> bool:
        """Whether the engine may have thrown away something unread since this was asked last."""
        if self._source.complete:
            return False
        self._source.complete = True
        return True

    def step(self) -> bool:
        """Take the next piece; False where there is none now. Raises OSError."""
        self.look()
        data = self._source.read()
        if not data:
            return False
        lines = self._style.format(json_entries(data))
        self._target.append(lines[self._skip :])
        self._skip = max(0, self._skip - len(lines))
        self._take_note()
        if not self._skip and self._target.rotate():
            self._take_note()
        return True

    def finish(self) -> None:
        """The container has ended and all is read. Raises OSError."""
        self._target.append(last_words(self._target.tail()))

    def close(self) -> None:
        self._source.close()
        self._target.close()
        os.close(self._note_fd)

    def _noted(self) -> _Note | None:
        try:
            return msgspec.json.decode(os.pread(self._note_fd, _NOTE_SIZE, 0), type=_Note)
        except msgspec.DecodeError:
            return None

    def _take_note(self) -> None:
        size = self._target.size - self._skip
        note = _Note(self._source.position, self._target.inode, size)
        os.pwrite(self._note_fd, msgspec.json.encode(note).ljust(_NOTE_SIZE), 0)
