"""The streams of processes in containers: those that were there before, and commands started for the purpose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

import structlog

from vkprovider.engine.hijack import Hijacked
from vkprovider.engine.refusals import engine_error
from vkprovider.errors import EngineError
from vkprovider.model.engine import Output
from vkprovider.wire.stdcopy import STDERR, SYSTEM_ERROR, Deframer, FramingError

_RESIZE_PAUSES = (0.01, 0.03, 0.1, 0.3, *(1.0,) * 20)  # seconds; a command that is only just starting has no terminal
log = structlog.get_logger()


class AttachedStreams:
    """Those of a process that the engine has connected us to. ``ended`` once it says no more.

    ``shared_input`` belongs to all who attach, one after the other: none of them ends it.
    """

    def __init__(
        self,
        connection: Hijacked,
        *,
        tty: bool,
        resize: Callable[[int, int], Awaitable[None]],
        shared_input: bool = False,
    ) -> None:
        self.ended = False
        self._shared_input = shared_input
        self._connection = connection
        self._tty = tty
        self._resize = resize

    async def output(self) -> AsyncGenerator[Output]:
        deframer = Deframer()
        while data := await self._connection.read():
            if self._tty:
                yield Output("stdout", data)
                continue
            for output in _deframed(deframer, data):
                yield output
        self.ended = True

    async def write(self, data: bytes) -> None:
        if not self.ended:  # else an engine that takes no more may keep the connection all the same
            await self._connection.write(data)

    async def end_input(self) -> None:
        if not self._shared_input:  # else the engine would take it for our leave
            self._connection.end()

    async def resize(self, width: int, height: int) -> None:
        for pause in _RESIZE_PAUSES:
            try:
                return await self._resize(width, height)
            except EngineError as exc:
                log.debug("a terminal cannot be resized", error=str(exc))
            await asyncio.sleep(pause)


class CommandStreams(AttachedStreams):
    """Those of a command, which has an exit code."""

    def __init__(
        self,
        connection: Hijacked,
        *,
        tty: bool,
        resize: Callable[[int, int], Awaitable[None]],
        exit_code: Callable[[], Awaitable[int]],
    ) -> None:
        super().__init__(connection, tty=tty, resize=resize)
        self._exit_code = exit_code

    async def exit_code(self) -> int:
        return await self._exit_code()


def _deframed(deframer: Deframer, data: bytes) -> Iterator[Output]:
    """Raises EngineError with the engine's own complaint, or EngineUnavailable where this is not its framing."""
    try:
        for stream, payload in deframer.feed(data):
            if stream == SYSTEM_ERROR:
                raise EngineError(payload.decode(errors="replace"))
            yield Output("stderr" if stream == STDERR else "stdout", payload)
    except FramingError as exc:
        raise engine_error(exc) from exc
