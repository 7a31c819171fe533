"""What containers take on disk."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.engine.test_usage import Bench
from vkprovider.engine.disks import KEPT_SECONDS, EngineDisks, count, file_system
from vkprovider.model.engine import EngineInfo, StoredImage
from vkprovider.model.refs import ContainerID
from vkprovider.model.usage import ContainerDisk, DiskUse

INFO = EngineInfo(
    version="0",
    api_version="1.41",
    os="linux",
    architecture="x86_64",
    kernel="6",
    operating_system="x",
    cpus=1,
    memory=1,
)


class DiskBench(Bench):
    """Containers that write to directories, which are known to the engine as ``layers``, and their logs."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.root = root
        self.layers: dict[ContainerID, str] = {}
        self.sizes: dict[ContainerID, int] = {}
        self.images = [StoredImage(names=("a",), size_bytes=1000), StoredImage(names=("b",), size_bytes=500)]
        self.disks = EngineDisks(
            self.usages,
            self,  # type: ignore[arg-type]
            self.info,
            self.stored_images,
            str(root),
            self.clock,
        )

    async def info(self) -> EngineInfo:
        return EngineInfo(
            **{name: getattr(INFO, name) for name in INFO.__struct_fields__} | {"root_dir": str(self.root)}
        )

    async def stored_images(self) -> tuple[StoredImage, ...]:
        return tuple(self.images)

    def write(self, name: ContainerID, size: int) -> None:
        self.layers[name] = str(self.root / f"layer-{name}")
        self.machine.write(f"layer-{name}/deep/file", "x" * size)

    async def call(self, method: str, path: str, *, params: Mapping[str, str | int] | None = None) -> Any:
        if path == "/containers/json":
            self.calls.append("sizes")
            return [{"Id": name, "SizeRw": size} for name, size in self.sizes.items()]
        answer = await super().call(method, path, params=params)
        name = ContainerID(path.split("/")[2])
        layer = {"GraphDriver": {"Data": {"UpperDir": self.layers[name]}}} if name in self.layers else {}
        return answer | layer | {"LogPath": str(self.root / f"{name}.log")}


@pytest.fixture
def bench(tmp_path: Path) -> DiskBench:
    return DiskBench(tmp_path)


def blocks(*paths: Path) -> int:
    return sum(os.lstat(path).st_blocks * 512 for path in paths)


async def test_layers_and_logs_are_counted_here_where_they_can_be_seen(bench: DiskBench):
    name = bench.add()
    bench.write(name, 100_000)
    for log in (f"{name}.log", f"{name}.log.1", f"{name}.log.2.gz", "another.log"):
        bench.machine.write(log, "y" * 5000)
    disk = (await bench.disks.disk_usage()).containers[name]
    layer = bench.root / f"layer-{name}"
    assert disk.root == DiskUse(used=blocks(layer, layer / "deep", layer / "deep/file"), inodes=3)
    logs = [bench.root / f"{name}.log{end}" for end in ("", ".1", ".2.gz")]
    assert disk.logs == DiskUse(used=blocks(*logs), inodes=3)
    assert "sizes" not in bench.calls


async def test_the_engine_counts_what_is_hidden_all_of_it_in_one_call(bench: DiskBench):
    seen, hidden, fresh = bench.add(42), bench.add(43), bench.add(44)
    bench.write(seen, 10)
    bench.sizes = {seen: 7, hidden: 12345}
    found = (await bench.disks.disk_usage()).containers
    assert found[hidden] == ContainerDisk(root=DiskUse(used=12345))
    assert found[fresh] == ContainerDisk()
    assert found[seen].root is not None
    assert found[seen].root.used != 7
    assert bench.calls.count("sizes") == 1


async def test_it_is_counted_once_a_minute_however_many_ask(bench: DiskBench):
    name = bench.add()
    bench.write(name, 10)
    first, second = await asyncio.gather(bench.disks.disk_usage(), bench.disks.disk_usage())
    assert first is second
    bench.clock.elapsed += KEPT_SECONDS - 1
    bench.write(name, 1 << 20)
    assert await bench.disks.disk_usage() is first
    bench.clock.elapsed += 1
    counted = (await bench.disks.disk_usage()).containers[name].root
    assert counted is not None
    assert counted.used > 1 << 20


async def test_disks_and_images(bench: DiskBench):
    found = await bench.disks.disk_usage()
    assert found.engine is not None
    assert found.node is not None
    assert found.engine.device == found.node.device  # what is free on it changes from one look to the next
    assert found.engine.capacity > found.engine.used > 0
    assert found.engine.inodes_used == found.engine.inodes - found.engine.inodes_free
    assert found.images == 1500
    bench.images = [StoredImage(names=("a",), size_bytes=1 << 60)]  # they share layers
    bench.clock.elapsed += KEPT_SECONDS
    found = await bench.disks.disk_usage()
    assert found.engine is not None
    assert found.images == found.engine.used


def test_a_file_with_two_names_is_counted_once(tmp_path: Path):
    (tmp_path / "a").write_text("x" * 5000)
    once = count(str(tmp_path))
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    (tmp_path / "c").symlink_to("/")
    assert once is not None
    assert count(str(tmp_path)) == DiskUse(used=once.used + blocks(tmp_path / "c"), inodes=3)


def test_what_is_not_there_has_no_size(tmp_path: Path):
    assert count(str(tmp_path / "none")) is None
    assert file_system(str(tmp_path / "none")) is None
