"""The copies that stand for image volumes: made once, kept as long as a pod has them, and then gone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.fakes.engine import FakeEngine
from tests.fakes.virtual_time import LoopClock, virtual_time
from tests.node.saved_image import file, layer, saved
from vkprovider.core.faults import Fault
from vkprovider.core.mounts import MountPlan, SubPath
from vkprovider.errors import EngineUnavailable
from vkprovider.model.create import Mount
from vkprovider.model.engine import EngineInfo
from vkprovider.node.image_volumes import ImageVolumes

OLD, NEW = "sha256:01d", "sha256:4e3"


class Bench:
    """Volumes of several pods, and an engine that counts what it is asked for."""

    def __init__(self, root: Path, engine: FakeEngine | None = None) -> None:
        self.root = root
        self.engine = engine or FakeEngine(LoopClock())
        for image_id, content in ((OLD, "old"), (NEW, "new")):
            self.engine.archives[image_id] = saved(layer(file("d/a", content)))
        self.volumes = ImageVolumes(self.engine, str(root))

    def path(self, pod: str) -> Path:
        return self.root / "pods" / pod / "volumes" / "kubernetes.io~image" / "data"

    async def provide(self, image_id: str = OLD, pod: str = "u", part: str = "") -> MountPlan:
        path = str(self.path(pod))
        part_of = SubPath(index=0, root=path, path=part, volume="data", container="app", pin="")
        plan = MountPlan(mounts=(Mount(source=path, target="/d"),), sub_paths=(part_of,) if part else ())
        return await self.volumes.provide(plan, {path: image_id})

    def remove(self, pod: str) -> None:
        for entry in self.path(pod).parent.iterdir():
            entry.unlink()

    def copies(self) -> list[str]:
        return sorted(os.listdir(self.root / "images"))

    def archives(self) -> int:
        return len(self.engine.calls("image_archive"))


@virtual_time
async def test_a_copy_is_made_once_for_all_pods(tmp_path: Path):
    bench = Bench(tmp_path)
    await asyncio.gather(bench.provide(), bench.provide(pod="v"), bench.provide(pod="v"))
    assert [(bench.path(pod) / "d" / "a").read_text() for pod in "uv"] == ["old", "old"]
    assert bench.copies() == ["01d"]
    assert bench.archives() == 1


@virtual_time
async def test_a_copy_goes_with_the_last_pod_that_has_it(tmp_path: Path):
    bench = Bench(tmp_path)
    await bench.provide()
    await bench.provide(pod="v")
    bench.remove("u")
    await bench.volumes.release()
    assert bench.copies() == ["01d"]
    assert await bench.volumes.held() == {OLD}
    bench.remove("v")
    await bench.volumes.release()
    assert bench.copies() == []
    assert await bench.volumes.held() == frozenset()


@virtual_time
async def test_a_container_that_runs_keeps_its_copy_when_the_next_gets_another(tmp_path: Path):
    bench = Bench(tmp_path)
    await bench.provide()
    await bench.provide(NEW)
    await bench.volumes.release()
    assert bench.copies() == ["01d", "4e3"]
    assert (bench.path("u") / "d" / "a").read_text() == "new"
    assert await bench.volumes.held() == {OLD, NEW}


@virtual_time
async def test_another_process_goes_on_with_what_is_there(tmp_path: Path):
    bench = Bench(tmp_path)
    await bench.provide()
    again = Bench(tmp_path, bench.engine)
    await again.provide()
    assert again.archives() == 1
    await again.volumes.release()
    assert again.copies() == ["01d"]


@virtual_time
async def test_what_a_crash_has_left_is_made_anew_and_removed(tmp_path: Path):
    bench = Bench(tmp_path)
    for name in ("01d.new", "01d.gone", "4e3.new", "5.gone"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "half").touch()
    (tmp_path / "images" / "4e3.tar").touch()
    await bench.provide()
    assert os.listdir(bench.path("u")) == ["d"]
    await bench.volumes.release()
    assert bench.copies() == ["01d", "01d.gone"]
    bench.remove("u")
    await bench.volumes.release()
    await bench.volumes.release()
    assert bench.copies() == []


@virtual_time
async def test_nothing_is_released_where_there_never_was_one(tmp_path: Path):
    await Bench(tmp_path).volumes.release()
    assert os.listdir(tmp_path) == []


@virtual_time
async def test_a_part_of_an_image(tmp_path: Path):
    bench = Bench(tmp_path)
    assert (await bench.provide(part="d/a")).sub_paths[0].path == "d/a"
    with pytest.raises(Fault, match="ImageVolumeMountFailed: the image of volume \"data\" has no 'e'") as caught:
        await bench.provide(part="e")
    assert caught.value.waiting_reason == "CreateContainerError"
    assert not (bench.path("u") / "e").exists()


@virtual_time
async def test_a_part_behind_a_link_that_leads_out(tmp_path: Path):
    bench = Bench(tmp_path)
    await bench.provide()
    (tmp_path / "images" / "01d" / "out").symlink_to("/etc")
    with pytest.raises(Fault, match="has no 'out/passwd'"):
        await bench.provide(part="out/passwd")


@virtual_time
async def test_an_image_that_is_gone_or_is_none(tmp_path: Path):
    bench = Bench(tmp_path)
    with pytest.raises(Fault, match=r"ImageVolumeMountFailed: No such image: sha256:x"):
        await bench.provide("sha256:x")
    bench.engine.archives["sha256:x"] = b"no image"
    with pytest.raises(Fault, match="ImageVolumeMountFailed: the image cannot be read"):
        await bench.provide("sha256:x")
    bench.engine.archives["sha256:x"] = saved(layer(file("d/a", "now")))
    await bench.provide("sha256:x")
    assert (bench.path("u") / "d" / "a").read_text() == "now"
    assert bench.copies() == ["x"]


@virtual_time
async def test_an_engine_that_is_away_is_asked_again(tmp_path: Path):
    bench = Bench(tmp_path)
    bench.engine.down = True
    with pytest.raises(EngineUnavailable):
        await bench.provide()
    bench.engine.down = False
    await bench.provide()
    assert bench.copies() == ["01d"]


class MountingEngine(FakeEngine):
    async def info(self) -> EngineInfo:
        return msgspec.structs.replace(await super().info(), api_version="1.48")


@virtual_time
async def test_an_engine_that_mounts_images_is_asked_to(tmp_path: Path):
    bench = Bench(tmp_path, MountingEngine(LoopClock()))
    plan = await bench.provide(part="d")
    assert plan.mounts == (Mount(source=OLD, target="/d", image=True, sub_path="d"),)
    assert plan.sub_paths == ()
    assert bench.archives() == 0
    assert await bench.volumes.held() == {OLD}


class SlowEngine(FakeEngine):
    """It has not told all of an image before it is allowed to."""

    def __init__(self) -> None:
        super().__init__(LoopClock())
        self.half, self.go_on = asyncio.Event(), asyncio.Event()

    async def image_archive(self, image_id: str) -> AsyncIterator[bytes]:
        async for chunk in super().image_archive(image_id):
            yield chunk[:100]
            self.half.set()
            await self.go_on.wait()
            yield chunk[100:]


@virtual_time
async def test_a_copy_that_is_being_made_is_not_taken_for_rubbish(tmp_path: Path):
    engine = SlowEngine()
    bench = Bench(tmp_path, engine)
    making = asyncio.create_task(bench.provide())
    await engine.half.wait()
    await bench.volumes.release()
    engine.go_on.set()
    await making
    assert (bench.path("u") / "d" / "a").read_text() == "old"
