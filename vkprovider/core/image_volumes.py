"""Volumes that show an image: which ones a container has, and how an engine that can mount images is asked for them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from vkprovider.core.mounts import MountPlan
from vkprovider.core.volumes import volume_path
from vkprovider.model.container import Container
from vkprovider.model.pod import Pod
from vkprovider.model.volume import Volume

MOUNTABLE_SINCE = (1, 48)  # the version of the engine's API


def image_volumes(pod: Pod, container: Container) -> tuple[Volume, ...]:
    """Those that the container mounts, each once."""
    mounted = {mount.name for mount in container.volume_mounts}
    return tuple(volume for volume in pod.spec.volumes if volume.image is not None and volume.name in mounted)


def image_paths(pod: Pod, pod_dir: str, images: Mapping[str, str]) -> dict[str, str]:
    """The IDs of images by the paths of their volumes, which they are given by name."""
    return {volume_path(volume, pod_dir): images[volume.name] for volume in pod.spec.volumes if volume.name in images}


def mounts_images(api_version: str) -> bool:
    """Whether an engine of that API can mount an image by itself."""
    numbers = api_version.split(".")
    return all(number.isdecimal() for number in numbers) and tuple(map(int, numbers)) >= MOUNTABLE_SINCE


def with_image_mounts(plan: MountPlan, images: Mapping[str, str]) -> MountPlan:
    """The plan with images themselves, and what of them, instead of paths that stand for them."""
    parts = {each.index: each.path for each in plan.sub_paths}
    mounts = tuple(
        msgspec.structs.replace(mount, source=images[mount.source], image=True, sub_path=parts.get(index, ""))
        if mount.source in images
        else mount
        for index, mount in enumerate(plan.mounts)
    )
    left = tuple(each for each in plan.sub_paths if each.root not in images)
    return msgspec.structs.replace(plan, mounts=mounts, sub_paths=left)
