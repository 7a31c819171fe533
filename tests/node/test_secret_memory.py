"""What this node mounts: a tmpfs for what is secret, and what subPaths lead to, so that it stays."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.node.disk import UID, Disk, as_nobody, mode
from tests.node.tool_engine import ToolEngine
from vkprovider.config import ConfigError
from vkprovider.core.mounts import MountPlan, SubPath
from vkprovider.model.create import Mount
from vkprovider.model.engine import EngineInfo
from vkprovider.node import mounting
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.secret_memory import close_memory, memory_of, mount_memory, shared_memory

HERE = EngineInfo(
    version="",
    api_version="",
    os="",
    architecture="",
    kernel="",
    operating_system="",
    cpus=1,
    memory=1,
    shares_mounts=True,
)
ELSEWHERE = msgspec.structs.replace(HERE, shares_mounts=False)


class OwnEngine(ToolEngine):
    """One that sees the directories below ``seen`` as the test does."""

    def __init__(self, info: EngineInfo, seen: Path) -> None:
        super().__init__()
        self._info, self._seen = info, seen

    async def info(self) -> EngineInfo:
        return self._info

    async def run_tool(self, args: list[str], directory: str) -> None:  # type: ignore[override]
        await super().run_tool(args, directory)
        if Path(directory).is_relative_to(self._seen):
            for path in args[1:]:
                await asyncio.to_thread(os.unlink, path)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[str]:
    """A tmpfs in the test's directory, where this process may mount one."""
    path = memory_of(tmp_path, HERE)
    try:
        mount_memory(path or "/proc/none")
    except OSError:
        pytest.skip("this process may not mount anything")
    yield path
    mounting.detach_all(str(tmp_path))


@pytest.fixture
def disk(tmp_path: Path, memory: str) -> Disk:
    return Disk(tmp_path, memory=memory)


def on_tmpfs(path: Path, memory: str) -> bool:
    return path.stat().st_dev == os.stat(memory).st_dev != os.stat(os.path.dirname(memory)).st_dev


async def test_what_is_secret_is_never_on_disk(disk: Disk, memory: str) -> None:
    volume = disk.pod / "config"
    for value in ("1", "2"):
        assert await disk.writer.write(disk.plan(disk.projection({"a": value}, secret=True))) == ()
        assert (volume / "a").read_text() == value
        assert on_tmpfs(volume / "a", memory)
    assert (volume.is_symlink(), mode(Path(memory) / UID)) == (True, 0o750)
    assert [found for found in disk.pod.rglob("*") if found.is_file() and not found.is_symlink()] == []


async def test_what_is_no_secret_is_on_disk(disk: Disk, memory: str) -> None:
    volume = await disk.project({"a": "1"})
    assert (on_tmpfs(volume / "a", memory), os.listdir(memory)) == (False, [])


async def test_what_was_begun_on_disk_stays_where_containers_have_it(disk: Disk, memory: str, tmp_path: Path) -> None:
    before = Disk(tmp_path)
    await before.writer.write(before.plan(before.projection({"a": "1"}, secret=True)))
    await disk.writer.write(disk.plan(disk.projection({"a": "2"}, secret=True)))
    assert ((disk.pod / "config" / "a").read_text(), (disk.pod / "config").is_symlink()) == ("2", False)


async def test_a_machine_that_was_restarted_has_them_made_again(disk: Disk, memory: str) -> None:
    plan = disk.plan(disk.projection({"a": "1"}, secret=True))
    await disk.writer.write(plan)
    mounting.detach(memory)
    assert await disk.writer.write(plan) == ()
    assert on_tmpfs(disk.pod / "config" / "a", memory)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files to any group")
async def test_a_group_owns_them_too(disk: Disk) -> None:
    await disk.writer.write(disk.plan(disk.projection({"a": "1"}, mode=0o400, secret=True), fs_group=4321))
    status = (disk.pod / "config" / "a").stat()
    assert (status.st_gid, oct(status.st_mode & 0o777)) == (4321, "0o440")


async def test_nothing_is_left_of_a_pod(disk: Disk, memory: str) -> None:
    await disk.writer.write(disk.plan(disk.projection({"a": "1"}, secret=True)))
    await disk.writer.remove(UID)
    assert (os.listdir(memory), disk.pod.exists()) == ([], False)


async def test_secrets_of_pods_that_nobody_knows_are_found(disk: Disk, memory: str) -> None:
    (Path(memory) / UID).mkdir()
    (Path(memory) / ".probe-half").touch()
    assert await disk.dirs.uids() == {UID}


