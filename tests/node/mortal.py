"""Processes that die by kill -9, at whichever of their deeds a test wants them to."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import iscoroutinefunction
from typing import Any

from tests.fakes.living_engine import LivingEngine
from vkprovider.core.record import PodRecord
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodUID
from vkprovider.node.checkpoint import FileCheckpoint


class Killed(asyncio.CancelledError):
    """What code is shown of kill -9, so that it ends without a word: nothing it calls has any effect any more."""


class Life:
    """The life of a process, counted in deeds: calls of the engine and writes to the disk.

    It ends just before deed number ``last`` is done, or with ``after`` just after, before anybody hears of it.
    """

    def __init__(self, last: int = 0, *, after: bool = False) -> None:
        self.deeds = 0
        self.over = asyncio.Event()
        self._last = last
        self._after = after
        self._loop = asyncio.get_running_loop()
        self._dead = False

    @contextmanager
    def deed(self) -> Iterator[None]:
        if self._dead:
            raise Killed
        self.deeds = number = self.deeds + 1
        if number == self._last and not self._after:
            self._die()
        yield
        if self._dead or number == self._last:
            self._die()

    def _die(self) -> None:
        self._dead = True
        self._loop.call_soon_threadsafe(self.over.set)
        raise Killed


class MortalEngine:
    """A process's connection to an engine that lives longer than it."""

    def __init__(self, engine: LivingEngine, life: Life) -> None:
        self._engine = engine
        self._life = life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._engine, name)
        return self._counted(found) if iscoroutinefunction(found) else found

    def _counted(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        async def call(*args: Any, **kwargs: Any) -> Any:
            with self._life.deed():
                return await method(*args, **kwargs)

        return call


class MortalCheckpoint:
    def __init__(self, checkpoint: FileCheckpoint, life: Life) -> None:
        self._checkpoint = checkpoint
        self._life = life

    def save(self, uid: PodUID, record: PodRecord, pod: Pod) -> None:
        with self._life.deed():
            self._checkpoint.save(uid, record, pod)

    def delete(self, uid: PodUID) -> None:
        with self._life.deed():
            self._checkpoint.delete(uid)
