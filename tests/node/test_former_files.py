"""What volumes showed before an update is removed while containers see the new files, and nothing of it stays."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.disk import UID, Disk

REMOVE = shutil.rmtree


class SlowDisk:
    """Until it may, it does not end the removal of any directory."""

    def __init__(self) -> None:
        self.may_remove = threading.Event()
        self.begun: list[str] = []

    def remove(self, path: str) -> None:
        self.begun.append(path)
        self.may_remove.wait(10)
        REMOVE(path)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    slow = SlowDisk()
    monkeypatch.setattr(shutil, "rmtree", slow.remove)
    yield slow
    slow.may_remove.set()


async def removed(disk: Disk) -> set[str]:
    """What is left in the volume and beside it once nothing is being removed."""
    await asyncio.wait_for(disk.writer.former.removed(UID), 10)
    return {*os.listdir(disk.pod), *os.listdir(disk.pod / "config")}


def names(disk: Disk, *files: str) -> set[str]:
    return {"config", "..data", os.readlink(disk.pod / "config" / "..data"), *files}


async def test_nothing_waits_for_the_removal(disk: Disk, slow: SlowDisk) -> None:
    for text in ("1", "2", "3"):
        volume = await disk.project({"a": text, f"only-in-{text}": ""})
        assert (volume / "a").read_text() == text
        assert set(os.listdir(volume)) == names(disk, "a", f"only-in-{text}") - {"config"}
    assert len(os.listdir(disk.pod)) == 3  # it, and what it showed before twice
    slow.may_remove.set()
    assert await removed(disk) == names(disk, "a", "only-in-3")
    assert (volume / "a").read_text() == "3"


async def test_the_pod_is_removed_after_them(disk: Disk, slow: SlowDisk) -> None:
    for text in ("1", "2"):
        await disk.project({"a": text})
    removal = asyncio.create_task(disk.writer.remove(UID))
    await asyncio.wait([removal], timeout=0.1)
    assert [os.path.basename(path).partition("..")[0] for path in slow.begun] == ["config"]
    slow.may_remove.set()
    await asyncio.wait_for(removal, 10)
    assert not disk.pod.exists()


async def test_what_a_crash_left_goes_at_the_next_write_though_nothing_has_changed(disk: Disk) -> None:
    volume = await disk.project({"a": "1"})
    for left in ("config..2025_01_01_00_00_00.half-removed", "config/..2025_01_01_00_00_00.never-shown"):
        (disk.pod / left / "d").mkdir(parents=True)
    (disk.pod / "config-2").mkdir()  # another volume
    before = os.readlink(volume / "..data")
    again = Disk(Path(disk.dirs.root))
    await again.project({"a": "1"})
    assert await removed(again) == names(again, "a") | {"config-2"}
    assert os.readlink(volume / "..data") == before


async def test_what_cannot_be_removed_is_left_for_the_next_write(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    await disk.project({"a": "1"})
    with monkeypatch.context() as refusing:
        refusing.setattr(shutil, "rmtree", refuse)
        await disk.project({"a": "2"})
        assert len(await removed(disk) - names(disk, "a")) == 1
    await disk.project({"a": "2"})
    assert await removed(disk) == names(disk, "a")


async def test_what_cannot_be_written_takes_no_room(disk: Disk) -> None:
    volume = await disk.project({"a": "1"})
    before = set(os.listdir(volume))
    assert len(await disk.writer.write(disk.plan(disk.projection({"b": "2", "c\0": "3"})))) == 1
    assert set(os.listdir(volume)) == before
