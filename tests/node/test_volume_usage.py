"""What pods' volumes take on disk."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.core.given import container, pod
from tests.fakes.engine import FakeEngine
from tests.fakes.node import LivingNode
from tests.fakes.usages import SYSTEM
from tests.node.virtual_clock import VirtualClock
from vkprovider.core.volumes import volume_path
from vkprovider.errors import EngineNotFound
from vkprovider.model.pod import Pod
from vkprovider.model.usage import DiskUse, FileSystem, VolumeUse
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.pod_worker import PodWorker
from vkprovider.node.volume_usage import KEPT_SECONDS, DiskVolumes

VOLUMES = [
    {"name": "scratch", "emptyDir": {}},
    {"name": "fast", "emptyDir": {"medium": "Memory"}},
    {"name": "settings", "configMap": {"name": "settings"}},
    {"name": "host", "hostPath": {"path": "/etc"}},
    {"name": "data", "persistentVolumeClaim": {"claimName": "db"}},
]


class Counted:
    """``sizes`` by directory; what is not in it is not there."""

    def __init__(self) -> None:
        self.sizes: dict[str, DiskUse] = {}
        self.walked: list[str] = []

    def count(self, path: str) -> DiskUse | None:
        self.walked.append(path)
        return self.sizes.get(path)

    def file_system(self, path: str) -> FileSystem | None:
        return SYSTEM if path in self.sizes else None


class MemoryEngine(FakeEngine):
    """Its volumes are all at ``directory``."""

    directory = ""
    asked = 0

    async def volume_directory(self, name: str) -> str:
        self.asked += 1
        if not self.directory:
            raise EngineNotFound(name)
        return self.directory


class Bench:
    def __init__(self, given: Pod, worker: PodWorker) -> None:
        self.dirs = PodDirs("/state")
        self.disk, self.clock, self.given = Counted(), VirtualClock(), given
        workers = {given.uid: worker}
        self.engine = MemoryEngine(self.clock)
        self.usage = DiskVolumes(workers, self.dirs, self.clock, self.disk.count, self.disk.file_system, self.engine)

    def path(self, name: str) -> str:
        volume = next(each for each in self.given.spec.volumes if each.name == name)
        return volume_path(volume, self.dirs.of(self.given.uid))


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    node, given = await LivingNode.on(tmp_path), pod(container("app"), volumes=VOLUMES)
    return Bench(given, PodWorker(given, node.around()))


async def test_volumes_on_disk_are_told_with_their_file_systems(bench: Bench):
    for size, volume in enumerate(("scratch", "settings", "data"), 1):
        bench.disk.sizes[bench.path(volume)] = DiskUse(used=size, inodes=size)
    whole = DiskUse(used=SYSTEM.used, inodes=SYSTEM.inodes_used)
    assert await bench.usage.volumes() == {
        bench.given.uid: (
            VolumeUse(name="scratch", use=DiskUse(used=1, inodes=1), file_system=SYSTEM),
            VolumeUse(name="settings", use=DiskUse(used=2, inodes=2), file_system=SYSTEM),
            VolumeUse(name="data", use=whole, file_system=SYSTEM, claim="db"),
        )
    }
    assert bench.path("data") not in bench.disk.walked  # it may hold a whole database


async def test_what_is_not_made_yet_is_not_told(bench: Bench):
    assert await bench.usage.volumes() == {bench.given.uid: ()}


async def test_directories_are_walked_once_a_minute_however_many_ask(bench: Bench):
    bench.disk.sizes[bench.path("scratch")] = DiskUse(used=1, inodes=1)
    await asyncio.gather(*(bench.usage.volumes() for _ in range(5)))
    bench.clock.elapsed += KEPT_SECONDS - 1
    await bench.usage.volumes()
    assert len(bench.disk.walked) == 1
    bench.clock.elapsed += 1
    await bench.usage.volumes()
    assert len(bench.disk.walked) == 2


async def test_claims_are_told_of_without_counting_anything(bench: Bench) -> None:
    assert await bench.usage.claims() == {}
    bench.disk.sizes = {bench.path("data"): DiskUse(used=1), bench.path("scratch"): DiskUse(used=1)}
    assert await bench.usage.claims() == {(bench.given.key.namespace, "db"): SYSTEM}
    assert bench.disk.walked == []


@pytest.mark.parametrize("directory", ["", "/usr"], ids=["unknown", "not mounted"])
async def test_a_volume_in_memory_that_no_container_has_is_not_told(bench: Bench, directory: str):
    bench.engine.directory = directory
    bench.disk.sizes[directory] = DiskUse(used=1)
    assert await bench.usage.volumes() == {bench.given.uid: ()}


async def test_a_volume_in_memory_is_told_and_sought_once(bench: Bench):
    bench.engine.directory = "/proc"  # it is mounted on every Linux
    bench.disk.sizes["/proc"] = DiskUse(used=1)
    whole = DiskUse(used=SYSTEM.used, inodes=SYSTEM.inodes_used)
    fast = VolumeUse(name="fast", use=whole, file_system=SYSTEM, on_disk=False)
    for _ in range(2):
        assert await bench.usage.volumes() == {bench.given.uid: (fast,)}
        bench.clock.elapsed += KEPT_SECONDS
    assert bench.engine.asked == 1