async def test_the_next_process_takes_the_memory_over(disk: Disk, memory: str, tmp_path: Path) -> None:
    await disk.writer.write(disk.plan(disk.projection({"a": "1"}, secret=True)))
    await close_memory(memory)
    assert await shared_memory(tmp_path, tmp_path, OwnEngine(HERE, tmp_path)) == memory  # type: ignore[arg-type]
    assert ((disk.pod / "config" / "a").read_text(), mounting.mounts(memory)) == ("1", [memory])


async def test_an_empty_memory_goes(memory: str) -> None:
    await close_memory(memory)
    assert mounting.mounts(memory) == []
    await close_memory(memory)


async def test_no_memory_for_an_engine_that_would_not_see_it(tmp_path: Path) -> None:
    assert memory_of(tmp_path, ELSEWHERE) == ""
    assert await shared_memory(tmp_path, tmp_path, OwnEngine(ELSEWHERE, tmp_path)) == ""  # type: ignore[arg-type]
    await close_memory("")
    assert os.listdir(tmp_path) == []


def test_no_memory_for_an_ordinary_user(tmp_path: Path) -> None:
    async def work() -> str:
        return memory_of(tmp_path, HERE)

    assert as_nobody(tmp_path, work) == ""


async def test_whether_the_engine_sees_it_is_tried(memory: str, tmp_path: Path) -> None:
    assert await shared_memory(tmp_path, tmp_path, OwnEngine(HERE, tmp_path)) == memory  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="does not see the state directory"):
        await shared_memory(tmp_path, tmp_path, OwnEngine(HERE, tmp_path / "other"))  # type: ignore[arg-type]
    assert mounting.mounts(memory) == []


# --- subPaths -----------------------------------------------------------------------------------------------------


def part(disk: Disk, path: str, root: Path, *, in_memory: bool = False) -> MountPlan:
    pin = str(disk.pod / "volume-subpaths" / "v" / "app" / "0")
    found = SubPath(index=0, root=str(root), path=path, volume="v", container="app", pin=pin, in_memory=in_memory)
    return MountPlan(mounts=(Mount(source="v", target="/m", volume=in_memory),), sub_paths=(found,))


@pytest.fixture
def volume(disk: Disk) -> Path:
    volume = disk.pod / "v"
    (volume / "a").mkdir(parents=True)
    (volume / "a" / "mine").write_text("mine")
    return volume


async def test_nothing_can_be_put_in_the_place_of_a_sub_path(disk: Disk, volume: Path) -> None:
    (mount,) = await disk.writer.prepare_container(part(disk, "a", volume))
    (volume / "a").rename(volume / "b")
    (volume / "a").symlink_to("/etc")
    assert os.listdir(mount.source) == ["mine"]
    assert mount == Mount(source=str(disk.pod / "volume-subpaths/v/app/0"), target="/m")


async def test_the_next_instance_sees_what_is_there_by_then(disk: Disk, volume: Path) -> None:
    (volume / "file").write_text("a file")
    for path in ("a", "file", "file", "a"):
        (mount,) = await disk.writer.prepare_container(part(disk, path, volume))
        assert os.stat(mount.source).st_ino == os.stat(volume / path).st_ino
        assert len(mounting.mounts(str(disk.pod))) == 1


async def test_what_a_sub_path_leads_to_outlives_the_pod(disk: Disk, volume: Path, tmp_path: Path) -> None:
    host = tmp_path / "host"
    host.mkdir()
    (host / "kept").touch()
    await disk.writer.prepare_container(part(disk, ".", host))
    await disk.writer.remove(UID)
    assert (disk.pod.exists(), mounting.mounts(str(disk.pod)), (host / "kept").exists()) == (False, [], True)


async def test_a_part_of_a_volume_in_memory(disk: Disk, volume: Path) -> None:
    await disk.engine.create_volume("engine-volume", {}, {"directory": str(volume)})
    (mount,) = await disk.writer.prepare_container(part(disk, "a", Path("engine-volume"), in_memory=True))
    assert (os.listdir(mount.source), mount.volume) == (["mine"], False)


async def test_a_later_process_without_rights_leaves_what_is_mounted(disk: Disk, volume: Path) -> None:
    await disk.writer.prepare_container(part(disk, "a", volume))
    with pytest.raises(Exception, match="something is mounted at"):
        await PodDirs(disk.dirs.root).remove(UID, disk.engine)  # type: ignore[arg-type]
    assert (volume / "a" / "mine").exists()
