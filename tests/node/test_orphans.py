"""What nobody knows any more is found, can be ended in order, and its files go."""

from __future__ import annotations

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from tests.core.given import container, deleted, marked, native, pod
from tests.fakes.node import LivingNode
from tests.fakes.virtual_time import virtual_time
from vkprovider.core.projections import NodeShare
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodUID
from vkprovider.node.orphans import find_orphans, remove_orphaned_files
from vkprovider.node.pod_dirs import MountsLeft
from vkprovider.node.pod_files import PodFiles
from vkprovider.node.volume_writer import VolumeWriter

POD = pod(container("app"), marked("side"), inits=(native("first"),))


async def forgotten(directory: Path, of: Pod = POD) -> LivingNode:
    """A node whose process, and what it had written down, are no more."""
    node = await LivingNode.on(directory)
    async with node.working(of):
        await node.told.until_phase("Running")
    await asyncio.to_thread(node.checkpoint.delete, of.uid)
    return await LivingNode.on(directory, node.engine)


@virtual_time
async def test_a_forgotten_pod_is_found_and_ends_in_order(tmp_path: Path):
    node = await forgotten(tmp_path)
    (orphan,) = await find_orphans(node.engine, lambda: ())
    assert (orphan.uid, orphan.key) == (POD.uid, POD.key)
    assert [c.name for c in orphan.spec.init_containers] == ["first", "side"]
    assert [c.name for c in orphan.spec.containers] == ["app"]
    before = len(node.engine.calls("signal"))
    async with node.working(deleted(orphan, grace=1)):
        await node.told.until(lambda: node.told.gone_pods)
    signalled = [call.target.split("_")[1] for call in node.engine.calls("signal")[before:]]
    assert signalled == ["app", "side", "first"]
    assert (node.engine.containers, await node.dirs.uids()) == ({}, frozenset())


@virtual_time
async def test_known_pods_are_left_alone(tmp_path: Path):
    node = await forgotten(tmp_path)
    assert await find_orphans(node.engine, lambda: {POD.uid}) == []
    await remove_orphaned_files(files(node), lambda: {POD.uid})
    assert await node.dirs.uids() == {POD.uid}


@virtual_time
async def test_a_sandbox_alone_is_removed_too(tmp_path: Path):
    node = await forgotten(tmp_path)
    for each in [c.id for c in node.engine.containers.values() if not c.is_sandbox]:
        await node.engine.remove(each)
    (orphan,) = await find_orphans(node.engine, lambda: ())
    async with node.working(deleted(orphan, grace=1)):
        await node.told.until(lambda: node.told.gone_pods)
    assert node.engine.containers == {}


@virtual_time
async def test_directories_of_nobody_are_removed(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    await asyncio.to_thread((tmp_path / "pods" / "nobodys" / "volumes").mkdir, parents=True)
    await remove_orphaned_files(files(node), lambda: ())
    assert await node.dirs.uids() == frozenset()


@virtual_time
async def test_what_is_mounted_stays_and_the_rest_goes(tmp_path: Path):
    class Files:
        """The first one has something mounted inside."""

        left = {PodUID("a"), PodUID("b")}

        async def uids(self) -> frozenset[PodUID]:
            return frozenset(self.left)

        async def remove(self, uid: PodUID) -> None:
            if uid == "a":
                raise MountsLeft("a is left in place")
            self.left.remove(uid)

    found = Files()
    with capture_logs() as logs:
        await remove_orphaned_files(found, lambda: ())
    assert found.left == {"a"}
    assert logs[0]["event"] == "orphaned pod found, but volumes are not cleaned up"


def files(node: LivingNode) -> PodFiles:
    return PodFiles(node.dirs, VolumeWriter(node.engine, node.dirs, node.clock), lambda: NodeShare(memory=1 << 30))
