"""What the files of a cgroup of version 2 say (Documentation/admin-guide/cgroup-v2.rst). Pure: the texts go in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vkprovider.model.usage import CpuUsage, DeviceIo, MemoryUsage, Reading
from vkprovider.wire.cgroup_v1 import working_set
from vkprovider.wire.kernel_texts import MICROSECOND, limit, lines, number, pressure, table

FILES = (
    "cpu.stat",
    "cpu.max",
    "cpu.weight",
    "cpu.pressure",
    "memory.current",
    "memory.stat",
    "memory.max",
    "memory.high",
    "memory.peak",
    "memory.events",
    "memory.swap.current",
    "memory.swap.max",
    "memory.pressure",
    "io.stat",
    "io.pressure",
    "pids.current",
    "pids.max",
    "cgroup.procs",
)

_KERNEL = ("kernel_stack", "pagetables", "percpu", "slab")


def reading(files: Mapping[str, str]) -> Reading | None:
    """By the names of ``FILES``; any may be missing. None where there are neither times nor memory: it is gone."""
    if "cpu.stat" not in files or "memory.current" not in files:
        return None
    return Reading(
        cpu=_cpu(files),
        memory=_memory(files),
        io=tuple(_io(files.get("io.stat", ""))),
        io_pressure=pressure(files.get("io.pressure")),
        processes=lines(files.get("cgroup.procs")),
        threads=number(files.get("pids.current")),
        threads_max=limit(files.get("pids.max")),
    )


def shares(weight: int) -> int:
    """CPU shares as version 1 counts them, of which a runtime made the weight (opencontainers/cgroups utils.go)."""
    return 2 + (weight - 1) * 262142 // 9999 if weight else 0


def kernel_memory(stat: Mapping[str, int]) -> int:
    """Of memory.stat; before Linux 5.18 it has the parts alone."""
    return stat.get("kernel", sum(stat.get(part, 0) for part in _KERNEL))


def _cpu(files: Mapping[str, str]) -> CpuUsage:
    stat = table(files["cpu.stat"])
    quota, _, period = files.get("cpu.max", "").partition(" ")
    return CpuUsage(
        total=stat.get("usage_usec", 0) * MICROSECOND,
        user=stat.get("user_usec", 0) * MICROSECOND,
        system=stat.get("system_usec", 0) * MICROSECOND,
        periods=stat.get("nr_periods", 0),
        throttled_periods=stat.get("nr_throttled", 0),
        throttled=stat.get("throttled_usec", 0) * MICROSECOND,
        shares=shares(number(files.get("cpu.weight"))),
        quota=number(quota),  # "max" where there is none
        period=number(period),
        pressure=pressure(files.get("cpu.pressure")),
    )


def _memory(files: Mapping[str, str]) -> MemoryUsage:
    stat, events = table(files.get("memory.stat")), table(files.get("memory.events"))
    usage = number(files["memory.current"])
    return MemoryUsage(
        usage=usage,
        working_set=working_set(usage, stat.get("inactive_file", 0)),
        rss=stat.get("anon", 0),
        cache=stat.get("file", 0),
        mapped_file=stat.get("file_mapped", 0),
        active_file=stat.get("active_file", 0),
        inactive_file=stat.get("inactive_file", 0),
        kernel=kernel_memory(stat),
        swap=number(files.get("memory.swap.current")),
        max_usage=number(files.get("memory.peak")),
        page_faults=stat.get("pgfault", 0),
        major_page_faults=stat.get("pgmajfault", 0),
        limit_hits=events.get("max", 0),
        oom_kills=events.get("oom_kill", 0),
        limit=limit(files.get("memory.max")),
        swap_limit=limit(files.get("memory.swap.max")),
        reservation=limit(files.get("memory.high")),
        pressure=pressure(files.get("memory.pressure")),
    )


def _io(stat: str) -> Iterator[DeviceIo]:
    for line in stat.splitlines():
        device, *fields = line.split()
        major, colon, minor = device.partition(":")
        counts = {name: number(value) for name, _, value in (field.partition("=") for field in fields)}
        if colon and counts:
            yield DeviceIo(
                major=number(major),
                minor=number(minor),
                reads=counts.get("rios", 0),
                writes=counts.get("wios", 0),
                read_bytes=counts.get("rbytes", 0),
                written_bytes=counts.get("wbytes", 0),
            )
