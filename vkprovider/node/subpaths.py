"""subPath mounts: a container may plant symbolic links in a volume, and none may lead another mount out of it.

What is resolved here holds at that moment. A kubelet pins it by a bind mount of its own, for which it takes root and
the engine's mount namespace. Without these, a container that swaps a directory for a link just while another of its
own pod is being started can make that one see more of the host: see docs/explanation.
"""

from __future__ import annotations

import os
import stat

from vkprovider.core.faults import Fault
from vkprovider.core.mounts import SubPath

_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def resolve(sub_path: SubPath) -> str:
    """The real path on the host of a subPath. What is missing is made, as directories with the mode of the volume's.

    Raises Fault where the path leaves its volume or cannot be had. Like the kubelet, it does not say why: the reason
    would tell the pod about the host (pkg/kubelet/kubelet_pods.go makeMounts).
    """
    try:
        root = os.path.realpath(sub_path.root, strict=True)
        target = os.path.realpath(os.path.join(root, sub_path.path))
        if os.path.commonpath((root, target)) == root:
            _walk(root, os.path.relpath(target, root).split(os.sep))
            return target
    except OSError as exc:
        raise _fault(sub_path) from exc
    raise _fault(sub_path)


def _fault(sub_path: SubPath) -> Fault:
    return Fault(f'failed to prepare subPath for volumeMount "{sub_path.volume}" of container "{sub_path.container}"')


def _walk(root: str, elements: list[str]) -> None:
    """Go down from the volume's directory without following links, making what is missing. Raises OSError."""
    directory = os.open(root, _LOOK | os.O_DIRECTORY)
    try:
        mode = stat.S_IMODE(os.fstat(directory).st_mode)
        for index, element in enumerate(elements):
            below = _open_or_make(directory, element, mode, last=index == len(elements) - 1)
            os.close(directory)
            directory = below
        if stat.S_ISLNK(os.fstat(directory).st_mode):
            raise NotADirectoryError("a symbolic link was put in the way")
    finally:
        os.close(directory)


def _open_or_make(parent: int, name: str, mode: int, *, last: bool) -> int:
    flags = _LOOK if last else _LOOK | os.O_DIRECTORY
    try:
        return os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        os.mkdir(name, dir_fd=parent)
    made = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
    os.fchmod(made, mode)
    return made
