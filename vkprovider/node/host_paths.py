"""hostPath volumes: is at the path what the pod says (pkg/volume/hostpath/host_path.go)."""

from __future__ import annotations

import contextlib
import os
import stat

_KINDS = {
    "Directory": (stat.S_ISDIR, "directory"),
    "File": (stat.S_ISREG, "file"),
    "Socket": (stat.S_ISSOCK, "socket file"),
    "CharDevice": (stat.S_ISCHR, "character device"),
    "BlockDevice": (stat.S_ISBLK, "block device"),
}


def check(path: str, kind: str) -> str | None:
    """Make sure of a host path, creating what the OrCreate kinds allow; the complaint, or None where all is well.

    Symbolic links are followed, as the mount will. Raises OSError where this process may not look or create.
    """
    if kind == "":
        # As every runtime below a kubelet does. Where this process may not, the engine will say what is missing.
        with contextlib.suppress(OSError):
            _create_directory(path)
        return None
    if kind == "DirectoryOrCreate":
        _create_directory(path)
    if kind == "FileOrCreate":
        _create_file(path)
    found = _KINDS.get(kind.removesuffix("OrCreate"))
    if found is None:
        return f"{kind} is an invalid volume type"
    is_kind, name = found
    try:
        matches = is_kind(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        matches = False
    return None if matches else f"hostPath type check failed: {path} is not a {name}"


def _create_directory(path: str) -> None:
    if not os.path.exists(path):
        os.makedirs(path, exist_ok=True)
        os.chmod(path, 0o755)


def _create_file(path: str) -> None:
    with contextlib.suppress(FileExistsError), open(path, "xb") as created:
        os.fchmod(created.fileno(), 0o644)
