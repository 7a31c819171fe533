"""Files with variables, and everything else that a container may leave in their place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vkprovider.core.faults import Fault
from vkprovider.node.env_files import MOST_BYTES, read


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("A=outside")
    found = tmp_path / "volume"
    (found / "deep").mkdir(parents=True)
    (found / "deep" / "file").write_text("A=1")
    (found / "link").symlink_to("deep/file")
    (found / "out").symlink_to("../secret")
    (found / "up").symlink_to("..")
    (found / "absolute").symlink_to(tmp_path / "secret")
    (found / "loop").symlink_to("loop")
    (found / "bytes").write_bytes(b"A=\xff")
    os.mkfifo(found / "pipe")
    (found / "large").write_bytes(bytes(MOST_BYTES + 1))
    return found


@pytest.mark.parametrize("path", ["deep/file", "link", "./deep//file"])
def test_a_file_of_the_volume(volume: Path, path: str) -> None:
    assert read(str(volume), path) == "A=1"


@pytest.mark.parametrize(
    "path", ["out", "up/secret", "absolute", "../secret", "loop", "pipe", "deep", "", "missing", "bytes", "a\0b"]
)
def test_nothing_else_is_read_and_nothing_said_of_the_host(volume: Path, path: str) -> None:
    with pytest.raises(Fault) as caught:
        read(str(volume), path)
    assert caught.value.message == "couldn't parse env file"


def test_a_file_has_an_end(volume: Path) -> None:
    with pytest.raises(Fault, match="larger than 1 MiB"):
        read(str(volume), "large")
