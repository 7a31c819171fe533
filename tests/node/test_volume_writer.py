"""Volumes on disk: what containers find, what an update changes, what cannot be made."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.node.disk import UID, Disk, as_nobody, mode
from tests.node.tool_engine import ToolEngine
from vkprovider.core.projections import File
from vkprovider.core.volumes import ClaimedPath, EmptyDirectory, HostPathCheck, MemoryVolume, Projection


def shown(volume: Path) -> dict[str, str]:
    """What a container sees: every file by path, the layout's own names left out."""
    return {
        str(found.relative_to(volume)): found.read_text()
        for top in volume.iterdir()
        if not top.name.startswith("..")
        for found in ([top] if top.is_file() else sorted(f for f in top.rglob("*") if f.is_file()))
    }


@pytest.mark.usefixtures("umask")
async def test_empty_dir_is_open_to_anyone_and_the_pods_directory_closed(disk: Disk) -> None:
    volume = EmptyDirectory(name="v", path=str(disk.pod / "volumes/kubernetes.io~empty-dir/v"))
    assert await disk.writer.write(disk.plan(volume)) == ()
    assert mode(Path(volume.path)) == 0o777
    assert mode(disk.pod) == 0o750


async def test_empty_dir_keeps_what_is_in_it(disk: Disk) -> None:
    path = disk.pod / "v"
    plan = disk.plan(EmptyDirectory(name="v", path=str(path)), fs_group=os.getgid())
    await disk.writer.write(plan)
    (path / "kept").write_text("x")
    path.chmod(0o700)
    assert await disk.writer.write(plan) == ()
    assert ((path / "kept").read_text(), mode(path)) == ("x", 0o700)


async def test_empty_dir_half_made_before_a_crash_is_made_anew(disk: Disk) -> None:
    path = disk.pod / "v"
    (disk.pod / "v.new" / "half").mkdir(parents=True)
    await disk.writer.write(disk.plan(EmptyDirectory(name="v", path=str(path))))
    assert (list(path.iterdir()), list(disk.pod.iterdir())) == ([], [path])


async def test_volumes_in_memory_are_the_engines(disk: Disk) -> None:
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1"}
    plan = disk.plan(MemoryVolume(name="v", engine_name="vkprovider_uid-1_v", options=options))
    assert await disk.writer.write(plan) == ()
    labels = {"vkprovider.node": "node-1", "io.kubernetes.pod.uid": UID}
    assert disk.engine.volumes == {"vkprovider_uid-1_v": (labels, options)}


@pytest.mark.usefixtures("umask")
async def test_files_are_laid_out_as_a_kubelet_does(disk: Disk) -> None:
    volume = await disk.project({"a": "1", "d/e/f": "2", "d/g": "3"})
    assert os.readlink(volume / "a") == "..data/a"
    assert os.readlink(volume / "d") == "..data/d"
    data = os.readlink(volume / "..data")
    assert data.startswith("..2026_01_01_12_00_00.")
    assert {entry.name for entry in volume.iterdir()} == {"a", "d", "..data", data}
    assert shown(volume) == {"a": "1", "d/e/f": "2", "d/g": "3"}
    assert [mode(volume / data / p) for p in ("a", "d", "d/e", "d/e/f")] == [0o644, 0o755, 0o755, 0o644]
    assert (mode(volume), mode(volume / data)) == (0o755, 0o755)


async def test_other_volumes_are_mounted_on_directories_that_outlast_changes(disk: Disk) -> None:
    volume = disk.pod / "config"
    for value in ("1", "2"):
        projection = msgspec.structs.replace(disk.projection({"a": value}), mount_points=("sub/deep",))
        assert await disk.writer.write(disk.plan(projection)) == ()
        assert (shown(volume), (volume / "sub" / "deep").is_dir()) == ({"a": value}, True)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away")
async def test_a_file_of_somebody_elses(disk: Disk) -> None:
    token = File(path="token", data=b"t", mode=0o600, owner=4321)
    path = disk.pod / "config"
    assert await disk.writer.write(disk.plan(Projection(name="config", path=str(path), files=(token,)))) == ()
    status = (path / "token").stat()
    assert (status.st_uid, mode(path / "..data" / "token")) == (4321, 0o600)


@pytest.mark.usefixtures("umask")
async def test_modes_are_exact(disk: Disk) -> None:
    volume = await disk.project({"a": "1"}, mode=0o467)
    assert mode(volume / "..data" / "a") == 0o467


