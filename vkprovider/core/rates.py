"""How fast the processor is used, and what several containers use together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec

from vkprovider.model.refs import ContainerID, PodUID
from vkprovider.model.usage import ContainerUsage, CpuUsage, MemoryUsage, Usage


class Tick(NamedTuple):
    """How many nanoseconds of the processor had been used at a moment of a clock that is never set back."""

    used: int
    at: float


class Rates:
    """Nanocores since the ``before`` of each key. What has none gets its average over ``seconds``, those since it
    started: what has just begun to live is not shown as doing nothing.
    """

    def __init__(self, before: Rates | None = None) -> None:
        self._before = before.ticks if before is not None else {}
        self.ticks: dict[str, Tick] = {}

    def of(self, key: str, now: Tick, seconds: float) -> int:
        self.ticks[key] = now
        before = self._before.get(key)
        used, lasted = (now.used, seconds) if before is None else (now.used - before.used, now.at - before.at)
        return max(0, round(used / lasted)) if lasted > 0 else 0


def of_pod(usage: Usage, uid: PodUID, containers: Collection[ContainerUsage]) -> tuple[CpuUsage, MemoryUsage]:
    """What its own cgroup says; without one that of its ``containers``, in which the processor's time never falls."""
    if (own := usage.pods.get(uid)) is not None:
        return own.cpu, own.memory
    cpu = cpu_of_all(containers)
    return msgspec.structs.replace(cpu, total=cpu.total + usage.former.get(uid, 0)), memory_of_all(containers)


def former(before: Usage, now: Mapping[ContainerID, ContainerUsage]) -> dict[PodUID, int]:
    """What those of ``before`` had used who have ended while others of their pods go on."""
    going = {each.container.identity.pod_uid for each in now.values()}
    totals = {uid: total for uid, total in before.former.items() if uid in going}
    for key, each in before.containers.items():
        uid = each.container.identity.pod_uid
        if key not in now and uid in going:
            totals[uid] = totals.get(uid, 0) + each.reading.cpu.total
    return totals


def cpu_of_all(containers: Iterable[ContainerUsage]) -> CpuUsage:
    cpus = [each.reading.cpu for each in containers]
    return CpuUsage(
        total=sum(cpu.total for cpu in cpus),
        user=sum(cpu.user for cpu in cpus),
        system=sum(cpu.system for cpu in cpus),
    )


def memory_of_all(containers: Iterable[ContainerUsage]) -> MemoryUsage:
    memories = [each.reading.memory for each in containers]
    return MemoryUsage(
        usage=sum(memory.usage for memory in memories),
        working_set=sum(memory.working_set for memory in memories),
        rss=sum(memory.rss for memory in memories),
        swap=sum(memory.swap for memory in memories),
        page_faults=sum(memory.page_faults for memory in memories),
        major_page_faults=sum(memory.major_page_faults for memory in memories),
    )
