"""Pods that take more of the disk than they said: with their emptyDirs, and with what containers write."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from tests.core.given import container, pod
from tests.fakes.node import LivingNode, end
from tests.fakes.virtual_time import virtual_time
from tests.node.usages import Usages
from vkprovider.core.disk_limits import DiskLimit, disk_limits, limits_storage, too_much_written
from vkprovider.core.reclaim import ContainerUse, PodUse
from vkprovider.node.disk_limits import DiskLimits
from vkprovider.node.disk_usage import disk_usage
from vkprovider.node.pod_uses import PodUses

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
        uses = PodUses(node.engine, Usages(node.engine), node.dirs)
        watch = asyncio.create_task(DiskLimits(dispatcher.workers, node.dirs, node.told, node.clock, uses).run())
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
    assert "DisruptionTarget" not in {condition["type"] for condition in node.told.status["conditions"]}


def limited(**limits: str) -> dict[str, Any]:
    return {"resources": {"limits": {name.replace("_", "-"): amount for name, amount in limits.items()}}}


TEN = limited(ephemeral_storage="10Ki")
POD_LEVEL = "Pod ephemeral local storage usage exceeds the total limit of containers"


@pytest.mark.parametrize(
    ("containers", "written", "volumes", "message"),
    [
        ([container("a", **TEN)], {"a": 10 * KI}, 0, None),
        ([container("a", **TEN)], {"a": 10 * KI + 1}, 0, f"{POD_LEVEL} 10Ki. "),
        ([container("a", **TEN)], {"a": 5 * KI}, 5 * KI + 1, f"{POD_LEVEL} 10Ki. "),
        ([container("a", **TEN), container("b", **TEN)], {"a": 8 * KI, "b": 13 * KI}, 0, f"{POD_LEVEL} 20Ki. "),
        (
            [container("a", **TEN), container("b", **TEN)],
            {"a": 1 * KI, "b": 11 * KI},
            0,
            'Container b exceeded its local ephemeral storage limit "10Ki". ',
        ),
        ([container("a", **TEN), container("free")], {"a": 1 * KI, "free": 10 * KI}, 0, f"{POD_LEVEL} 10Ki. "),
        (
            [container("a", **limited(ephemeral_storage="1M")), container("b", **TEN)],
            {"a": 1 << 20},
            0,
            f"{POD_LEVEL} ",
        ),
        ([container("free")], {"free": 1 << 30}, 0, None),
        ([container("a", **limited(cpu="1"))], {"a": 1 << 30}, 1 << 30, None),
        ([container("a", **limited(ephemeral_storage="1k"))], {"a": 1001}, 0, f"{POD_LEVEL} 1k. "),
        (
            [container("a", **limited(ephemeral_storage="1k")), container("b", **limited(ephemeral_storage="2k"))],
            {"a": 3001},
            0,
            f"{POD_LEVEL} 3k. ",
        ),
    ],
)
def test_what_containers_may_write(
    containers: list[dict[str, Any]], written: dict[str, int], volumes: int, message: str | None
) -> None:
    uses = tuple(ContainerUse(name=name, disk=size) for name, size in written.items())
    why = too_much_written(pod(*containers), PodUse(containers=uses, disk=volumes + sum(written.values())))
    if message is None:
        assert why is None
    else:
        assert why is not None
        assert why.message.startswith(message)
        assert (why.reason, why.grace_seconds, why.disruption) == ("Evicted", 1, False)


def test_an_init_containers_limit_counts_while_it_is_the_largest() -> None:
    given = pod(container("a", **TEN), inits=(container("i", **limited(ephemeral_storage="30Ki")),))
    assert too_much_written(given, PodUse(disk=30 * KI)) is None
    why = too_much_written(given, PodUse(disk=30 * KI + 1))
    assert why is not None
    assert why.message == f"{POD_LEVEL} 30Ki. "


def test_only_pods_with_limits_are_measured() -> None:
    assert limits_storage(pod(container("a"), container("b", **TEN)))
    assert limits_storage(pod(container("a"), inits=(container("i", **TEN),)))
    assert not limits_storage(pod(container("a", **limited(cpu="1"))))


@virtual_time
async def test_a_container_that_writes_too_much_costs_its_pod_the_life(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    usages = Usages(node.engine)
    given = pod(container("app", **limited(ephemeral_storage="64Ki")), container("other", **limited(cpu="1")))
    async with node.at_work() as dispatcher:
        uses = PodUses(node.engine, usages, node.dirs)
        watch = asyncio.create_task(DiskLimits(dispatcher.workers, node.dirs, node.told, node.clock, uses).run())
        dispatcher.sync(given)
        await node.told.until_phase("Running")
        usages.written["app"] = 32 * KI
        await node.clock.sleep(60)
        assert node.told.status["phase"] == "Running"
        usages.logged["app"] = 33 * KI
        await node.told.until_phase("Failed")
        await end(watch)
    assert (node.told.status["reason"], node.told.status["message"]) == ("Evicted", f"{POD_LEVEL} 64Ki. ")


@virtual_time
async def test_an_engine_that_does_not_answer_ends_no_watch(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    usages = Usages(node.engine)
    async with node.at_work() as dispatcher:
        uses = PodUses(node.engine, usages, node.dirs)
        watch = asyncio.create_task(DiskLimits(dispatcher.workers, node.dirs, node.told, node.clock, uses).run())
        dispatcher.sync(pod(container("app", **TEN)))
        await node.told.until_phase("Running")
        node.engine.down = True
        await node.clock.sleep(30)
        node.engine.down = False
        usages.written["app"] = 11 * KI
        await node.told.until_phase("Failed")
        await end(watch)
