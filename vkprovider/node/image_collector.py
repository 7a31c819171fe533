"""Keeping the engine's disk from filling up with images: pkg/kubelet/images/image_gc_manager.go, for our own ones."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime

import msgspec
import structlog

from vkprovider.core import image_gc
from vkprovider.core.actions import PodEvent
from vkprovider.core.image_gc import ImagePolicy, KnownImage
from vkprovider.errors import EngineError, VkError
from vkprovider.node.image_volumes import ImageVolumes
from vkprovider.node.pulled_images import PulledImages
from vkprovider.ports import ContainerEngine, WaitingClock

PERIOD_SECONDS = 300.0  # pkg/kubelet ImageGCPeriod

Tell = Callable[[PodEvent], None]  # an event about the node
Disk = Callable[[], Awaitable[tuple[int, int]]]  # its size in bytes, and how many of them are free

_NO_CAPACITY = "invalid capacity 0 on image filesystem"
log = structlog.get_logger()


class ImagesNotFreed(VkError):
    """Fewer images could be removed than should have been."""

    reason = "FreeDiskSpaceFailed"


class ImageCollector:
    """Removes images that this node has ``pulled`` and that no container of the engine uses, whosever it is, and no
    volume of a pod.
    """

    def __init__(
        self,
        engine: ContainerEngine,
        pulled: PulledImages,
        volumes: ImageVolumes,
        policy: ImagePolicy,
        clock: WaitingClock,
        disk: Disk,
    ) -> None:
        self._engine = engine
        self._pulled = pulled
        self._volumes = volumes
        self._policy = policy
        self._clock = clock
        self._disk = disk
        self._one_at_a_time = asyncio.Lock()

    async def run(self, tell: Tell) -> None:
        """Look again and again, until cancelled. That it fails is told when it does so twice in a row."""
        if self._policy.off:
            return
        began, failed_before = self._clock.now(), False
        while True:
            try:
                await self.collect(began, tell)
            except (VkError, OSError) as exc:
                log.warning("image garbage collection failed", error=str(exc))
                if failed_before:
                    tell(PodEvent(type="Warning", reason="ImageGCFailed", message=str(exc)))
                failed_before = True
            else:
                failed_before = False
            await self._clock.sleep(PERIOD_SECONDS)

    async def collect(self, began: datetime, tell: Tell) -> None:
        """Remove what is too old, and with a disk over the threshold as much as it takes; ``began`` is when it was
        first looked. Raises ImagesNotFreed where that is not enough, EngineError, OSError.
        """
        async with self._one_at_a_time:
            now = self._clock.now()
            free = await self._look(now)
            old = list(image_gc.too_old(self._policy, free, now, began))
            await self._remove(old, None)
            capacity, available = await self._disk()
            if capacity == 0:
                tell(PodEvent(type="Warning", reason="InvalidDiskCapacity", message=_NO_CAPACITY))
                raise ImagesNotFreed(_NO_CAPACITY)
            wanted = image_gc.bytes_to_free(self._policy, capacity, available)
            if not wanted:
                return
            log.info("the disk of images is over the high threshold", bytes_to_free=wanted)
            left = [image for image in free if image not in old]
            freed = await self._remove(image_gc.old_enough(self._policy, left, now), wanted)
            if freed < wanted:
                message = image_gc.too_little(wanted, freed)
                tell(PodEvent(type="Warning", reason=ImagesNotFreed.reason, message=message))
                raise ImagesNotFreed(message)

    async def free(self, at_least: int | None = None) -> int:
        """Remove images now, whatever is on the disk: so many bytes of them, or all that may go; how many it was.

        Raises EngineError.
        """
        async with self._one_at_a_time:
            now = self._clock.now()
            return await self._remove(image_gc.old_enough(self._policy, await self._look(now), now), at_least)

    async def _look(self, now: datetime) -> list[KnownImage]:
        """The images that may go, in order; with what is remembered of all brought up to date."""
        before = self._pulled.known()  # what is pulled from now on may be there without being seen
        stored = {image.id: image for image in await self._engine.stored_images()}
        in_use = await self._engine.images_in_use() | await self._volumes.held()
        gone = {image.id for image in before} - stored.keys()
        known = [
            _looked_at(image, stored[image.id].size_bytes, now if image.id in in_use else image.last_used)
            if image.id in stored
            else image
            for image in self._pulled.known()
            if image.id not in gone
        ]
        await self._pulled.keep(known)
        names = {image_id: image.names for image_id, image in stored.items()}
        return image_gc.unused((image for image in known if image.id in stored), in_use, names)

    async def _remove(self, images: Iterable[KnownImage], wanted: int | None) -> int:
        """One after the other, until so many bytes are free. One that somebody has begun to use is passed over."""
        freed, gone = 0, set[str]()
        for image in images:
            if wanted is not None and freed >= wanted:
                break
            try:
                await self._engine.remove_image(image.id)
            except EngineError as exc:
                log.info("an image stays", image=image.id, error=str(exc))
                continue
            log.info("removed an image", image=image.id, names=sorted(image.names), size=image.size)
            gone.add(image.id)
            freed += image.size
        if gone:
            await self._pulled.keep(image for image in self._pulled.known() if image.id not in gone)
        return freed


def _looked_at(image: KnownImage, size: int, last_used: datetime | None) -> KnownImage:
    return msgspec.structs.replace(image, size=size, last_used=last_used)


async def image_disk(engine: ContainerEngine, directory: str) -> tuple[int, int]:
    """Bytes of the disk that images are on, and how many of them are free. ``directory`` stands for the engine's data
    where these cannot be seen from here. Raises EngineError.
    """
    root = (await engine.info()).root_dir
    return await asyncio.to_thread(_capacity, (root, directory))


def _capacity(directories: Iterable[str]) -> tuple[int, int]:
    """Of the first directory that is there."""
    for directory in directories:
        if directory and os.path.isdir(directory):
            found = os.statvfs(directory)
            return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    return 0, 0
