"""The directories in which pods' logs lie: a pod's own, or one of the machine's for all pods, where collectors look."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
from collections.abc import Iterable

from vkprovider.core.pod_logs import container_names, log_note, log_path, logs_path, shared_name, shows_logs
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodUID
from vkprovider.node.pod_dirs import PodDirs

DIRECTORY_MODE, FILE_MODE = 0o755, 0o640  # the kubelet's, and containerd's


class LogDirs:
    """Every method but ``keeps`` blocks on the disk, may be repeated, and raises OSError."""

    def __init__(self, dirs: PodDirs) -> None:
        self._dirs = dirs

    def keeps(self, pod: Pod) -> bool:
        """Whether the pod has log files."""
        return bool(self._dirs.logs_root) or shows_logs(pod)

    def make(self, pod: Pod) -> None:
        """A directory for each of the pod's containers."""
        root = self._dirs.logs_root
        elsewhere = os.path.join(root, shared_name(pod)) if root else ""
        make_log_directories(logs_path(self._dirs.of(pod.uid)), elsewhere, container_names(pod))

    def begin(self, pod: Pod, container: str, attempt: int) -> tuple[str, str]:
        """The file for an instance's log, made if it is not there, and the one for notes on it.

        Of the instances before, the last keeps its log, as it keeps its container.
        """
        self.make(pod)
        pod_dir = self._dirs.of(pod.uid)
        path, note = log_path(pod_dir, container, attempt), log_note(pod_dir, container, attempt)
        os.makedirs(os.path.dirname(note), exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
        _remove_older(os.path.dirname(path), attempt)
        return path, note

    def remove_elsewhere(self, uid: PodUID) -> None:
        """Remove what is not in the pod's own directory."""
        path = logs_path(self._dirs.of(uid))
        if os.path.islink(path):
            target = os.readlink(path)
            if target.endswith(f"_{uid}"):
                shutil.rmtree(target, ignore_errors=True)


def make_log_directories(path: str, elsewhere: str, containers: Iterable[str]) -> None:
    """A directory for each container at ``path``. Where ``elsewhere`` is not "", ``path`` is a link to it; but what is
    there already, in use by containers, stays.
    """
    if elsewhere and not os.path.isdir(path):
        _make_directory(elsewhere)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        os.symlink(elsewhere, path)
    for name in containers:
        _make_directory(os.path.join(path, name))


def _make_directory(path: str) -> None:
    os.makedirs(path, exist_ok=True)
    os.chmod(path, DIRECTORY_MODE)


def _remove_older(directory: str, attempt: int) -> None:
    for path in glob.glob(os.path.join(glob.escape(directory), "*.log*")):
        number = os.path.basename(path).partition(".")[0]
        if number.isdecimal() and int(number) < attempt - 1:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
