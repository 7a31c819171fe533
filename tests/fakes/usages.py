"""What a node uses, as a test says: the UsageSource and VolumeUsages ports."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from vkprovider.errors import EngineError
from vkprovider.model.labels import CONTAINER_TYPE, SANDBOX_NAME, SANDBOX_TYPE, ContainerIdentity
from vkprovider.model.refs import ContainerID, PodUID
from vkprovider.model.usage import (
    ClaimName,
    ContainerUsage,
    CpuUsage,
    DiskUsage,
    FileSystem,
    MachineUsage,
    MemoryUsage,
    Reading,
    RunningContainer,
    Usage,
    VolumeUse,
)

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STARTED = datetime(2026, 1, 2, 3, 0, 0, tzinfo=UTC)
GIB = 1 << 30
SYSTEM = FileSystem(
    capacity=100 * GIB, available=50 * GIB, used=40 * GIB, inodes=1000, inodes_free=900, device="/dev/sda"
)
READING = Reading(
    cpu=CpuUsage(total=2_500_000_000, user=2_000_000_000, system=500_000_000, shares=1024, period=100_000),
    memory=MemoryUsage(
        usage=30 << 20,
        working_set=20 << 20,
        rss=10 << 20,
        cache=5 << 20,
        active_file=1 << 20,
        inactive_file=4 << 20,
        kernel=2 << 20,
    ),
    processes=2,
    threads=3,
)
MACHINE = MachineUsage(
    at=AT,
    booted_at=STARTED,
    nanocores=1_500_000_000,
    cpu=CpuUsage(total=900 * 10**9, user=600 * 10**9, system=300 * 10**9),
    cpus=4,
    cores=2,
    sockets=1,
    memory=MemoryUsage(usage=6 * GIB, working_set=5 * GIB, rss=3 * GIB),
    capacity=16 * GIB,
    threads=300,
    threads_max=4000,
)


def used(name: str = "app", pod: str = "web", uid: str = "u1", **reading: Any) -> ContainerUsage:
    """What a container of a pod in default uses; one named POD is a sandbox."""
    identity = ContainerIdentity(
        node="node",
        type=SANDBOX_TYPE if name == SANDBOX_NAME else CONTAINER_TYPE,
        pod_name=pod,
        pod_namespace="default",
        pod_uid=PodUID(uid),
        name=name,
        image="busybox:1",
    )
    container_id = ContainerID(f"{uid}-{name}")
    return ContainerUsage(
        container=RunningContainer(id=container_id, identity=identity, created_at=STARTED),
        started_at=STARTED,
        at=AT,
        nanocores=250_000_000,
        reading=msgspec.structs.replace(READING, **reading),
    )


def usage_of(*containers: ContainerUsage, **fields: Any) -> Usage:
    return Usage(machine=MACHINE, containers={each.container.id: each for each in containers}, **fields)


class FakeUsages:
    """``failure`` is what becomes of each question; ``asked`` are the questions."""

    def __init__(self, *containers: ContainerUsage) -> None:
        self.now = usage_of(*containers)
        self.disks = DiskUsage(at=AT, containers={}, engine=SYSTEM, node=SYSTEM, images=GIB)
        self.of_pods: Mapping[PodUID, tuple[VolumeUse, ...]] = {}
        self.failure: EngineError | None = None
        self.asked: list[str] = []

    async def usage(self) -> Usage:
        self._ask("usage")
        return self.now

    async def disk_usage(self) -> DiskUsage:
        self._ask("disks")
        return self.disks

    async def claims(self) -> Mapping[ClaimName, FileSystem]:
        return {}

    async def volumes(self) -> Mapping[PodUID, tuple[VolumeUse, ...]]:
        self._ask("volumes")
        return self.of_pods

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.failure is not None:
            raise self.failure
