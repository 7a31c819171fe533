"""What pods' volumes take on disk, counted when somebody asks, and kept for a while: directories may be large."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from vkprovider.core.projections import is_projection
from vkprovider.core.volumes import in_memory, volume_path
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodUID
from vkprovider.model.usage import DiskUse, FileSystem, VolumeUse
from vkprovider.model.volume import Volume
from vkprovider.node.disk_limits import REST
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.pod_worker import PodWorker
from vkprovider.ports import Clock

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
    ) -> None:
        self._workers = workers
        self._dirs = dirs
        self._clock = clock
        self._size = count
        self._file_system = file_system
        self._counted: Mapping[PodUID, tuple[VolumeUse, ...]] = {}
        self._until = float("-inf")
        self._lock = asyncio.Lock()

    async def volumes(self) -> Mapping[PodUID, tuple[VolumeUse, ...]]:
        async with self._lock:
            begun = self._clock.monotonic()
            if begun >= self._until:
                pods = [worker.pod for worker in self._workers.values()]
                self._counted = await asyncio.to_thread(self._count, pods)
                ended = self._clock.monotonic()
                self._until = ended + max(KEPT_SECONDS, REST * (ended - begun))
            return self._counted

    def _count(self, pods: Iterable[Pod]) -> dict[PodUID, tuple[VolumeUse, ...]]:
        return {pod.uid: tuple(filter(None, (self._use(pod, volume) for volume in pod.spec.volumes))) for pod in pods}

    def _use(self, pod: Pod, volume: Volume) -> VolumeUse | None:
        claim = volume.persistent_volume_claim
        if claim is None and not is_projection(volume) and (volume.empty_dir is None or in_memory(volume)):
            return None
        path = volume_path(volume, self._dirs.of(pod.uid))
        system = self._file_system(path)
        if system is None:
            return None
        if claim is not None:
            whole = DiskUse(used=system.used, inodes=system.inodes_used)
            return VolumeUse(name=volume.name, use=whole, file_system=system, claim=claim.claim_name)
        use = self._size(path)
        return VolumeUse(name=volume.name, use=use, file_system=system) if use is not None else None
