"""The files of one container on the host, against what the container may do to them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.node.tool_engine import ToolEngine
from tests.node.virtual_clock import VirtualClock
from vkprovider.core.faults import Fault
from vkprovider.core.mounts import MountPlan, SubPath
from vkprovider.model.create import Mount
from vkprovider.node.container_files import make_termination_log, read_termination_message, write_shared
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.subpaths import resolve
from vkprovider.node.volume_writer import VolumeWriter


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "containers" / "app" / "0" / "termination-log"
    make_termination_log(str(path))
    return path


def test_the_message_file_is_empty_and_open_to_anyone(log: Path) -> None:
    assert (log.read_text(), mode(log)) == ("", 0o666)


def test_a_message_that_is_there_already_is_kept(log: Path) -> None:
    """The instance may run already when its start is carried out a second time."""
    log.write_text("last words")
    make_termination_log(str(log))
    assert read_termination_message(str(log)) == "last words"


@pytest.mark.parametrize(
    ("left", "message"),
    [
        (b"", ""),
        (b"x" * 4096, "x" * 4096),
        (b"first" + b"x" * 4096, "x" * 4096),
        (b"caf\xe9", "caf\ufffd"),
    ],
)
def test_the_message_is_what_the_container_left(log: Path, left: bytes, message: str) -> None:
    log.write_bytes(left)
    assert read_termination_message(str(log)) == message


def test_no_file_is_no_message(tmp_path: Path) -> None:
    assert read_termination_message(str(tmp_path / "nothing")) == ""


def link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("plant", "cause"),
    [
        (link, "Too many levels of symbolic links"),
        (fifo, "not a regular file"),
        (directory, "not a regular file"),
    ],
)
def test_nothing_else_is_taken_for_a_message(log: Path, plant: Callable[[Path], None], cause: str) -> None:
    log.unlink()
    plant(log)
    assert read_termination_message(str(log)) == f"Error on reading termination log {log}: {cause}"


def test_hosts_are_written_once_and_then_in_place(tmp_path: Path) -> None:
    path = tmp_path / "etc-hosts"
    before = os.umask(0o077)
    write_shared(str(path), "first, and long")
    os.umask(before)
    first = path.stat()
    assert (path.read_text(), mode(path), list(tmp_path.iterdir())) == ("first, and long", 0o644, [path])
    write_shared(str(path), "first, and long")
    assert path.stat() == first
    write_shared(str(path), "second")
    assert (path.read_text(), path.stat().st_ino) == ("second", first.st_ino)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    path = tmp_path / "volume"
    path.mkdir()
    path.chmod(0o2777)
    (path / "file").touch()
    (path / "deep" / "er").mkdir(parents=True)
    (path / "inside").symlink_to("deep")
    (path / "..data").symlink_to("..ts")
    (path / "..ts").mkdir()
    (path / "..ts" / "key").touch()
    (path / "key").symlink_to("..data/key")
    (path / "outside").symlink_to("/etc")
    (path / "above").symlink_to("../..")
    (path / "around").symlink_to("../volume/deep")
    (path / "loop").symlink_to("loop")
    (path / "dangling").symlink_to("deep/new")
    (tmp_path / "volume-two").mkdir()
    (path / "beside").symlink_to("../volume-two")
    return path


def sub_path(volume: Path, path: str) -> SubPath:
    return SubPath(index=0, root=str(volume), path=path, volume="v", container="app", pin=str(volume.parent / "pin"))


@pytest.mark.parametrize(
    ("path", "real"),
    [
        (".", "."),
        ("file", "file"),
        ("deep/er", "deep/er"),
        ("deep//./er/", "deep/er"),
        ("inside/er", "deep/er"),
        ("around/er", "deep/er"),
        ("key", "..ts/key"),
    ],
)
def test_a_sub_path_is_found_through_links_that_stay_inside(volume: Path, path: str, real: str) -> None:
    assert Path(resolve(sub_path(volume, path), pinned=False)) == (volume / real).resolve()


@pytest.mark.parametrize(
    ("path", "made"),
    [("new", ["new"]), ("deep/a/b", ["deep/a", "deep/a/b"]), ("inside/c", ["deep/c"]), ("dangling", ["deep/new"])],
)
def test_what_is_missing_is_made_with_the_volumes_mode(volume: Path, path: str, made: list[str]) -> None:
    before = os.umask(0o077)
    found = resolve(sub_path(volume, path), pinned=False)
    os.umask(before)
    assert found == str(volume / made[-1])
    assert [mode(volume / directory) for directory in made] == [0o2777] * len(made)


@pytest.mark.parametrize(
    "path", ["outside", "outside/passwd", "outside/new", "above", "beside", "beside/new", "loop", "file/below"]
)
def test_a_sub_path_never_leaves_its_volume(volume: Path, path: str) -> None:
    with pytest.raises(Fault) as caught:
        resolve(sub_path(volume, path), pinned=False)
    assert caught.value.waiting_reason == "CreateContainerConfigError"
    assert caught.value.message == 'failed to prepare subPath for volumeMount "v" of container "app"'
    assert not (volume.parent / "volume-two" / "new").exists()


def test_a_sub_path_of_a_volume_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="failed to prepare subPath"):
        resolve(sub_path(tmp_path / "nothing", "x"), pinned=False)
    assert list(tmp_path.iterdir()) == []


async def test_a_container_is_prepared_as_planned(volume: Path, tmp_path: Path) -> None:
    log, hosts = tmp_path / "c" / "app" / "0" / "termination-log", tmp_path / "etc-hosts"
    plan = MountPlan(
        mounts=(
            Mount(source="engine-volume", target="/m", volume=True),
            Mount(source=str(volume), target="/k", read_only=True),
            Mount(source=str(log), target="/dev/termination-log"),
        ),
        sub_paths=(msgspec.structs.replace(sub_path(volume, "key"), index=1),),
        termination_log=str(log),
        files={str(hosts): "127.0.0.1\tlocalhost\n"},
    )
    writer = VolumeWriter(ToolEngine(), PodDirs(str(tmp_path)), VirtualClock())  # type: ignore[arg-type]
    first, second, third = await writer.prepare_container(plan)
    assert (first, third) == (plan.mounts[0], plan.mounts[2])
    assert second == Mount(source=str(volume / "..ts" / "key"), target="/k", read_only=True)
    assert (log.is_file(), hosts.read_text()) == (True, "127.0.0.1\tlocalhost\n")


async def test_a_part_of_a_volume_in_memory_takes_mounts_of_our_own(tmp_path: Path) -> None:
    writer = VolumeWriter(ToolEngine(), PodDirs(str(tmp_path)), VirtualClock())  # type: ignore[arg-type]
    part = msgspec.structs.replace(sub_path(Path("engine-volume"), "a"), in_memory=True)
    mount = Mount(source="engine-volume", target="/m", volume=True)
    with pytest.raises(Fault) as caught:
        await writer.prepare_container(MountPlan(mounts=(mount,), sub_paths=(part,)))
    assert caught.value.message == (
        'unable to provision SubPath `a`: volume "v" is in memory, and only '
        "as root on the engine's machine, outside of containers, can vkprovider mount a part of it"
    )


async def test_a_container_that_needs_no_files_gets_none(tmp_path: Path) -> None:
    writer = VolumeWriter(ToolEngine(), PodDirs(str(tmp_path)), VirtualClock())  # type: ignore[arg-type]
    assert await writer.prepare_container(MountPlan(mounts=())) == ()
    assert os.listdir(tmp_path) == []
