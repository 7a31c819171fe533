"""Makes what ``core.volumes`` and ``core.mounts`` plan: directories, files, engine volumes.

Works for root and for an ordinary user who may use the engine: what takes root is then done inside containers.
Everything may be repeated at any time, after a crash too.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterable, Mapping
from typing import assert_never

import msgspec

from vkprovider.core.env_files import EnvFile
from vkprovider.core.faults import Fault
from vkprovider.core.mounts import MountPlan, SubPath
from vkprovider.core.volumes import (
    ClaimedPath,
    EmptyDirectory,
    HostPathCheck,
    LogDirectory,
    MemoryVolume,
    PlannedVolume,
    Projection,
    VolumePlan,
    Withheld,
    mount_failure,
)
from vkprovider.errors import EngineNotFound, VkError
from vkprovider.model.create import Mount
from vkprovider.model.labels import NODE, POD_UID
from vkprovider.model.refs import PodUID
from vkprovider.node import atomic_files, container_files, env_files, host_paths, subpaths
from vkprovider.node.former_files import FormerFiles
from vkprovider.node.image_volumes import ImageVolumes
from vkprovider.node.log_dirs import make_log_directories
from vkprovider.node.ownership import give_to_group, is_of_group
from vkprovider.node.pod_dirs import PodDirs, make_pod_dir
from vkprovider.node.secret_memory import mount_memory
from vkprovider.ports import Clock, ContainerEngine

_AS_ROOT = "as root on the engine's machine, outside of containers,"


class VolumeWriter:
    """The volumes and files of all pods of this node. At most one call per pod may be under way."""

    def __init__(self, engine: ContainerEngine, dirs: PodDirs, clock: Clock) -> None:
        self._engine = engine
        self._dirs = dirs
        self._clock = clock
        self.former = FormerFiles()
        self.images = ImageVolumes(engine, dirs.root)

    async def write(self, plan: VolumePlan) -> tuple[str, ...]:
        """Make a pod's volumes, or bring them up to date, and give a message for each that failed.

        The messages are those of FailedMount events, the plan's own among them. Raises OSError where not even the
        pod's directory can be made.
        """
        await asyncio.to_thread(make_pod_dir, plan.pod_dir)
        failures = list(plan.failures)
        for volume in plan.volumes:
            try:
                complaint = await self._make(volume, plan)
            except OSError as exc:
                complaint = f"{exc.filename}: {exc.strerror}"
            except (VkError, ValueError) as exc:  # a path with a NUL is no path to Python
                complaint = str(exc)
            if complaint:
                failures.append(mount_failure(volume.name, complaint))
        return tuple(failures)

    async def prepare_container(self, plan: MountPlan, images: Mapping[str, str] | None = None) -> tuple[Mount, ...]:
        """Make the files of one container instance and give its mounts, every subPath resolved. ``images`` are those
        that it has volumes of, by the volumes' paths.

        Raises Fault for an image that cannot be had and a subPath that cannot or leads out of its volume, OSError where
        the disk fails.
        """
        plan = await self.images.provide(plan, images or {})
        sub_paths = [await self._on_the_host(each) if each.in_memory else each for each in plan.sub_paths]
        plan = msgspec.structs.replace(plan, sub_paths=tuple(sub_paths))
        return await asyncio.to_thread(_prepare, plan, pinned=bool(self._dirs.memory))

    async def remove(self, uid: PodUID) -> None:
        """Remove a pod's volumes and directory, once no container of it is left.

        Raises MountsLeft where something is still mounted there, EngineError.
        """
        await self._engine.remove_volumes(self._labels(uid))
        await self.former.removed(uid)
        await self._dirs.remove(uid, self._engine)
        await self.images.release()

    async def _make(self, volume: PlannedVolume, plan: VolumePlan) -> str | None:
        match volume:
            case EmptyDirectory():
                await self._make_empty(volume, plan.fs_group)
            case MemoryVolume():
                labels = self._labels(PodUID(plan.pod_uid))
                await self._engine.create_volume(volume.engine_name, labels, volume.options)
            case Projection():
                await self._project(volume, plan)
            case Withheld():
                there = await asyncio.to_thread(atomic_files.is_published, volume.path)
                return None if there else volume.refusal
            case HostPathCheck():
                return await asyncio.to_thread(host_paths.check, volume.path, volume.type)
            case ClaimedPath():
                return await self._link(volume, plan)
            case LogDirectory():
                root = self._dirs.logs_root
                elsewhere = os.path.join(root, volume.shared_name) if root else ""
                await asyncio.to_thread(make_log_directories, volume.path, elsewhere, volume.containers)
            case _:
                assert_never(volume)
        return None

    async def _make_empty(self, volume: EmptyDirectory, fs_group: int | None) -> None:
        """A directory appears under its name only when it has its owner: it is never looked at again."""
        staged = await asyncio.to_thread(_stage_directory, volume.path)
        if staged is None:
            return
        if fs_group is not None:
            await give_to_group(staged, fs_group, self._engine, read_only=False)
        await asyncio.to_thread(os.rename, staged, volume.path)

    async def _link(self, volume: ClaimedPath, plan: VolumePlan) -> str | None:
        """A claim's directory is the pod's when the link is there: then nobody looks at it again."""
        if await asyncio.to_thread(_leads_to, volume.link, volume.path):
            return None
        complaint = await asyncio.to_thread(host_paths.check, volume.path, volume.type)
        if complaint is None:
            gid = plan.fs_group if volume.given_to_group else None
            done = plan.on_root_mismatch and await asyncio.to_thread(is_of_group, volume.path, gid)
            if gid is not None and not done:
                await give_to_group(volume.path, gid, self._engine, read_only=False)
            await asyncio.to_thread(_make_link, volume.link, volume.path)
        return complaint

    async def _project(self, volume: Projection, plan: VolumePlan) -> None:
        path = volume.path
        if volume.secret and self._dirs.memory:
            path = await asyncio.to_thread(_keep_in_memory, path, self._dirs.secrets_of(PodUID(plan.pod_uid)))
        staged = await asyncio.to_thread(atomic_files.stage, path, volume.files, self._clock.now())
        if staged is not None:
            await asyncio.to_thread(_make_directories, path, volume.mount_points)
            if plan.fs_group is not None:
                await give_to_group(path, plan.fs_group, self._engine, read_only=True)
            await asyncio.to_thread(atomic_files.publish, path, staged, volume.files)
        if former := await asyncio.to_thread(atomic_files.set_aside, path):
            self.former.remove(PodUID(plan.pod_uid), former)

    async def read_env_file(self, file: EnvFile) -> str | Fault:
        """The text of a file in a volume, or why it cannot be had."""
        try:
            root = file.root
            if file.in_memory:
                refusal = f'cannot read the file `{file.path}`: volume "{file.volume}" is in memory'
                root = await self._memory(root, f"{refusal}, and only {_AS_ROOT} can vkprovider read it")
            return await asyncio.to_thread(env_files.read, root, file.path)
        except Fault as exc:
            return exc

    async def _on_the_host(self, sub_path: SubPath) -> SubPath:
        """A subPath of a volume in memory. Raises Fault."""
        refusal = f'unable to provision SubPath `{sub_path.path}`: volume "{sub_path.volume}" is in memory'
        root = await self._memory(sub_path.root, f"{refusal}, and only {_AS_ROOT} can vkprovider mount a part of it")
        return msgspec.structs.replace(sub_path, root=root)

    async def _memory(self, name: str, refusal: str) -> str:
        """Where a volume in memory is: the engine has it mounted while the sandbox runs. Raises Fault."""
        if not self._dirs.memory:
            raise Fault(refusal)
        try:
            return await self._engine.volume_directory(name)
        except EngineNotFound as exc:
            raise Fault(str(exc)) from exc

    def _labels(self, uid: PodUID) -> dict[str, str]:
        return {NODE: self._engine.node, POD_UID: uid}


def _stage_directory(path: str) -> str | None:
    """A new directory beside ``path``, open to anyone whatever the umask; None if ``path`` is there already."""
    if os.path.isdir(path):
        return None
    os.makedirs(os.path.dirname(path), exist_ok=True)
    staged = f"{path}.new"  # no volume is named so: a dot is not allowed in a name
    if os.path.lexists(staged):
        shutil.rmtree(staged)
    os.mkdir(staged)
    os.chmod(staged, 0o777)
    return staged


def _leads_to(link: str, path: str) -> bool:
    return os.path.islink(link) and os.readlink(link) == path


def _make_link(link: str, path: str) -> None:
    os.makedirs(os.path.dirname(link), exist_ok=True)
    if os.path.lexists(link):
        os.unlink(link)
    os.symlink(path, link)


def _keep_in_memory(path: str, secrets: str) -> str:
    """Where a secret volume is, with a link to it at ``path``. One that was begun on disk stays there."""
    if os.path.isdir(path) and not os.path.islink(path):
        return path
    try:
        mount_memory(os.path.dirname(secrets))
    except PermissionError:
        return path
    target = os.path.join(secrets, os.path.basename(path))
    make_pod_dir(secrets)
    if not _leads_to(path, target):
        _make_link(path, target)
    return target


def _make_directories(volume: str, directories: Iterable[str]) -> None:
    for directory in directories:
        os.makedirs(os.path.join(volume, directory), exist_ok=True)


def _prepare(plan: MountPlan, *, pinned: bool) -> tuple[Mount, ...]:
    if plan.termination_log:
        container_files.make_termination_log(plan.termination_log)
    for path, content in plan.files.items():
        container_files.write_shared(path, content)
    mounts = list(plan.mounts)
    for each in plan.sub_paths:
        source = subpaths.resolve(each, pinned=pinned)
        mounts[each.index] = msgspec.structs.replace(mounts[each.index], source=source, volume=False)
    return tuple(mounts)
