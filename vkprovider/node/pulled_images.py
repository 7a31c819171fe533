"""Which images a node has pulled itself, in a file: of an engine that it may share with others, these are its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import structlog

from vkprovider.core.image_gc import KnownImage
from vkprovider.model.engine import StoredImage

log = structlog.get_logger()


class PulledImages:
    """To be made in a thread: it reads the file. One that cannot be read is begun anew, and what was in it stays in the
    engine for good.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = {image.id: image for image in _load(path)}
        self._writing = asyncio.Lock()

    def known(self) -> tuple[KnownImage, ...]:
        return tuple(self._known.values())

    async def note(
        self, image_id: str, before: Sequence[StoredImage], after: Sequence[StoredImage], at: datetime
    ) -> None:
        """A pull has given this image. ``before`` and ``after`` it the engine had these: what was there before is
        somebody else's, and so are its names.
        """
        had, has = _names(before, image_id), _names(after, image_id)
        known = self._known.get(image_id)
        if known is None and had is None:
            known = KnownImage(id=image_id, size=0, names=frozenset(), first_seen=at)
        if known is None or has is None or not has - (had or frozenset()) - known.names:
            return
        names = known.names | (has - (had or frozenset()))
        await self.keep([*(k for k in self.known() if k.id != image_id), msgspec.structs.replace(known, names=names)])

    async def keep(self, images: Iterable[KnownImage]) -> None:
        """From now on these, as they are. What is only remembered in memory is no reason to write the file. With a disk
        that is full the file stays behind: at worst, an image that it does not name is never removed.
        """
        before, self._known = self._known, {image.id: image for image in images}
        if _lasting(before.values()) != _lasting(self._known.values()):
            async with self._writing:
                try:
                    await asyncio.to_thread(_save, self._path, _lasting(self._known.values()))
                except OSError as exc:
                    log.warning("which images this node has pulled cannot be written down", error=str(exc))


def _names(images: Iterable[StoredImage], image_id: str) -> frozenset[str] | None:
    return next((frozenset(image.names) for image in images if image.id == image_id), None)


def _lasting(images: Iterable[KnownImage]) -> list[KnownImage]:
    return [msgspec.structs.replace(image, last_used=None, size=0) for image in images]


def _load(path: Path) -> list[KnownImage]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[KnownImage])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
        log.warning("it is not known any more which images this node has pulled", file=str(path), error=str(exc))
        return []


def _save(path: Path, images: list[KnownImage]) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(images))
    os.replace(fresh, path)
