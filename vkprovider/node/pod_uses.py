"""What the pods here use of what may run low: by their containers, and by their volumes on disk."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from vkprovider.core.reclaim import ContainerUse, PodUse
from vkprovider.core.volumes import in_memory, volume_path
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodUID
from vkprovider.model.usage import ContainerDisk
from vkprovider.node.disk_usage import disk_usage
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.ports import ContainerEngine, UsageSource


class PodUses:
    """Asks when it is asked. Raises EngineError."""

    def __init__(self, engine: ContainerEngine, source: UsageSource, dirs: PodDirs) -> None:
        self._engine = engine
        self._source = source
        self._dirs = dirs

    async def memory(self) -> dict[PodUID, PodUse]:
        """Memory and processes of all pods that have a container running."""
        usage = await self._source.usage()
        found: dict[PodUID, list[ContainerUse]] = defaultdict(list)
        processes: dict[PodUID, int] = defaultdict(int)
        for each in usage.containers.values():
            identity = each.container.identity
            processes[identity.pod_uid] += each.reading.processes
            if not each.container.is_sandbox:
                working_set = each.reading.memory.working_set
                found[identity.pod_uid].append(ContainerUse(name=identity.name, memory=working_set))
        return {uid: PodUse(containers=tuple(found[uid]), processes=count) for uid, count in processes.items()}

    async def disk(self, pods: Iterable[Pod]) -> dict[PodUID, PodUse]:
        """What these pods take: the writable layers and logs of the containers that run, and volumes on disk."""
        running, usage = await asyncio.gather(self._engine.running(), self._source.disk_usage())
        found: dict[PodUID, list[ContainerUse]] = defaultdict(list)
        for each in running:
            disk = usage.containers.get(each.id)
            if disk is not None and not each.is_sandbox:
                found[each.identity.pod_uid].append(ContainerUse(name=each.identity.name, disk=_bytes(disk)))
        volumes = {pod.uid: await asyncio.to_thread(self._volumes, pod) for pod in pods}
        return {
            uid: PodUse(containers=tuple(found[uid]), disk=size + sum(c.disk or 0 for c in found[uid]))
            for uid, size in volumes.items()
        }

    def _volumes(self, pod: Pod) -> int:
        """Those that are the pod's own, and on disk (pkg/volume/util IsLocalEphemeralVolume)."""
        own = self._dirs.of(pod.uid)
        kept = (v for v in pod.spec.volumes if v.empty_dir is not None and not in_memory(v))
        return sum(disk_usage(volume_path(volume, own)) for volume in kept)


def _bytes(disk: ContainerDisk) -> int:
    return sum(part.used for part in (disk.root, disk.logs) if part is not None)
