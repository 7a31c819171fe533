"""The cgroups of containers, read from this machine's files: the cheapest there is, and it asks nobody.

A container's first process says where its cgroup is, whatever the engine's driver calls it and puts it under.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import msgspec

from vkprovider.engine.descriptors import open_files
from vkprovider.engine.pod_cgroups import pod_cgroup
from vkprovider.model.refs import ContainerID, PodUID
from vkprovider.model.usage import DeviceIo, Reading
from vkprovider.wire import cgroup_v1, cgroup_v2
from vkprovider.wire.kernel_texts import MountedCgroup, cgroup_mounts, cgroup_paths, network_devices

SYSTEM = Path("/")
_CHUNK = 65536


class Cgroup(NamedTuple):
    """The files of one, by what their parser calls them; ``network`` is "" for one without a network of its own."""

    files: tuple[tuple[str, str], ...]
    parse: Callable[[Mapping[str, str]], Reading | None]
    network: str

    def of_pod(self, uid: PodUID) -> Cgroup | None:
        """That of the whole pod, if this container's is in one (see ``pod_cgroups``)."""
        above = tuple((name, posixpath.dirname(posixpath.dirname(path))) for name, path in self.files)
        if not all(posixpath.basename(directory) == pod_cgroup(uid) for _, directory in above):
            return None
        return Cgroup(tuple((name, f"{directory}/{name}") for name, directory in above), self.parse, "")


class Cgroups:
    """``root`` is where /proc and /sys are. The methods read files: they are called from a thread."""

    def __init__(self, root: Path = SYSTEM) -> None:
        self._root = root
        self._devices: dict[tuple[int, int], str] = {}

    def find(self, container_id: ContainerID, pid: int, *, own_network: bool) -> Cgroup | None:
        """Where a running container is counted. None where that cannot be seen from here, as of an engine elsewhere or
        from within a container.
        """
        process = self._root / "proc" / str(pid)
        paths = {
            controllers: up_to(path, container_id)
            for controllers, path in cgroup_paths(read(str(process / "cgroup")) or "").items()
            if container_id in path
        }
        network = str(process / "net/dev") if own_network else ""
        if all(name in paths for name in cgroup_v1.CONTROLLERS):
            found = Cgroup(self._files_v1(paths), cgroup_v1.reading, network)
        elif "" in paths:
            found = Cgroup(self._files_v2(paths[""]), cgroup_v2.reading, network)
        else:
            return None
        return found if self.read(found) is not None else None

    def read(self, cgroup: Cgroup) -> Reading | None:
        """None once it is gone."""
        texts = {name: text for name, path in cgroup.files if (text := read(path)) is not None}
        reading = cgroup.parse(texts)
        if reading is None:
            return None
        network = network_devices(read(cgroup.network) or "") if cgroup.network else ()
        opened = open_files(self._root / "proc", texts.get("cgroup.procs", "").split())
        return msgspec.structs.replace(
            reading, network=network, io=tuple(map(self._named, reading.io)), open_files=opened
        )

    def _files_v1(self, paths: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        directories = {
            controller: self._directory(mount, paths[controller])
            for mount in self._mounts
            for controller in mount.controllers & paths.keys()
        }
        return tuple((name, f"{directories[kind]}/{name}") for kind, name in cgroup_v1.FILES if kind in directories)

    def _files_v2(self, path: str) -> tuple[tuple[str, str], ...]:
        mount = next((mount for mount in self._mounts if not mount.controllers), None)
        if mount is None:
            return ()
        directory = self._directory(mount, path)
        return tuple((name, f"{directory}/{name}") for name in cgroup_v2.FILES)

    @cached_property
    def _mounts(self) -> tuple[MountedCgroup, ...]:
        return cgroup_mounts(read(str(self._root / "proc/self/mountinfo")) or "")

    def _directory(self, mount: MountedCgroup, path: str) -> str:
        """``path`` counts from the hierarchy's root, which need not be what is mounted."""
        below = posixpath.relpath(path, mount.root)
        return os.path.join(self._root, mount.point.lstrip("/"), below)

    def _named(self, io: DeviceIo) -> DeviceIo:
        key = (io.major, io.minor)
        if key not in self._devices:
            self._devices[key] = block_device(*key, root=self._root)
        return msgspec.structs.replace(io, device=self._devices[key])


def block_device(major: int, minor: int, root: Path = SYSTEM) -> str:
    """Its path in /dev; "" for what is none, as an overlay."""
    try:
        return f"/dev/{os.path.basename(os.readlink(root / f'sys/dev/block/{major}:{minor}'))}"
    except OSError:
        return ""


def up_to(path: str, container_id: ContainerID) -> str:
    """The container's own directory: an init system inside has moved itself further down."""
    parts = path.split("/")
    last = max(place for place, part in enumerate(parts) if container_id in part)
    return "/".join(parts[: last + 1])


def read(path: str) -> str | None:
    """A file of the kernel's, with as few calls as can be: there are thousands. None where it cannot be read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        chunks = []
        while chunk := os.read(file, _CHUNK):  # the kernel gives a long one in pieces, whatever is asked for
            chunks.append(chunk)
        return b"".join(chunks).decode(errors="replace")
    except OSError:  # as of a cgroup that is being removed
        return None
    finally:
        os.close(file)