async def test_an_unchanged_volume_is_not_written_again(disk: Disk) -> None:
    volume = await disk.project({"a": "1", "d/e": "2"})
    before = os.readlink(volume / "..data")
    await disk.project({"a": "1", "d/e": "2"})
    assert os.readlink(volume / "..data") == before


@pytest.mark.parametrize(
    "changed",
    [
        {"a": "2", "d/e": "2"},
        {"a": "1"},
        {"a": "1", "d/e": "2", "new/x": "3"},
        {"d": "now a file"},
        {"a/b": "now a directory", "d/e": "2"},
        {},
    ],
)
async def test_a_change_shows_all_at_once_and_leaves_nothing_old(disk: Disk, changed: dict[str, str]) -> None:
    volume = await disk.project({"a": "1", "d/e": "2"})
    before = os.readlink(volume / "..data")
    await disk.project(changed)
    data = os.readlink(volume / "..data")
    assert data != before
    assert shown(volume) == changed
    assert {entry.name for entry in volume.iterdir()} == {"..data", data, *(path.split("/")[0] for path in changed)}


async def test_an_open_file_outlives_the_change(disk: Disk) -> None:
    volume = await disk.project({"a": "1"})
    with (volume / "a").open() as opened:
        await disk.project({"a": "2"})
        assert opened.read() == "1"
    assert (volume / "a").read_text() == "2"


async def test_an_empty_projection_is_an_empty_directory(disk: Disk) -> None:
    assert shown(await disk.project({})) == {}


async def test_what_a_crash_left_half_done_is_cleared_away(disk: Disk) -> None:
    volume = await disk.project({"a": "1"})
    (volume / "..2025_01_01_00_00_00.half" / "d").mkdir(parents=True)
    (volume / "..data_tmp").symlink_to("..2025_01_01_00_00_00.half")
    await disk.project({"a": "2"})
    assert {entry.name for entry in volume.iterdir()} == {"a", "..data", os.readlink(volume / "..data")}


async def test_a_host_path_that_is_something_else(disk: Disk) -> None:
    messages = await disk.writer.write(disk.plan(HostPathCheck(name="v", path="/dev/null", type="Directory")))
    complaint = "hostPath type check failed: /dev/null is not a directory"
    assert messages == (f'MountVolume.SetUp failed for volume "v" : {complaint}',)


async def test_a_path_that_is_none(disk: Disk) -> None:
    (message,) = await disk.writer.write(disk.plan(disk.projection({"a\0b": "1"})))
    assert message == 'MountVolume.SetUp failed for volume "config" : embedded null byte'


async def test_many_files_take_their_time_once(disk: Disk) -> None:
    """A ConfigMap of an author who means harm: as many keys as fit in."""
    await asyncio.wait_for(disk.project({f"key-{number}": "x" for number in range(5000)}), 10)
    assert len(os.listdir(disk.pod / "config")) == 5002


async def test_every_failure_is_told_and_the_rest_is_done(tmp_path: Path) -> None:
    disk = Disk(tmp_path, ToolEngine(refuse="no space"))
    disk.pod.mkdir(parents=True)
    (disk.pod / "in-the-way").touch()
    plan = disk.plan(
        MemoryVolume(name="m", engine_name="e", options={}),
        EmptyDirectory(name="bad", path=str(disk.pod / "in-the-way" / "bad")),
        EmptyDirectory(name="good", path=str(disk.pod / "good")),
        failures=("planned",),
    )
    first, second, third = await disk.writer.write(plan)
    assert (first, second) == ("planned", 'MountVolume.SetUp failed for volume "m" : no space')
    assert third == f'MountVolume.SetUp failed for volume "bad" : {disk.pod / "in-the-way"}: File exists'
    assert (disk.pod / "good").is_dir()


def claimed(disk: Disk, path: Path, kind: str = "Directory") -> ClaimedPath:
    return ClaimedPath(name="v", link=str(disk.pod / "volumes/v"), path=str(path), type=kind, given_to_group=True)


