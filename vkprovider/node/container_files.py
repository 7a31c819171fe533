"""The files of containers on the host: their /etc/hosts and resolv.conf, and an instance's termination message."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile

_MESSAGE_BYTES = 4096


def make_termination_log(path: str) -> None:
    """Make the empty file a container may write its last words to, whoever it runs as. One that exists is kept."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with contextlib.suppress(FileExistsError), open(path, "xb") as created:
        os.fchmod(created.fileno(), 0o666)


def read_termination_message(path: str) -> str:
    """The last 4096 bytes a container left as its message; "" where there is no such file. Blocks on the disk.

    The container may have done anything to the file. What cannot be read is reported as the message, as by
    pkg/kubelet/kuberuntime/kuberuntime_container.go getTerminationMessage (pkg/util/tail ReadAtMost).
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    except OSError as exc:
        return f"Error on reading termination log {path}: {exc.strerror}"
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return f"Error on reading termination log {path}: not a regular file"
        os.lseek(fd, max(0, status.st_size - _MESSAGE_BYTES), os.SEEK_SET)
        return os.read(fd, _MESSAGE_BYTES).decode(errors="replace")
    finally:
        os.close(fd)


def write_shared(path: str, content: str) -> None:
    """Bring a file that a pod's containers share up to date. Raises OSError.

    Containers that run have the file itself mounted, so it is rewritten in place; one that a container has taken
    away from this user is replaced for the containers to come.
    """
    data = content.encode()
    try:
        with open(path, "r+b") as present:
            if present.read() != data:
                present.seek(0)
                present.truncate()
                present.write(data)
    except (FileNotFoundError, PermissionError):
        _replace(path, data)


def _replace(path: str, data: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(path), delete=False) as fresh:
        fresh.write(data)
        os.fchmod(fresh.fileno(), 0o644)
    os.rename(fresh.name, path)
