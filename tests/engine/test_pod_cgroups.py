"""Cgroups of pods, in directories that stand for the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from vkprovider.engine.pod_cgroups import PodCgroups
from vkprovider.errors import EngineError
from vkprovider.model.create import Limits
from vkprovider.model.refs import PodUID

UID = PodUID("8a")
LIMITS = Limits(cpu_shares=512, cpu_quota=50_000, memory=1 << 26, pids=20)


@pytest.fixture
def separate(tmp_path: Path) -> Path:
    """As cgroup v1 has them."""
    for controller in ("memory", "cpu", "pids", "devices"):
        (tmp_path / controller).mkdir()
    (tmp_path / "memory" / "memory.memsw.limit_in_bytes").touch()
    return tmp_path


@pytest.fixture
def unified(tmp_path: Path) -> Path:
    """As cgroup v2 has them."""
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids")
    return tmp_path


def files(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("pod8a/*")}


def directories(root: Path) -> list[Path]:
    return [*root.rglob("pod8a")]


async def test_hierarchies_of_their_own(separate: Path) -> None:
    cgroups = PodCgroups(separate)
    assert cgroups.usable()
    assert await cgroups.make(UID, LIMITS) == await cgroups.make(UID, LIMITS) == "/vkprovider/pod8a"
    assert files(separate) == {
        "memory/vkprovider/pod8a/memory.limit_in_bytes": "67108864",
        "memory/vkprovider/pod8a/memory.memsw.limit_in_bytes": "67108864",
        "cpu/vkprovider/pod8a/cpu.shares": "512",
        "cpu/vkprovider/pod8a/cpu.cfs_period_us": "100000",
        "cpu/vkprovider/pod8a/cpu.cfs_quota_us": "50000",
        "pids/vkprovider/pod8a/pids.max": "20",
    }


async def test_one_hierarchy(unified: Path) -> None:
    cgroups = PodCgroups(unified)
    assert cgroups.usable()
    await cgroups.make(UID, LIMITS)
    assert (unified / "vkprovider" / "cgroup.subtree_control").read_text() == "+memory +cpu +pids"
    assert files(unified) == {
        "vkprovider/pod8a/memory.max": "67108864",
        "vkprovider/pod8a/cpu.weight": "20",
        "vkprovider/pod8a/cpu.max": "50000 100000",
        "vkprovider/pod8a/pids.max": "20",
    }


async def test_what_is_not_limited_is_left_alone(separate: Path) -> None:
    await PodCgroups(separate).make(UID, Limits(cpu_shares=2))
    assert files(separate) == {"cpu/vkprovider/pod8a/cpu.shares": "2"}


async def test_nothing_is_left_in_any_hierarchy(separate: Path) -> None:
    cgroups = PodCgroups(separate)
    for controller in ("memory", "devices"):
        (separate / controller / "vkprovider" / "pod8a").mkdir(parents=True)
    await cgroups.remove(UID)
    await cgroups.remove(UID)
    assert directories(separate) == []


async def test_one_that_is_in_use_cannot_go(separate: Path) -> None:
    (separate / "memory" / "vkprovider" / "pod8a" / "container").mkdir(parents=True)
    with pytest.raises(EngineError, match="cannot remove the pod's cgroup"):
        await PodCgroups(separate).remove(UID)


async def test_where_there_are_none(tmp_path: Path) -> None:
    cgroups = PodCgroups(tmp_path / "absent")
    assert not cgroups.usable()
    with pytest.raises(EngineError, match="cannot make the pod's cgroup"):
        await cgroups.make(UID, LIMITS)