async def test_a_claim_leads_to_its_directory(disk: Disk, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    assert await disk.writer.write(disk.plan(claimed(disk, first))) == ()
    (disk.pod / "volumes/v/kept").write_text("x")
    assert (first / "kept").read_text() == "x"
    assert await disk.writer.write(disk.plan(claimed(disk, second, "DirectoryOrCreate"))) == ()
    assert (disk.pod / "volumes/v").resolve() == second


async def test_a_claim_whose_directory_is_missing(disk: Disk, tmp_path: Path) -> None:
    (message,) = await disk.writer.write(disk.plan(claimed(disk, tmp_path / "nowhere")))
    assert message.endswith(f"hostPath type check failed: {tmp_path / 'nowhere'} is not a directory")
    assert not (disk.pod / "volumes/v").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files to any group")
async def test_a_claim_is_given_to_the_group_once(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    plan = disk.plan(claimed(disk, tmp_path / "data"), fs_group=4321)
    await disk.writer.write(plan)
    assert ((tmp_path / "data").stat().st_gid, oct(mode(tmp_path / "data"))) == (4321, "0o2775")
    os.chown(tmp_path / "data", -1, 5)
    await disk.writer.write(plan)
    assert (tmp_path / "data").stat().st_gid == 5


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files to any group")
@pytest.mark.parametrize(
    ("gid", "access", "on_root_mismatch", "left_alone"),
    [
        (4321, 0o2770, True, True),
        (4321, 0o2770, False, False),
        (4321, 0o0770, True, False),
        (4321, 0o2750, True, False),
        (4322, 0o2770, True, False),
    ],
)
async def test_a_claim_that_is_the_groups_already(
    disk: Disk, tmp_path: Path, gid: int, access: int, on_root_mismatch: bool, left_alone: bool
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").touch()
    os.chown(tmp_path / "data", -1, gid)
    (tmp_path / "data").chmod(access)
    plan = disk.plan(claimed(disk, tmp_path / "data"), fs_group=4321, on_root_mismatch=on_root_mismatch)
    assert await disk.writer.write(plan) == ()
    assert ((tmp_path / "data" / "file").stat().st_gid != 4321) is left_alone


async def test_what_a_claim_leads_to_outlives_the_pod(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "kept").touch()
    await disk.writer.write(disk.plan(claimed(disk, tmp_path / "data")))
    await disk.writer.remove(UID)
    assert not disk.pod.exists()
    assert (tmp_path / "data" / "kept").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files to any group")
async def test_a_group_owns_what_it_may_write_and_reads_what_it_may_not(disk: Disk) -> None:
    empty = EmptyDirectory(name="e", path=str(disk.pod / "empty"))
    config = disk.projection({"a": "1", "d/e": "2"}, mode=0o400)
    await disk.writer.write(disk.plan(empty, config, fs_group=4321))
    found = {
        name: ((disk.pod / name).stat().st_gid, oct(mode(disk.pod / name)))
        for name in ("empty", "config", "config/..data/a", "config/..data/d", "config/..data/d/e")
    }
    assert found == {
        "empty": (4321, "0o2777"),
        "config": (4321, "0o2755"),
        "config/..data/a": (4321, "0o440"),
        "config/..data/d": (4321, "0o2755"),
        "config/..data/d/e": (4321, "0o440"),
    }
    assert disk.engine.tools == []
    assert (disk.pod / "empty").stat().st_uid == os.getuid()


def test_an_ordinary_user_has_the_engine_give_volumes_to_a_group(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    plan = disk.plan(
        EmptyDirectory(name="e", path=str(disk.pod / "empty")), disk.projection({"a": "1"}, mode=0o400), fs_group=4321
    )

    async def work() -> Any:
        messages = [*await disk.writer.write(plan), *await disk.writer.write(plan)]
        return [messages, disk.engine.tools, shown(disk.pod / "config"), oct(mode(disk.pod / "empty"))]

    messages, tools, files, empty = as_nobody(tmp_path, work)
    assert messages == []
    assert tools == [
        [["own", "4321", f"{disk.pod}/empty.new"], str(disk.pod)],
        [["own", "-r", "4321", f"{disk.pod}/config"], str(disk.pod)],
    ]
    assert (files, empty) == ({"a": "1"}, "0o777")


def test_an_ordinary_user_is_told_what_is_closed_to_it(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    plan = disk.plan(HostPathCheck(name="v", path="/proc/1/fd/x", type="Directory"))

    async def work() -> Any:
        return await disk.writer.write(plan)

    (message,) = as_nobody(tmp_path, work)
    assert message == 'MountVolume.SetUp failed for volume "v" : /proc/1/fd/x: Permission denied'
