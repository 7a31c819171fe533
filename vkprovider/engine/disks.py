"""What containers and images take on disk: counted here where the files can be seen, else by the engine."""

from __future__ import annotations

import asyncio
import glob
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from vkprovider.engine.cgroups import SYSTEM, block_device
from vkprovider.engine.unary import Unary
from vkprovider.engine.usage import EngineUsage
from vkprovider.model.engine import EngineInfo, StoredImage
from vkprovider.model.refs import ContainerID
from vkprovider.model.usage import ContainerDisk, DiskUsage, DiskUse, FileSystem, Usage
from vkprovider.ports import WaitingClock

KEPT_SECONDS = 60.0  # between counts of a directory (cadvisor, container/common/fsHandler.go)
REST = 20  # times as long as counting took: large directories are not walked all the time
_BLOCK = 512  # bytes in the unit of st_blocks


class EngineDisks:
    """The UsageSource port, with ``usages`` for all but disks. ``node_dir`` is where pods' volumes are."""

    def __init__(
        self,
        usages: EngineUsage,
        unary: Unary,
        info: Callable[[], Awaitable[EngineInfo]],
        images: Callable[[], Awaitable[tuple[StoredImage, ...]]],
        node_dir: str,
        clock: WaitingClock,
    ) -> None:
        self._usages = usages
        self._unary = unary
        self._info = info
        self._images = images
        self._node_dir = node_dir
        self._clock = clock
        self._counted: DiskUsage | None = None
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def usage(self) -> Usage:
        return await self._usages.usage()

    async def disk_usage(self) -> DiskUsage:
        async with self._lock:
            begun = self._clock.monotonic()
            if self._counted is None or begun >= self._until:
                self._counted = await self._count()
                ended = self._clock.monotonic()
                self._until = ended + max(KEPT_SECONDS, REST * (ended - begun))
            return self._counted

    async def _count(self) -> DiskUsage:
        known, info, images = await asyncio.gather(self._usages.containers(), self._info(), self._images())
        places = {key: (found.upper_dir, found.log_path) for key, (_, found) in known.items()}
        disks = await asyncio.to_thread(_disks_of, places)
        if any(disk.root is None for disk in disks.values()):
            disks = _completed(disks, await self._sizes(disks))
        engine, node = await asyncio.to_thread(lambda: (file_system(info.root_dir), file_system(self._node_dir)))
        listed = sum(image.size_bytes for image in images)  # layers that several have are counted with each
        return DiskUsage(
            at=self._clock.now(),
            containers=disks,
            engine=engine,
            node=node,
            images=min(listed, engine.used) if engine is not None else listed,
        )

    async def _sizes(self, wanted: Iterable[ContainerID]) -> Mapping[ContainerID, int]:
        """The bytes that each has written beside its volumes, as the engine counts: all in one call."""
        params: dict[str, str | int] = {"size": 1}
        entries = await self._unary.call("GET", "/containers/json", params=params)
        sizes = {ContainerID(entry["Id"]): int(entry.get("SizeRw") or 0) for entry in entries}
        return {key: sizes[key] for key in wanted if key in sizes}


def file_system(directory: str, root: Path = SYSTEM) -> FileSystem | None:
    """That which holds ``directory``; None where there is none, as where the engine's host is another machine."""
    try:
        found, status = os.statvfs(directory), os.stat(directory)
    except OSError:
        return None
    size = found.f_frsize
    return FileSystem(
        capacity=found.f_blocks * size,
        available=found.f_bavail * size,
        used=(found.f_blocks - found.f_bfree) * size,
        inodes=found.f_files,
        inodes_free=found.f_ffree,
        device=block_device(os.major(status.st_dev), os.minor(status.st_dev), root),
    )


def count(directory: str) -> DiskUse | None:
    """What a directory takes with all in it, as ``du`` counts: a file with two names once. None where some of it cannot
    be read: a part would be taken for all.
    """

    def failed(error: OSError) -> None:
        if error.filename == directory or not isinstance(error, FileNotFoundError):
            raise error

    try:
        top = os.lstat(directory)
        total, seen = top.st_blocks * _BLOCK, {(top.st_dev, top.st_ino)}
        for parent, directories, files in os.walk(directory, onerror=failed):
            for name in (*directories, *files):
                try:
                    status = os.lstat(os.path.join(parent, name))
                except FileNotFoundError:  # it has just been removed
                    continue
                if (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))
                    total += status.st_blocks * _BLOCK
    except OSError:
        return None
    return DiskUse(used=total, inodes=len(seen))


def _disks_of(places: Mapping[ContainerID, tuple[str, str]]) -> dict[ContainerID, ContainerDisk]:
    return {
        key: ContainerDisk(root=count(upper) if upper else None, logs=_logs(log) if log else None)
        for key, (upper, log) in places.items()
    }


def _logs(path: str) -> DiskUse | None:
    """The engine's log of a container, with the older parts beside it."""
    try:
        statuses = [os.stat(path), *(os.stat(older) for older in glob.glob(f"{glob.escape(path)}.*"))]
    except OSError:
        return None
    return DiskUse(used=sum(status.st_blocks * _BLOCK for status in statuses), inodes=len(statuses))


def _completed(
    disks: Mapping[ContainerID, ContainerDisk], sizes: Mapping[ContainerID, int]
) -> dict[ContainerID, ContainerDisk]:
    counted = {
        key: ContainerDisk(root=DiskUse(used=sizes[key]), logs=disk.logs)
        for key, disk in disks.items()
        if disk.root is None and key in sizes
    }
    return {**disks, **counted}
