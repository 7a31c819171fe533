"""hostPath volumes: every kind against everything that may be there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.node.disk import mode
from vkprovider.node.host_paths import check

HOST_PATHS = {
    "directory": ["", "Directory", "DirectoryOrCreate"],
    "file": ["", "File", "FileOrCreate"],
    "socket": ["", "Socket"],
    "missing": ["", "DirectoryOrCreate", "FileOrCreate"],
    "link": ["", "File", "FileOrCreate"],
    "file/below": [""],
}
NAMES = {
    "Directory": "directory",
    "DirectoryOrCreate": "directory",
    "File": "file",
    "FileOrCreate": "file",
    "Socket": "socket file",
    "CharDevice": "character device",
    "BlockDevice": "block device",
}


@pytest.mark.parametrize("kind", ["", *NAMES])
@pytest.mark.parametrize("path", HOST_PATHS)
def test_a_host_path_is_what_it_is_said_to_be(tmp_path: Path, path: str, kind: str) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    os.mknod(tmp_path / "socket", stat.S_IFSOCK | 0o600)
    there = tmp_path / path
    if path == "file/below" and kind.endswith("OrCreate"):
        with pytest.raises(NotADirectoryError):
            check(str(there), kind)
        return
    complaint = check(str(there), kind)
    if kind in HOST_PATHS[path]:
        assert complaint is None
        assert there.exists() == (path != "file/below")
    else:
        assert complaint == f"hostPath type check failed: {there} is not a {NAMES[kind]}"


@pytest.mark.parametrize("kind", ["CharDevice", "BlockDevice", "File"])
def test_devices(kind: str) -> None:
    assert (check("/dev/null", kind) is None) == (kind == "CharDevice")


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(("kind", "expected"), [("", 0o755), ("DirectoryOrCreate", 0o755), ("FileOrCreate", 0o644)])
def test_what_is_created_has_the_kubelets_mode(tmp_path: Path, kind: str, expected: int) -> None:
    path = tmp_path / "new"
    assert check(str(path), kind) is None
    assert mode(path) == expected


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("kind", ["DirectoryOrCreate", "FileOrCreate"])
def test_what_is_there_is_left_as_it_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "there"
    path.mkdir() if kind == "DirectoryOrCreate" else path.write_text("kept")
    path.chmod(0o700)
    assert check(str(path), kind) is None
    assert mode(path) == 0o700
    assert path.is_dir() or path.read_text() == "kept"


def test_an_unknown_kind() -> None:
    assert check("/", "Pipe") == "Pipe is an invalid volume type"
