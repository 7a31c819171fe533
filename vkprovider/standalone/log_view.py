"""Containers' output between everything else, line by line, each behind its container's name.

What containers write is hostile until shown otherwise: see ``wording.clean``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Protocol

import msgspec

from vkprovider.errors import EngineError, EngineNotFound
from vkprovider.model.engine import LogLine
from vkprovider.model.pod import Pod
from vkprovider.standalone.chronicle import Chronicle
from vkprovider.standalone.wording import clean

LONGEST_LINE = 256 * 1024  # bytes; a longer one is shown in pieces
WIDEST_NAME = 40  # columns up to which names are aligned


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a container's output. ``last`` says that no more comes of this instance."""

    pod: str
    container: str
    stream: str = "stdout"
    data: bytes = b""
    last: bool = False

    @property
    def source(self) -> str:
        """Who said it, as the line's prefix has it."""
        return clean(f"{self.pod}/{self.container}")


class LogSink(Protocol):
    """Where followed output goes: the display."""

    async def log_room(self) -> None: ...

    def log_line(self, pod: Pod, container: str, line: LogLine) -> None: ...

    def log_end(self, pod: Pod, container: str) -> None: ...

    def note(self, text: str) -> None: ...


async def follow(sink: LogSink, pod: Pod, container: str, lines: AsyncIterator[LogLine]) -> None:
    """Show a container instance's output until it ends. No faster than the user's terminal takes it.

    An instance that is removed has said all it will say; any other failure of the engine is told to the user.
    """
    try:
        async for line in lines:
            await sink.log_room()
            sink.log_line(pod, container, line)
    except EngineNotFound:
        pass
    except EngineError as exc:
        sink.note(f"the output of {pod.metadata.name}/{container} cannot be read any further: {exc}")
    finally:
        sink.log_end(pod, container)


class LineAssembler:
    """Puts lines together that the engine cut into pieces; the streams of one container are kept apart."""

    def __init__(self) -> None:
        self._unfinished: dict[tuple[str, str], bytes] = {}

    def feed(self, piece: Output) -> Iterator[tuple[str, str]]:
        """The lines completed by this piece, made harmless, each with its stream."""
        key = (piece.source, piece.stream)
        data = self._unfinished.pop(key, b"") + piece.data
        *complete, rest = data.split(b"\n")
        for line in complete:
            yield piece.stream, _shown(line)
        if len(rest) > LONGEST_LINE:
            yield piece.stream, _shown(rest)
        elif rest:
            self._unfinished[key] = rest
        if piece.last:
            for stream in ("stdout", "stderr"):
                left = self._unfinished.pop((piece.source, stream), b"")
                if left:
                    yield stream, _shown(left)


def _shown(line: bytes) -> str:
    return clean(line.removesuffix(b"\r").decode(errors="replace"))


def prefix_width(chronicle: Chronicle) -> int:
    """The columns a prefix takes so that the output of all containers is aligned."""
    names = (len(pod.name) + 1 + len(c.name) for pod in chronicle.pods for c in pod.containers)
    return min(max(names, default=0), WIDEST_NAME)
