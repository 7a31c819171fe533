"""Volumes that show an image. An engine that can mount images does it by itself; of others, containers get a copy to
read, made once for each image and kept as long as any pod has it.

    <root>/images/<hex>                                   the copy
    <root>/pods/<uid>/volumes/kubernetes.io~image/.<hex>  the pod has it, from before it is made until the pod is gone
    <root>/pods/<uid>/volumes/kubernetes.io~image/<name>  a link to the copy that containers are given now
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from glob import escape, glob

import structlog

from vkprovider.core.faults import Fault
from vkprovider.core.image_volumes import mounts_images, with_image_mounts
from vkprovider.core.mounts import MountPlan
from vkprovider.errors import EngineError, EngineUnavailable, SpecError
from vkprovider.node.image_copy import copy_image
from vkprovider.ports import ContainerEngine

_MODE = 0o750
_ALGORITHM = "sha256:"
log = structlog.get_logger()


class ImageVolumes:
    """Those of all pods whose directories are below ``root``."""

    def __init__(self, engine: ContainerEngine, root: str) -> None:
        self._engine = engine
        self._root = root
        self._directory = os.path.join(root, "images")
        self._keeping = asyncio.Lock()  # while it is looked, or changed, who has what
        self._copying: dict[str, asyncio.Lock] = {}
        self._mounts_images: bool | None = None

    async def provide(self, plan: MountPlan, images: Mapping[str, str]) -> MountPlan:
        """Have the images at hand that a container mounts: by the paths of its volumes, their IDs.

        Raises Fault where one cannot be had or has not what is to be mounted of it, and EngineUnavailable.
        """
        if not images:
            return plan
        try:
            async with self._keeping:
                await asyncio.to_thread(_hold, images)
            if self._mounts_images is None:
                self._mounts_images = mounts_images((await self._engine.info()).api_version)
            if self._mounts_images:
                return with_image_mounts(plan, images)
            for path, image_id in images.items():
                copy = await self._copy(image_id)
                async with self._keeping:  # of a pod's containers several may start at once
                    await asyncio.to_thread(_point, path, copy)
            await asyncio.to_thread(_look_for_parts, plan, images)
        except EngineUnavailable:
            raise
        except (EngineError, SpecError, OSError) as exc:
            raise Fault(f"ImageVolumeMountFailed: {exc}", "CreateContainerError") from exc
        return plan

    async def held(self) -> frozenset[str]:
        """The IDs of all images that pods have as volumes."""
        return await asyncio.to_thread(self._held)

    async def release(self) -> None:
        """Remove the copies that no pod has any more. Raises EngineError."""
        async with self._keeping:
            left = await asyncio.to_thread(self._set_aside)
        for path in left:
            try:
                await asyncio.to_thread(shutil.rmtree, path)
            except (OSError, RecursionError):
                await self._engine.run_tool(["remove", path], os.path.dirname(path))

    async def _copy(self, image_id: str) -> str:
        """The copy of an image, made if there is none."""
        path = os.path.join(self._directory, _hex(image_id))
        async with self._copying.setdefault(image_id, asyncio.Lock()):
            if not await asyncio.to_thread(os.path.isdir, path):
                log.info("copying an image for a volume", image=image_id)
                await self._make(image_id, path)
        return path

    async def _make(self, image_id: str, path: str) -> None:
        """It has its name when it is complete."""
        archive, staged = f"{path}.tar", f"{path}.new"
        try:
            await asyncio.to_thread(_clear, self._directory, archive, staged)
            await _write(archive, self._engine.image_archive(image_id))
            await asyncio.to_thread(copy_image, archive, staged)
            await asyncio.to_thread(os.rename, staged, path)
        finally:
            await asyncio.to_thread(_clear, self._directory, archive)

    def _held(self) -> frozenset[str]:
        marks = glob(os.path.join(escape(self._root), "pods", "*", "volumes", "kubernetes.io~image", ".*"))
        return frozenset(_ALGORITHM + os.path.basename(mark)[1:] for mark in marks)

    def _set_aside(self) -> list[str]:
        """Give those that nobody has another name: who wants one from now on makes it anew."""
        if not os.path.isdir(self._directory):
            return []
        held, gone = {_hex(image_id) for image_id in self._held()}, list[str]()
        for name in os.listdir(self._directory):
            if name.partition(".")[0] in held:
                continue
            path = os.path.join(self._directory, name)
            if name.endswith(".tar"):
                os.unlink(path)
                continue
            aside = path if name.endswith(".gone") else f"{path}.gone"
            if not os.path.lexists(aside):
                os.rename(path, aside)
            gone.append(aside)
        return gone


def _hex(image_id: str) -> str:
    return image_id.removeprefix(_ALGORITHM)


def _hold(images: Mapping[str, str]) -> None:
    for path, image_id in images.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.path.join(os.path.dirname(path), f".{_hex(image_id)}"), "ab"):
            pass


def _point(link: str, path: str) -> None:
    if os.path.islink(link) and os.readlink(link) == path:
        return
    if os.path.lexists(link):
        os.unlink(link)
    os.symlink(path, link)


def _look_for_parts(plan: MountPlan, images: Mapping[str, str]) -> None:
    """Nothing is to be made in a copy. Raises SpecError for a part of an image that it has not."""
    for part in plan.sub_paths:
        if part.root in images:
            root = os.path.realpath(part.root)
            found = os.path.realpath(os.path.join(root, part.path))
            if os.path.commonpath((root, found)) != root or not os.path.exists(found):
                raise SpecError(f'the image of volume "{part.volume}" has no {part.path!r}')


def _clear(directory: str, *paths: str) -> None:
    os.makedirs(directory, mode=_MODE, exist_ok=True)
    for path in paths:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)


async def _write(path: str, chunks: AsyncIterator[bytes]) -> None:
    file = await asyncio.to_thread(open, path, "wb")
    try:
        async for chunk in chunks:
            await asyncio.to_thread(file.write, chunk)
    finally:
        await asyncio.to_thread(file.close)
