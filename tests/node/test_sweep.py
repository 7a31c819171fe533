"""What nobody looks after any more is removed, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.given import container, marked, pod
from tests.fakes.living_engine import LivingEngine
from tests.fakes.node import LivingNode
from tests.fakes.programs import ignores_term
from tests.fakes.virtual_time import virtual_time
from vkprovider.errors import EngineUnavailable
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.node.sweep import sweep

MEMORY = {"name": "m", "emptyDir": {"medium": "Memory"}}
POD = pod(container("app", volumeMounts=[{"name": "m", "mountPath": "/m"}]), marked("side"), volumes=[MEMORY])


async def left_behind(directory: Path, of: Pod = POD, engine: LivingEngine | None = None) -> LivingNode:
    """A node whose process has died while its pod ran."""
    node = await LivingNode.on(directory, engine)
    node.engine.program("side", ignores_term())
    async with node.working(of):
        await node.told.until_phase("Running")
    return node


@virtual_time
async def test_nothing_is_left_of_a_node(tmp_path: Path):
    node = await left_behind(tmp_path)
    assert len(node.engine.containers) == 3
    assert len(node.engine.volumes) == 1
    await sweep(node.engine, node.dirs)
    assert (node.engine.containers, node.engine.volumes) == ({}, {})
    assert list((tmp_path / "pods").iterdir()) == []


@virtual_time
async def test_what_belongs_to_another_node_is_left_alone(tmp_path: Path):
    node = await left_behind(tmp_path / "one")
    other = LivingEngine("other")
    other.containers, other.volumes = node.engine.containers, node.engine.volumes
    its_pod = decode_pod(POD.raw | {"metadata": POD.raw["metadata"] | {"uid": "another"}})
    theirs = await left_behind(tmp_path / "other", its_pod, other)
    await sweep(node.engine, node.dirs)
    assert len(other.containers) == 3
    assert all(c.running for c in other.containers.values())
    assert len(other.volumes) == 1
    assert await theirs.dirs.uids() == {its_pod.uid}
    assert await node.dirs.uids() == set()


@virtual_time
async def test_a_sweep_where_nothing_is_left(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    await sweep(node.engine, node.dirs)
    assert node.engine.calls("remove") == []


@virtual_time
async def test_a_sweep_that_fails_half_way_is_finished_by_the_next(tmp_path: Path):
    node = await left_behind(tmp_path)
    node.engine.fail("remove_volumes", EngineUnavailable("timed out"))
    with pytest.raises(EngineUnavailable):
        await sweep(node.engine, node.dirs)
    assert await node.dirs.uids() == {POD.uid}
    await sweep(node.engine, node.dirs)
    assert (node.engine.volumes, await node.dirs.uids()) == ({}, set())
