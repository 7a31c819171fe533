"""How much a pod may take of the disk, by its volumes and its containers, and what happens to one that takes more.

A volume in memory needs none of this: the kernel gives it no more than its size. Texts: pkg/kubelet/eviction.
"""

from __future__ import annotations

from typing import NamedTuple

from vkprovider.core.reclaim import EVICTED, GRACE_SECONDS, PodUse
from vkprovider.core.resources import EPHEMERAL_STORAGE, most_allowed
from vkprovider.core.view import Eviction
from vkprovider.core.volumes import in_memory, volume_path
from vkprovider.model.pod import Pod
from vkprovider.model.quantity import in_units_of, whole

# pkg/kubelet/eviction/eviction_manager.go signalEmptyDirFsLimit, signalEphemeralPodFsLimit, ...ContainerFsLimit
VOLUME_SIGNAL, POD_SIGNAL, CONTAINER_SIGNAL = "emptydirfs.limit", "ephemeralpodfs.limit", "ephemeralcontainerfs.limit"


class DiskLimit(NamedTuple):
    """An emptyDir's directory and its size in bytes, and as its pod says it."""

    volume: str
    path: str
    size: int
    said: str


def disk_limits(pod: Pod, pod_dir: str) -> tuple[DiskLimit, ...]:
    """The limits that somebody has to watch."""
    return tuple(
        DiskLimit(volume.name, volume_path(volume, pod_dir), whole(limit), str(limit))
        for volume in pod.spec.volumes
        if volume.empty_dir is not None and not in_memory(volume)
        if (limit := volume.empty_dir.size_limit) is not None and whole(limit) > 0
    )


def too_large(limit: DiskLimit) -> Eviction:
    """The end of a pod whose volume has grown over its limit: Failed, and at once."""
    message = f'Usage of EmptyDir volume "{limit.volume}" exceeds the limit "{limit.said}". '
    return _own_fault(message, VOLUME_SIGNAL)


def limits_storage(pod: Pod) -> bool:
    """Whether somebody has to watch what the containers of a pod write."""
    return any(
        EPHEMERAL_STORAGE in container.resources.limits
        for container in (*pod.spec.containers, *pod.spec.init_containers)
    )


def too_much_written(pod: Pod, use: PodUse) -> Eviction | None:
    """The end of a pod that has more on the disk than its limits allow: first all its containers and volumes together,
    then each regular container by itself.
    """
    said = [
        container.resources.limits[EPHEMERAL_STORAGE]
        for container in (*pod.spec.containers, *pod.spec.init_containers)
        if EPHEMERAL_STORAGE in container.resources.limits
    ]
    total = most_allowed(pod.spec, EPHEMERAL_STORAGE)
    if said and use.disk > total:
        limit = in_units_of(total, said[0])
        message = f"Pod ephemeral local storage usage exceeds the total limit of containers {limit}. "
        return _own_fault(message, POD_SIGNAL)
    written = {container.name: container.disk or 0 for container in use.containers}
    for container in pod.spec.containers:
        allowed = container.resources.limits.get(EPHEMERAL_STORAGE, 0)
        if whole(allowed) and written.get(container.name, 0) > whole(allowed):
            message = f'Container {container.name} exceeded its local ephemeral storage limit "{allowed}". '
            return _own_fault(message, CONTAINER_SIGNAL)
    return None


def _own_fault(message: str, signal: str) -> Eviction:
    return Eviction(reason=EVICTED, message=message, grace_seconds=GRACE_SECONDS, signal=signal, disruption=False)
