"""A source of numbers for tests: what containers use is what a test says, by their names."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.fakes.engine import FakeEngine
from vkprovider.model.usage import (
    ContainerDisk,
    ContainerUsage,
    CpuUsage,
    DiskUsage,
    DiskUse,
    MachineUsage,
    MemoryUsage,
    Reading,
    Usage,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Usages:
    """The UsageSource port. ``memory``, ``written`` and ``logged`` are bytes; a container that has none of a kind uses
    nothing of it.
    """

    def __init__(self, engine: FakeEngine) -> None:
        self.memory: dict[str, int] = {}
        self.written: dict[str, int] = {}
        self.logged: dict[str, int] = {}
        self._engine = engine

    async def usage(self) -> Usage:
        containers = {
            each.id: ContainerUsage(
                container=each,
                started_at=each.created_at,
                at=each.created_at,
                nanocores=0,
                reading=_reading(self.memory.get(each.identity.name, 0)),
            )
            for each in await self._engine.running()
        }
        memory = _reading(0).memory
        machine = MachineUsage(
            at=_EPOCH, booted_at=_EPOCH, nanocores=0, cpu=CpuUsage(total=0), cpus=1, memory=memory, capacity=1 << 30
        )
        return Usage(machine=machine, containers=containers)

    async def disk_usage(self) -> DiskUsage:
        disks = {
            each.id: ContainerDisk(
                root=DiskUse(used=self.written.get(each.identity.name, 0)),
                logs=DiskUse(used=self.logged.get(each.identity.name, 0)),
            )
            for each in await self._engine.running()
        }
        return DiskUsage(at=_EPOCH, containers=disks, engine=None, node=None)


def _reading(memory: int) -> Reading:
    return Reading(cpu=CpuUsage(total=0), memory=MemoryUsage(usage=memory, working_set=memory), processes=1)
