"""What pods' volumes take, counted when somebody asks, and kept for a while: directories may be large."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

from vkprovider.core.projections import is_projection
from vkprovider.core.volumes import in_memory, memory_volume_name, volume_path
from vkprovider.errors import EngineError
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodUID
from vkprovider.model.usage import ClaimName, DiskUse, FileSystem, VolumeUse
from vkprovider.model.volume import Volume
from vkprovider.node.disk_limits import REST
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.pod_worker import PodWorker
from vkprovider.ports import Clock, ContainerEngine

KEPT_SECONDS = 60.0  # volumeStatsAggPeriod (pkg/kubelet/apis/config/v1beta1/defaults.go)


class DiskVolumes:
    """The VolumeUsages port for the pods of ``workers``. ``count`` says what a directory takes, ``file_system`` which
    one it is in; both give None for what cannot be read or is not there yet, and then nothing is said of the volume.
    """

    def __init__(
        self,
        workers: Mapping[PodUID, PodWorker],
        dirs: PodDirs,
        clock: Clock,
        count: Callable[[str], DiskUse | None],
        file_system: Callable[[str], FileSystem | None],
        engine: ContainerEngine,
    ) -> None:
        self._workers = workers
        self._dirs = dirs
        self._clock = clock
        self._size = count
        self._file_system = file_system
        self._engine = engine
        self._directories: dict[str, str] = {}  # of volumes in memory, by the engine's name for them
        self._counted: Mapping[PodUID, tuple[VolumeUse, ...]] = {}
        self._until = float("-inf")
        self._lock = asyncio.Lock()

    async def volumes(self) -> Mapping[PodUID, tuple[VolumeUse, ...]]:
        async with self._lock:
            begun = self._clock.monotonic()
            if begun >= self._until:
                pods = [worker.pod for worker in self._workers.values()]
                await self._find_memory(pods)
                self._counted = await asyncio.to_thread(self._count, pods)
                ended = self._clock.monotonic()
                self._until = ended + max(KEPT_SECONDS, REST * (ended - begun))
            return self._counted

    async def claims(self) -> Mapping[ClaimName, FileSystem]:
        pods = [worker.pod for worker in self._workers.values()]
        return await asyncio.to_thread(lambda: dict(self._claims(pods)))

    def _claims(self, pods: Iterable[Pod]) -> Iterator[tuple[ClaimName, FileSystem]]:
        for pod in pods:
            for volume in pod.spec.volumes:
                claim = volume.persistent_volume_claim
                path = volume_path(volume, self._dirs.of(pod.uid))
                if claim is not None and (system := self._file_system(path)) is not None:
                    yield (pod.key.namespace, claim.claim_name), system

    def _count(self, pods: Iterable[Pod]) -> dict[PodUID, tuple[VolumeUse, ...]]:
        return {pod.uid: tuple(filter(None, (self._use(pod, volume) for volume in pod.spec.volumes))) for pod in pods}

    async def _find_memory(self, pods: Iterable[Pod]) -> None:
        """Ask the engine where volumes in memory are, once for each."""
        names = [memory_volume_name(pod, volume) for pod in pods for volume in pod.spec.volumes if in_memory(volume)]
        known, self._directories = self._directories, {}
        for name in names:
            with suppress(EngineError):  # it is not made yet
                self._directories[name] = known.get(name) or await self._engine.volume_directory(name)

    def _use(self, pod: Pod, volume: Volume) -> VolumeUse | None:
        if in_memory(volume):
            return self._use_of_memory(pod, volume)
        claim = volume.persistent_volume_claim
        if claim is None and not is_projection(volume) and volume.empty_dir is None:
            return None
        path = volume_path(volume, self._dirs.of(pod.uid))
        system = self._file_system(path)
        if system is None:
            return None
        if claim is not None:
            return VolumeUse(name=volume.name, use=_all_of(system), file_system=system, claim=claim.claim_name)
        use = self._size(path)
        return VolumeUse(name=volume.name, use=use, file_system=system) if use is not None else None

    def _use_of_memory(self, pod: Pod, volume: Volume) -> VolumeUse | None:
        """A file system of its own, where it is mounted: that is as long as a container has it."""
        directory = self._directories.get(memory_volume_name(pod, volume), "")
        system = self._file_system(directory) if os.path.ismount(directory) else None
        if system is None:
            return None
        return VolumeUse(name=volume.name, use=_all_of(system), file_system=system, on_disk=False)


def _all_of(system: FileSystem) -> DiskUse:
    return DiskUse(used=system.used, inodes=system.inodes_used)
