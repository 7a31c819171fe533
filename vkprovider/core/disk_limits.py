"""How much the volumes of a pod may take of the disk, and what happens to one that takes more.

A volume in memory needs none of this: the kernel gives it no more than its size. Texts: pkg/kubelet/eviction.
"""

from __future__ import annotations

from typing import NamedTuple

from vkprovider.core.view import Eviction
from vkprovider.core.volumes import in_memory, volume_path
from vkprovider.model.pod import Pod
from vkprovider.model.quantity import whole

EVICTED = "Evicted"
GRACE_SECONDS = 1


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
    return Eviction(reason=EVICTED, message=message, grace_seconds=GRACE_SECONDS)
