"""Mounts below other mounts: a volume that containers may only read needs the directories that others go on."""

from __future__ import annotations

import posixpath

from vkprovider.model.container import Container
from vkprovider.model.pod import Pod


def mount_points_in(pod: Pod, volume: str) -> tuple[str, ...]:
    """The directories in a volume, relative to it, that other volumes are mounted on (pkg/volume/util MakeNested...).

    What is mounted below one of these is not among them: that is the other volume's affair.
    """
    containers = (*pod.spec.init_containers, *pod.spec.containers)
    return tuple(dict.fromkeys(point for container in containers for point in _points(container, volume)))


def _points(container: Container, volume: str) -> list[str]:
    places = {_clean(mount.mount_path): mount.name for mount in container.volume_mounts}
    found: list[str] = []
    for root in (place for place, name in places.items() if name == volume):
        above: list[str] = []
        for place in sorted(places):
            if place.startswith(f"{root}/") and not any(place.startswith(f"{other}/") for other in above):
                above.append(place)
                found.append(posixpath.relpath(place, root))
    return found


def _clean(path: str) -> str:
    return posixpath.normpath(posixpath.join("/", path))
