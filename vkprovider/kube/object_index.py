"""The objects of one kind as they are now, read once and found by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

import structlog

from vkprovider.errors import SpecError
from vkprovider.kube.client import Json
from vkprovider.kube.reflector import Changed, Removed, Replaced, Update

T = TypeVar("T")
log = structlog.get_logger()


class ObjectIndex(Generic[T]):
    """Give ``run`` the updates of a ``Reflector``. ``listed`` is set when it has had the first list.

    ``read`` makes of an object what is kept; one of which it raises SpecError is left out, and the log says so.
    ``changed`` is called when that makes a difference to what is kept, and after the first list.
    """

    def __init__(self, read: Callable[[Json], T], changed: Callable[[], None] = lambda: None) -> None:
        self.listed = asyncio.Event()
        self._read = read
        self._changed = changed
        self._known: dict[str, T] = {}

    async def run(self, updates: AsyncIterator[Update]) -> None:
        async for update in updates:
            self.take(update)

    def take(self, update: Update) -> None:
        """Take one update in."""
        match update:
            case Replaced(objects):
                before, self._known = self._known, {}
                for raw in objects:
                    self._keep(raw)
                differs = before != self._known or not self.listed.is_set()
                self.listed.set()
            case Changed(raw):
                old = self._known.get(_key(raw))
                self._keep(raw)
                differs = self._known.get(_key(raw)) != old
            case Removed(raw):
                differs = self._known.pop(_key(raw), None) is not None
        if differs:
            self._changed()

    def get(self, name: str, namespace: str = "") -> T | None:
        return self._known.get(f"{namespace}/{name}")

    def all(self) -> tuple[T, ...]:
        return tuple(self._known.values())

    def _keep(self, raw: Json) -> None:
        try:
            self._known[_key(raw)] = self._read(raw)
        except SpecError as exc:
            self._known.pop(_key(raw), None)
            log.warning("an object cannot be read, and does not count", kind=raw.get("kind"), error=str(exc))


def _key(raw: Json) -> str:
    metadata = raw["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata['name']}"
