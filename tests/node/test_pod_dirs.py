"""A pod's directory: where it is, and that it goes with all in it and with nothing else."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node.disk import UID, Disk, as_nobody
from vkprovider.core.volumes import MemoryVolume
from vkprovider.errors import SpecError
from vkprovider.model.refs import PodUID
from vkprovider.node.pod_dirs import MountsLeft, PodDirs


async def test_removal_leaves_nothing(disk: Disk, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    volume = await disk.project({"a": "1"})
    (volume / "planted").symlink_to(outside)
    await disk.writer.write(disk.plan(MemoryVolume(name="m", engine_name="mine", options={})))
    other = {"vkprovider.node": "node-1", "io.kubernetes.pod.uid": "other"}
    await disk.engine.create_volume("other", other, {})
    assert await disk.dirs.uids() == {UID}
    await disk.writer.remove(UID)
    assert await disk.dirs.uids() == frozenset()
    assert list(disk.engine.volumes) == ["other"]
    assert (outside / "kept").exists()
    await disk.writer.remove(UID)
    assert disk.engine.tools == []


@pytest.fixture
def bottomless(disk: Disk) -> Iterator[Path]:
    """What a container can make by going down into each directory as it makes it."""
    disk.pod.mkdir(parents=True)
    at = os.open(disk.pod, os.O_PATH)
    for _ in range(1500):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_PATH, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    yield disk.pod
    subprocess.run(["rm", "-rf", disk.pod], check=True)


async def test_directories_nested_beyond_reason_are_left_to_the_engine(disk: Disk, bottomless: Path) -> None:
    await disk.writer.remove(UID)
    assert disk.engine.tools == [(["remove", str(bottomless)], str(bottomless.parent))]


async def test_nothing_to_list_before_the_first_pod(tmp_path: Path) -> None:
    assert await PodDirs(str(tmp_path / "nowhere")).uids() == frozenset()


@pytest.mark.parametrize("uid", ["", ".", "..", "../x", "a/b", ".hidden", "a\nb"])
def test_a_uid_that_leads_elsewhere_is_refused(uid: str) -> None:
    with pytest.raises(SpecError, match="cannot name a directory"):
        PodDirs("/root-of-pods").of(PodUID(uid))


@pytest.fixture
def mounted(disk: Disk, tmp_path: Path) -> Iterator[Path]:
    """Something of the host, mounted in a volume of the pod."""
    source, target = tmp_path / "source", disk.pod / "a volume"
    source.mkdir()
    (source / "precious").touch()
    target.mkdir(parents=True)
    if subprocess.run(["mount", "--bind", source, target], check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    yield source
    subprocess.run(["umount", target], check=True)


async def test_a_directory_with_something_mounted_in_it_is_left_alone(disk: Disk, mounted: Path) -> None:
    """A privileged container may have mounted the host's files into a volume: they must not be removed with it."""
    with pytest.raises(MountsLeft, match="a volume"):
        await disk.writer.remove(UID)
    assert (mounted / "precious").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="needs files of another user")
def test_an_ordinary_user_has_the_engine_remove_what_root_left(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    left = disk.pod / "volume" / "of-root"
    left.mkdir(parents=True)
    (left / "file").touch()
    (tmp_path / "pods").chmod(0o777)
    disk.pod.chmod(0o777)

    async def work() -> Any:
        await disk.writer.remove(UID)
        return disk.engine.tools

    assert as_nobody(tmp_path, work) == [[["remove", str(disk.pod)], str(disk.pod.parent)]]
