"""The directories of pods on this machine: ``<root>/pods/<uid>``, laid out as a kubelet's."""

from __future__ import annotations

import asyncio
import os
import re
import shutil

from vkprovider.errors import SpecError, VkError
from vkprovider.model.refs import PodUID
from vkprovider.ports import ContainerEngine

DIRECTORY_MODE = 0o750  # as the kubelet's: containers get at what is inside by mounts, other users never

_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_OCTAL = re.compile(r"\\([0-7]{3})")


class MountsLeft(VkError):  # noqa: N818  the state it found
    """Something is mounted below a pod's directory, so that removing it would remove what is mounted."""

    reason = "VolumesNotCleanedUp"


def make_pod_dir(path: str) -> None:
    """Make a pod's directory, closed to other users whatever the umask. Raises OSError."""
    os.makedirs(path, exist_ok=True)
    os.chmod(path, DIRECTORY_MODE)


class PodDirs:
    """``root`` is an absolute path that both this process and the engine know under this name."""

    def __init__(self, root: str) -> None:
        self.root = root

    def of(self, uid: PodUID) -> str:
        """The path of a pod's directory. Raises SpecError for a uid that is no plain name."""
        if _UID.fullmatch(uid) is None:
            raise SpecError(f"{uid!r} cannot name a directory", "metadata.uid")
        return os.path.join(self.root, "pods", uid)

    async def uids(self) -> frozenset[PodUID]:
        """All pods of which anything is on disk."""
        return await asyncio.to_thread(self._uids)

    def _uids(self) -> frozenset[PodUID]:
        try:
            return frozenset(PodUID(name) for name in os.listdir(os.path.join(self.root, "pods")))
        except FileNotFoundError:
            return frozenset()

    async def remove(self, uid: PodUID, engine: ContainerEngine) -> None:
        """Remove a pod's directory with all that containers left in it; one that is gone already is fine.

        What this process cannot remove, most often because root in a container made it, the engine does. Raises
        MountsLeft, EngineError.
        """
        path = self.of(uid)
        try:
            await asyncio.to_thread(_remove_tree, path)
        except (OSError, RecursionError):  # a container may nest directories as deep as it likes
            await engine.run_tool(["remove", path], os.path.dirname(path))


def _remove_tree(path: str) -> None:
    mounts = _mounts_below(os.path.realpath(path))
    if mounts:
        raise MountsLeft(f"{path} is left in place: something is mounted at {', '.join(mounts)}")
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return


def _mounts_below(path: str) -> list[str]:
    """A container with Bidirectional mounts may have mounted anything inside a volume of its pod."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mountinfo:
        points = [_OCTAL.sub(lambda code: chr(int(code[1], 8)), line.split(" ")[4]) for line in mountinfo]
    return [point for point in points if point.startswith(f"{path}/")]
