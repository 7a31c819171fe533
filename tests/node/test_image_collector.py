"""Making room on the disk of images."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.core.given import T0, container, pod
from tests.fakes.images import SANDBOX_IMAGE
from tests.fakes.living_engine import LivingEngine
from tests.fakes.node import LivingNode, end
from tests.fakes.virtual_time import virtual_time
from tests.node.stage import Stage
from vkprovider.core.actions import PodEvent, PullImage, TeardownPod
from vkprovider.core.image_gc import ImagePolicy
from vkprovider.errors import EngineConflict, EngineUnavailable
from vkprovider.model.engine import ImageInfo, StoredImage
from vkprovider.node.image_collector import ImageCollector, ImagesNotFreed, image_disk
from vkprovider.node.image_volumes import ImageVolumes
from vkprovider.node.pulled_images import PulledImages

MB = 1_000_000
DISK = 100 * MB


class Bench:
    """A node whose disk holds 100 MB. ``others`` is what others than images have taken of it."""

    def __init__(self, node: LivingNode, policy: ImagePolicy) -> None:
        self.node = node
        self.engine = node.engine
        self.others = 0
        self.size = DISK
        self.events: list[PodEvent] = []
        self.pulled = node.pulled = PulledImages(Path(node.dirs.root) / "images.json")
        self.volumes = ImageVolumes(node.engine, node.dirs.root)
        self.collector = ImageCollector(node.engine, self.pulled, self.volumes, policy, node.clock, self.disk)

    @classmethod
    async def on(cls, directory: Path, engine: LivingEngine | None = None, **policy: Any) -> Bench:
        node = await LivingNode.on(directory, engine)
        node.engine.registry = {}
        return await asyncio.to_thread(cls, node, ImagePolicy(**({"min_age": timedelta(0)} | policy)))

    async def disk(self) -> tuple[int, int]:
        return self.size, self.size - self.others - sum(image.size_bytes for image in self.engine.images.values())

    async def pull(self, *names: str, size: int = 10 * MB) -> None:
        """Have a pod bring images, a second between them."""
        stage = Stage(self.node, pod(container("app")))
        registry = self.engine.registry
        assert registry is not None
        for name in names:
            registry[name] = ImageInfo(id=f"sha256:{name}", size_bytes=size)
            await stage.do(PullImage(key="app", image=name, policy="Always", attempt=0))
            assert name in self.engine.images
            await asyncio.sleep(1)

    async def run(self, image: str) -> Stage:
        """Have a container of an image."""
        stage = Stage(self.node, pod(container("app")))
        await stage.do(stage.starting(await stage.sandbox(), image_id=self.engine.images[image].id))
        return stage

    async def collect(self) -> None:
        await self.collector.collect(T0, self.events.append)

    @property
    def left(self) -> list[str]:
        return sorted(name for name in self.engine.images if name not in ("busybox:1.28", SANDBOX_IMAGE))

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(event.reason, event.message) for event in self.events]


@virtual_time
async def test_images_go_down_to_the_low_threshold_the_oldest_first(tmp_path: Path):
    bench = await Bench.on(tmp_path)
    await bench.pull("a:1", "b:1", "c:1")
    bench.others = 54 * MB
    await bench.collect()
    assert bench.left == ["a:1", "b:1", "c:1"]
    bench.others = 60 * MB
    await bench.collect()
    assert bench.left == ["b:1", "c:1"]
    assert [image.id for image in (await asyncio.to_thread(PulledImages, tmp_path / "images.json")).known()] == [
        "sha256:b:1",
        "sha256:c:1",
    ]
    assert bench.said == []


@virtual_time
async def test_what_containers_use_stays_whosever_they_are_and_goes_last_afterwards(tmp_path: Path):
    bench = await Bench.on(tmp_path)
    await bench.pull("a:1", "b:1")
    stage = await bench.run("a:1")
    bench.engine.node = "another"
    bench.others = 65 * MB
    await bench.collect()
    assert bench.left == ["a:1"]
    bench.engine.node = "node"
    await stage.do(TeardownPod())
    await bench.pull("c:1")
    bench.others = 66 * MB
    await bench.collect()
    assert bench.left == ["a:1"]  # it was used after the other came


@virtual_time
async def test_what_volumes_show_stays(tmp_path: Path):
    bench = await Bench.on(tmp_path)
    await bench.pull("a:1", "b:1")
    held = tmp_path / "pods" / "u" / "volumes" / "kubernetes.io~image" / ".a:1"
    await asyncio.to_thread(held.parent.mkdir, parents=True)
    await asyncio.to_thread(held.touch)
    assert await bench.collector.free() == 10 * MB
    assert bench.left == ["a:1"]


@virtual_time
async def test_what_the_node_has_not_pulled_stays(tmp_path: Path):
    bench = await Bench.on(tmp_path)
    bench.engine.add_image("users:1", size_bytes=90 * MB)
    registry = bench.engine.registry
    assert registry is not None
    registry["users:1"] = bench.engine.images["users:1"]
    stage = Stage(bench.node, pod(container("app")))
    await stage.do(PullImage(key="app", image="users:1", policy="Always", attempt=0))
    with pytest.raises(ImagesNotFreed):
        await bench.collect()
    assert bench.left == ["users:1"]
    missing = (
        "Failed to garbage collect required amount of images. "
        "Attempted to free 10000000 bytes, but only found 0 bytes eligible to free."
    )
    assert bench.said == [("FreeDiskSpaceFailed", missing)]


@virtual_time
async def test_what_its_user_has_tagged_stays(tmp_path: Path):
    bench = await Bench.on(tmp_path)
    await bench.pull("a:1")
    bench.engine.images["keep:this"] = bench.engine.images["a:1"]
    assert await bench.collector.free() == 0


@virtual_time
async def test_one_that_was_just_pulled_stays(tmp_path: Path):
    bench = await Bench.on(tmp_path, min_age=timedelta(minutes=2))
    await bench.pull("a:1")
    assert await bench.collector.free() == 0
    await asyncio.sleep(120)
    assert await bench.collector.free() == 10 * MB


@virtual_time
async def test_so_many_bytes_now(tmp_path: Path):
    bench = await Bench.on(tmp_path)
    await bench.pull("a:1", "b:1", "c:1")
    assert await bench.collector.free(11 * MB) == 20 * MB
    assert bench.left == ["c:1"]


@virtual_time
async def test_one_that_the_engine_keeps_is_passed_over(tmp_path: Path):
    bench = await Bench.on(tmp_path)
    await bench.pull("a:1", "b:1")
    bench.engine.fail("remove_image", EngineConflict("image has dependent child images"))
    assert await bench.collector.free(1) == 10 * MB
    assert bench.left == ["a:1"]
    assert [image.id for image in bench.pulled.known()] == ["sha256:a:1"]


@virtual_time
async def test_what_was_not_used_for_too_long_goes_with_room_to_spare(tmp_path: Path):
    bench = await Bench.on(tmp_path, max_age=timedelta(hours=1))
    await bench.pull("a:1", "b:1")
    stage = await bench.run("b:1")
    await asyncio.sleep(1800)
    await bench.collect()
    await stage.do(TeardownPod())
    assert bench.left == ["a:1", "b:1"]
    await asyncio.sleep(1801)
    await bench.collect()
    assert bench.left == ["b:1"]
    await asyncio.sleep(1800)
    await bench.collect()
    assert bench.left == []


@virtual_time
async def test_it_looks_every_five_minutes_and_tells_of_the_second_failure(tmp_path: Path):
    bench = await Bench.on(tmp_path)
    bench.engine.down = True
    running = asyncio.create_task(bench.collector.run(bench.events.append))
    await asyncio.sleep(299)
    assert bench.said == []
    await asyncio.sleep(2)
    assert bench.said == [("ImageGCFailed", "cannot talk to the engine: Connection refused")]
    bench.engine.down = False
    bench.size = 0
    await asyncio.sleep(300)
    assert bench.said[1:] == [
        ("InvalidDiskCapacity", "invalid capacity 0 on image filesystem"),
        ("ImageGCFailed", "invalid capacity 0 on image filesystem"),
    ]
    bench.size = DISK
    await bench.pull("a:1")
    bench.others = 80 * MB
    await asyncio.sleep(300)
    assert bench.left == []
    await end(running)


@virtual_time
async def test_it_is_switched_off_by_its_threshold(tmp_path: Path):
    bench = await Bench.on(tmp_path, high=100)
    await bench.collector.run(bench.events.append)
    assert bench.engine.calls("stored_images") == []


class PullingEngine(LivingEngine):
    """While it is asked for what it stores, something is pulled."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[Callable[[], Coroutine[Any, Any, None]]] = []

    async def stored_images(self) -> tuple[StoredImage, ...]:
        found = await super().stored_images()
        while self.meanwhile:
            await self.meanwhile.pop()()
        return found


@virtual_time
async def test_what_is_pulled_meanwhile_is_not_forgotten(tmp_path: Path):
    engine = PullingEngine()
    bench = await Bench.on(tmp_path, engine=engine)
    await bench.pull("a:1")
    engine.meanwhile.append(lambda: bench.pull("b:1"))
    await bench.collector.free()
    assert bench.left == ["b:1"]
    assert [image.id for image in bench.pulled.known()] == ["sha256:b:1"]


@virtual_time
async def test_an_engine_that_goes_away_meanwhile(tmp_path: Path):
    bench = await Bench.on(tmp_path)
    bench.engine.fail("images_in_use", EngineUnavailable("gone"))
    with pytest.raises(EngineUnavailable):
        await bench.collect()


async def test_the_disk_is_the_engines_or_that_of_a_directory_here(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    size, free = await image_disk(node.engine, str(tmp_path))
    assert size > free > 0
    assert await image_disk(node.engine, "/nonexistent") == (0, 0)
