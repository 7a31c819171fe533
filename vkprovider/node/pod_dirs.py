"""The directories of pods on this machine: ``<root>/pods/<uid>``, laid out as a kubelet's."""

from __future__ import annotations

import asyncio
import os
import re
import shutil

from vkprovider.core.mounts import SUB_PATHS
from vkprovider.errors import SpecError, VkError
from vkprovider.model.refs import PodUID
from vkprovider.node import mounting
from vkprovider.ports import ContainerEngine

DIRECTORY_MODE = 0o750  # as the kubelet's: containers get at what is inside by mounts, other users never

_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class MountsLeft(VkError):
    """Something is mounted below a pod's directory, so that removing it would remove what is mounted."""

    reason = "VolumesNotCleanedUp"


def make_pod_dir(path: str) -> None:
    """Make a pod's directory, closed to other users whatever the umask. Raises OSError."""
    os.makedirs(path, exist_ok=True)
    os.chmod(path, DIRECTORY_MODE)


class PodDirs:
    """``root`` is an absolute path that both this process and the engine know under this name.

    ``memory`` is that of a tmpfs for what is never to be on disk, see ``secret_memory``; "" where this process cannot
    mount what the engine sees. It may be set until the first pod comes. ``logs_root`` is where all pods' logs are to
    lie; "" for those alone that mount them, each with its pod.
    """

    def __init__(self, root: str, memory: str = "", logs_root: str = "") -> None:
        self.root = root
        self.memory = memory
        self.logs_root = logs_root

    def of(self, uid: PodUID) -> str:
        """The path of a pod's directory. Raises SpecError for a uid that is no plain name."""
        if _UID.fullmatch(uid) is None:
            raise SpecError(f"{uid!r} cannot name a directory", "metadata.uid")
        return os.path.join(self.root, "pods", uid)

    def secrets_of(self, uid: PodUID) -> str:
        """The path of a pod's directory in memory. Only where there is ``memory``."""
        return os.path.join(self.memory, uid)

    async def uids(self) -> frozenset[PodUID]:
        """All pods of which anything is on disk, or in memory."""
        return await asyncio.to_thread(self._uids)

    def _uids(self) -> frozenset[PodUID]:
        in_memory = _names(self.memory) if self.memory else []
        pods = (*_names(os.path.join(self.root, "pods")), *filter(_UID.fullmatch, in_memory))
        return frozenset(PodUID(name) for name in pods)

    async def remove(self, uid: PodUID, engine: ContainerEngine) -> None:
        """Remove a pod's directory with all that containers left in it; one that is gone already is fine.

        What this process cannot remove, most often because root in a container made it, the engine does. Raises
        MountsLeft, EngineError.
        """
        path = self.of(uid)
        try:
            if self.memory:
                await asyncio.to_thread(self._let_go, uid)
            await asyncio.to_thread(_remove_tree, path)
        except (OSError, RecursionError):  # a container may nest directories as deep as it likes
            await engine.run_tool(["remove", path], os.path.dirname(path))

    def _let_go(self, uid: PodUID) -> None:
        """Take away the mounts that are this process's own, and what is secret."""
        mounting.detach_all(os.path.realpath(os.path.join(self.of(uid), SUB_PATHS)))
        _remove_tree(self.secrets_of(uid))


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _remove_tree(path: str) -> None:
    mounts = mounting.mounts(os.path.realpath(path))
    if mounts:
        raise MountsLeft(f"{path} is left in place: something is mounted at {', '.join(mounts)}")
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
