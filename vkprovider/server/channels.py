"""The streams of a session with a client, whatever they travel over."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from vkprovider.wire.outcome import Outcome

MOST_HELD = 256 * 1024  # bytes of one stream that wait to be taken; then the client has to wait


class ClientGone(Exception):
    """The client hung up, or wants no more of this stream."""


class Inbox:
    """What the client has sent on one stream and nobody has taken yet."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._ended = False
        self._abandoned = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def put(self, data: bytes) -> None:
        """Wait until there is room. Dropped if nobody takes any more."""
        while self._held >= MOST_HELD and not self._abandoned:
            self._room.clear()
            await self._room.wait()
        if data and not self._abandoned and not self._ended:
            self._pieces.append(data)
            self._held += len(data)
            self._news.set()

    def end(self) -> None:
        """The client sends no more."""
        self._ended = True
        self._news.set()

    def abandon(self) -> None:
        """Nobody will take any more."""
        self._abandoned = True
        self._pieces.clear()
        self._held = 0
        self._room.set()
        self.end()

    async def get(self) -> bytes:
        """All that is there, as soon as there is some; b"" at the end."""
        while not self._pieces and not self._ended:
            self._news.clear()
            await self._news.wait()
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._held = 0
        self._room.set()
        return data


class Channel(Protocol):
    """One stream of a session, both ways."""

    inbox: Inbox
    dropped: asyncio.Event  # set once the client wants no more of it

    async def write(self, data: bytes) -> None:
        """Wait until the client's side takes it. Raises ClientGone."""
        ...

    async def end(self) -> None:
        """Write no more. Does nothing for a client that has gone."""
        ...


@dataclass(frozen=True)
class CommandChannels:
    """What a client that runs a command, or attaches to one, holds the other ends of."""

    error: Channel
    stdin: Channel | None = None
    stdout: Channel | None = None
    stderr: Channel | None = None
    resize: Channel | None = None
    has_status: bool = True  # the outcome is told as a Status, not just the text of a failure

    async def finish(self, outcome: Outcome) -> None:
        """Tell how it ended, after all that it said. Raises ClientGone."""
        for channel in (self.stdin, self.resize):
            if channel is not None:
                channel.inbox.abandon()
        for channel in (self.stdout, self.stderr):
            if channel is not None:
                await channel.end()
        told = outcome.as_status() if self.has_status else outcome.as_text()
        if told:
            await self.error.write(told)
        await self.error.end()
