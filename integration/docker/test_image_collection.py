"""Making room: what goes of an engine's images, and what stays because it is, or may be, somebody else's."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from pathlib import Path

import docker
import pytest

from integration.docker.registries import Registry
from vkprovider.core.image_gc import ImagePolicy
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.node.clock import SystemClock
from vkprovider.node.image_collector import ImageCollector
from vkprovider.node.image_volumes import ImageVolumes
from vkprovider.node.pulled_images import PulledImages

pytestmark = pytest.mark.docker


def published(registry: Registry, version: int) -> str:
    name = registry.name()
    registry.publish(name, version)
    registry.forget(name)
    return name


async def test_only_what_the_node_has_pulled_and_nobody_uses_goes(
    client: docker.APIClient, registry: Registry, tmp_path: Path
) -> None:
    free, used, tagged, present = names = [await asyncio.to_thread(published, registry, number) for number in range(4)]
    await asyncio.to_thread(client.pull, present)  # by somebody else
    engine, clock = DockerEngine(f"collect-{uuid.uuid4().hex[:8]}"), SystemClock()
    pulled = await asyncio.to_thread(PulledImages, tmp_path / "images.json")
    for name in names:
        before = await engine.stored_images()
        info = await engine.pull(name, (), lambda _: None)
        await pulled.note(info.id, before, await engine.stored_images(), clock.now())
    keep = f"{tagged}-kept"
    registry.made.add(keep)
    client.tag(tagged, *keep.rsplit(":", 1))
    container = client.create_container(used, "true")["Id"]  # of no node, and never started

    async def disk() -> tuple[int, int]:
        return 100, 0

    volumes, policy = ImageVolumes(engine, str(tmp_path)), ImagePolicy(min_age=timedelta(0))
    again = await asyncio.to_thread(PulledImages, tmp_path / "images.json")  # as the process after this one does
    collector = ImageCollector(engine, again, volumes, policy, clock, disk)
    try:
        assert await collector.free() > 0
        assert [registry.has(name) for name in (free, used, tagged, keep, present)] == [False, True, True, True, True]
    finally:
        client.remove_container(container)
    assert await collector.free() > 0
    assert [registry.has(name) for name in (used, tagged, present)] == [False, True, True]
    assert await collector.free() == 0
    await engine.close()
