"""subPath mounts: a container may plant symbolic links in a volume, and none may lead another mount out of it.

The path is gone down without following links, and what is found there is mounted once more where containers cannot
reach (pkg/volume/util/subpath/subpath_linux.go doBindSubPath). Where this process cannot mount what the engine sees, it
is told the path instead: that holds at this moment, and a container that swaps a directory for a link just while
another one of its pod is being started can make that one see more of the host.
"""

from __future__ import annotations

import os
import stat

from vkprovider.core.faults import Fault
from vkprovider.core.mounts import SubPath
from vkprovider.node import mounting

_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def resolve(sub_path: SubPath, *, pinned: bool) -> str:
    """A path on the host for what a subPath names. What is missing is made: directories with the mode of the volume's.

    ``pinned``, it is a mount of what was found, and nobody can put something else there any more.
    Raises Fault where the path leaves its volume or cannot be had. Like the kubelet, it does not say why: the reason
    would tell the pod about the host (pkg/kubelet/kubelet_pods.go makeMounts).
    """
    try:
        root = os.path.realpath(sub_path.root, strict=True)
        target = os.path.realpath(os.path.join(root, sub_path.path))
        if os.path.commonpath((root, target)) == root:
            found = _walk(root, os.path.relpath(target, root).split(os.sep))
            try:
                return _pin(found, sub_path.pin) if pinned else target
            except PermissionError:  # of mounting: what has the right to may still be forbidden to
                return target
            finally:
                os.close(found)
    except (OSError, ValueError) as exc:
        raise _fault(sub_path) from exc
    raise _fault(sub_path)


def _pin(found: int, pin: str) -> str:
    """Mount an open file or directory at ``pin``, instead of what an earlier instance of the container had there."""
    mounting.detach_all(os.path.realpath(pin))
    is_directory = stat.S_ISDIR(os.fstat(found).st_mode)
    if os.path.isdir(pin) is not is_directory and os.path.lexists(pin):
        (os.unlink if is_directory else os.rmdir)(pin)
    if is_directory:
        os.makedirs(pin, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(pin), exist_ok=True)
        os.close(os.open(pin, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    mounting.bind(found, pin)
    return pin


def _fault(sub_path: SubPath) -> Fault:
    return Fault(f'failed to prepare subPath for volumeMount "{sub_path.volume}" of container "{sub_path.container}"')


def _walk(root: str, elements: list[str]) -> int:
    """Go down from the volume's directory without following links, making what is missing; the end of it, open.

    Raises OSError.
    """
    directory = os.open(root, _LOOK | os.O_DIRECTORY)
    try:
        mode = stat.S_IMODE(os.fstat(directory).st_mode)
        for index, element in enumerate(elements):
            below = _open_or_make(directory, element, mode, last=index == len(elements) - 1)
            os.close(directory)
            directory = below
        if stat.S_ISLNK(os.fstat(directory).st_mode):
            raise NotADirectoryError("a symbolic link was put in the way")
    except BaseException:
        os.close(directory)
        raise
    return directory


def _open_or_make(parent: int, name: str, mode: int, *, last: bool) -> int:
    flags = _LOOK if last else _LOOK | os.O_DIRECTORY
    try:
        return os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        os.mkdir(name, dir_fd=parent)
    made = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
    os.fchmod(made, mode)
    return made
