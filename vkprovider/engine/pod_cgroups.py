"""Cgroups of whole pods: Docker knows none, but puts containers into one that it is told of.

They are made where the engine runs on this machine and manages cgroups by their files; systemd does not let others
make one below its own. What is set and how is pkg/kubelet/cm/cgroup_manager_linux.go; shares become a weight as in
opencontainers/cgroups ConvertCPUSharesToCgroupV2Value.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

from vkprovider.errors import EngineError
from vkprovider.model.create import Limits
from vkprovider.model.refs import PodUID

ROOT = Path("/sys/fs/cgroup")
PARENT = "vkprovider"
CONTROLLERS = ("memory", "cpu", "pids")
CGROUPFS = "cgroupfs"


def pod_cgroup(uid: PodUID) -> str:
    """The name of a pod's directory."""
    return f"pod{uid}"


class PodCgroups:
    """``root`` is where cgroups are mounted."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._usable: bool | None = None

    def usable(self) -> bool:
        """Whether any can be made. Reads and writes files, the first time."""
        if self._usable is None:
            try:
                self._make_parents()
                self._usable = True
            except OSError:
                self._usable = False
        return self._usable

    async def make(self, uid: PodUID, limits: Limits) -> str:
        """The path of a pod's cgroup, as the engine wants it. Raises EngineError."""
        try:
            await asyncio.to_thread(self._make, uid, limits)
        except OSError as exc:
            raise EngineError(f"cannot make the pod's cgroup: {exc}") from exc
        return f"/{PARENT}/{pod_cgroup(uid)}"

    async def remove(self, uid: PodUID) -> None:
        """When nothing of the pod runs any more. One that is not there is fine. Raises EngineError."""
        try:
            await asyncio.to_thread(self._remove, uid)
        except OSError as exc:
            raise EngineError(f"cannot remove the pod's cgroup: {exc}") from exc

    def _make_parents(self) -> None:
        for directory in self._directories():
            directory.mkdir(exist_ok=True)
        if self._unified:
            for directory in (self._root, self._root / PARENT):
                (directory / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in CONTROLLERS))

    def _make(self, uid: PodUID, limits: Limits) -> None:
        self._make_parents()
        for directory in self._directories():
            (directory / pod_cgroup(uid)).mkdir(exist_ok=True)
        for controller, name, value in self._settings(limits):
            (self._parent_in(controller) / pod_cgroup(uid) / name).write_text(value)

    def _remove(self, uid: PodUID) -> None:
        """In all hierarchies: the engine makes it in those too that have no limits."""
        for directory in (self._root / PARENT, *self._root.glob(f"*/{PARENT}")):
            path = directory / pod_cgroup(uid)
            if path.is_dir() and not path.is_symlink():
                os.rmdir(path)

    @property
    def _unified(self) -> bool:
        return (self._root / "cgroup.controllers").exists()

    def _parent_in(self, controller: str) -> Path:
        return self._root / PARENT if self._unified else self._root / controller / PARENT

    def _directories(self) -> list[Path]:
        return list(dict.fromkeys(self._parent_in(controller) for controller in CONTROLLERS))

    def _settings(self, limits: Limits) -> Iterator[tuple[str, str, str]]:
        """Controller, file and value, for those limits that there are."""
        yield from _unified(limits) if self._unified else self._separate(limits)

    def _separate(self, limits: Limits) -> Iterator[tuple[str, str, str]]:
        if limits.memory:
            yield "memory", "memory.limit_in_bytes", str(limits.memory)
            if (self._root / "memory" / "memory.memsw.limit_in_bytes").exists():
                yield "memory", "memory.memsw.limit_in_bytes", str(limits.memory)
        yield "cpu", "cpu.shares", str(limits.cpu_shares)
        if limits.cpu_quota:
            yield "cpu", "cpu.cfs_period_us", str(limits.cpu_period)
            yield "cpu", "cpu.cfs_quota_us", str(limits.cpu_quota)
        if limits.pids:
            yield "pids", "pids.max", str(limits.pids)


def _unified(limits: Limits) -> Iterator[tuple[str, str, str]]:
    if limits.memory:
        yield "memory", "memory.max", str(limits.memory)
    yield "cpu", "cpu.weight", str(1 + (limits.cpu_shares - 2) * 9999 // 262142)
    if limits.cpu_quota:
        yield "cpu", "cpu.max", f"{limits.cpu_quota} {limits.cpu_period}"
    if limits.pids:
        yield "pids", "pids.max", str(limits.pids)
