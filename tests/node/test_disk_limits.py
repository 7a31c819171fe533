"""Pods whose emptyDirs grow over their limits."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from tests.core.given import container, pod
from tests.fakes.node import LivingNode, end
from tests.fakes.virtual_time import virtual_time
from vkprovider.core.disk_limits import DiskLimit, disk_limits
from vkprovider.node.disk_limits import DiskLimits, disk_usage

KI = 1024
PATH = "/pods/u/volumes/kubernetes.io~empty-dir/v"


@pytest.mark.parametrize(
    ("source", "limits"),
    [
        ({"emptyDir": {"sizeLimit": "64Ki"}}, (DiskLimit("v", PATH, 64 * KI, "64Ki"),)),
        ({"emptyDir": {"sizeLimit": 1000}}, (DiskLimit("v", PATH, 1000, "1000"),)),
        ({"emptyDir": {"sizeLimit": "0"}}, ()),
        ({"emptyDir": {"sizeLimit": "64Ki", "medium": "Memory"}}, ()),
        ({"emptyDir": {}}, ()),
        ({"hostPath": {"path": "/x"}}, ()),
    ],
)
def test_which_volumes_are_watched(source: dict[str, Any], limits: tuple[DiskLimit, ...]) -> None:
    given = pod(container("app"), volumes=[{"name": "v", **source}])
    assert disk_limits(given, "/pods/u") == limits


def test_disk_usage_is_what_du_counts(tmp_path: Path) -> None:
    assert disk_usage(str(tmp_path / "nowhere")) == 0
    (tmp_path / "sub").mkdir()
    with (tmp_path / "sub" / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 30)
    before = disk_usage(str(tmp_path))
    assert before < KI * KI
    (tmp_path / "a").write_bytes(os.urandom(256 * KI))
    os.link(tmp_path / "a", tmp_path / "b")
    (tmp_path / "link").symlink_to("/usr")
    assert 256 * KI <= disk_usage(str(tmp_path)) - before < 300 * KI


@virtual_time
async def test_a_pod_that_takes_more_than_it_said_is_evicted(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    volumes = [{"name": "v", "emptyDir": {"sizeLimit": "64Ki"}}, {"name": "free", "emptyDir": {}}]
    given = pod(container("app"), volumes=volumes)
    async with node.at_work() as dispatcher:
        watch = asyncio.create_task(DiskLimits(dispatcher.workers, node.dirs, node.told, node.clock).run())
        dispatcher.sync(given)
        await node.told.until_phase("Running")
        root = tmp_path / "pods/u/volumes/kubernetes.io~empty-dir"
        (root / "free" / "large").write_bytes(os.urandom(256 * KI))
        (root / "v" / "small").write_bytes(os.urandom(16 * KI))
        await node.clock.sleep(60)
        assert node.told.status["phase"] == "Running"
        (root / "v" / "large").write_bytes(os.urandom(64 * KI))
        await node.told.until_phase("Failed")
        await end(watch)
    message = 'Usage of EmptyDir volume "v" exceeds the limit "64Ki". '
    assert (node.told.status["reason"], node.told.status["message"]) == ("Evicted", message)
    assert node.told.said.count(("Evicted", message)) == 1
