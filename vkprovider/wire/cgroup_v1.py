"""What the files of a cgroup of version 1 say. Pure: the texts go in, by controller and name."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from vkprovider.model.usage import CpuUsage, DeviceIo, MemoryUsage, Reading
from vkprovider.wire.kernel_texts import TICK, limit, lines, number, table

CONTROLLERS = ("cpuacct", "memory")  # those without which there is nothing to be told
FILES = (
    ("cpuacct", "cpuacct.usage"),
    ("cpuacct", "cpuacct.stat"),
    ("cpu", "cpu.stat"),
    ("cpu", "cpu.shares"),
    ("cpu", "cpu.cfs_quota_us"),
    ("cpu", "cpu.cfs_period_us"),
    ("memory", "memory.stat"),
    ("memory", "memory.usage_in_bytes"),
    ("memory", "memory.kmem.usage_in_bytes"),
    ("memory", "memory.max_usage_in_bytes"),
    ("memory", "memory.failcnt"),
    ("memory", "memory.oom_control"),
    ("memory", "memory.limit_in_bytes"),
    ("memory", "memory.memsw.limit_in_bytes"),
    ("memory", "memory.soft_limit_in_bytes"),
    ("memory", "cgroup.procs"),
    ("blkio", "blkio.throttle.io_service_bytes_recursive"),
    ("blkio", "blkio.throttle.io_serviced_recursive"),
    ("pids", "pids.current"),
    ("pids", "pids.max"),
)


def reading(files: Mapping[str, str]) -> Reading | None:
    """By the names of ``FILES``; any may be missing. None where there are neither times nor memory: it is gone."""
    if "cpuacct.usage" not in files or "memory.usage_in_bytes" not in files:
        return None
    return Reading(
        cpu=_cpu(files),
        memory=_memory(files),
        io=_io(files),
        processes=lines(files.get("cgroup.procs")),
        threads=number(files.get("pids.current")),
        threads_max=limit(files.get("pids.max")),
    )


def _cpu(files: Mapping[str, str]) -> CpuUsage:
    times, throttling = table(files.get("cpuacct.stat")), table(files.get("cpu.stat"))
    return CpuUsage(
        total=number(files["cpuacct.usage"]),
        user=times.get("user", 0) * TICK,
        system=times.get("system", 0) * TICK,
        periods=throttling.get("nr_periods", 0),
        throttled_periods=throttling.get("nr_throttled", 0),
        throttled=throttling.get("throttled_time", 0),
        shares=number(files.get("cpu.shares")),
        quota=number(files.get("cpu.cfs_quota_us")),  # -1, no number, where there is none
        period=number(files.get("cpu.cfs_period_us")),
    )


def _memory(files: Mapping[str, str]) -> MemoryUsage:
    stat, usage = table(files.get("memory.stat")), number(files["memory.usage_in_bytes"])
    bound = limit(files.get("memory.limit_in_bytes"))
    both = limit(files.get("memory.memsw.limit_in_bytes"))  # memory and swap together
    return MemoryUsage(
        usage=usage,
        working_set=working_set(usage, stat.get("total_inactive_file", 0)),
        rss=stat.get("total_rss", 0),
        cache=stat.get("total_cache", 0),
        mapped_file=stat.get("total_mapped_file", 0),
        active_file=stat.get("total_active_file", 0),
        inactive_file=stat.get("total_inactive_file", 0),
        kernel=number(files.get("memory.kmem.usage_in_bytes")),
        swap=stat.get("total_swap", 0),
        max_usage=number(files.get("memory.max_usage_in_bytes")),
        page_faults=stat.get("total_pgfault", 0),
        major_page_faults=stat.get("total_pgmajfault", 0),
        limit_hits=number(files.get("memory.failcnt")),
        oom_kills=table(files.get("memory.oom_control")).get("oom_kill", 0),
        limit=bound,
        swap_limit=max(0, both - bound) if both else 0,
        reservation=limit(files.get("memory.soft_limit_in_bytes")),
    )


def working_set(usage: int, inactive_file: int) -> int:
    """As cadvisor counts (container/libcontainer/handler.go setMemoryStats), but never 0 for what uses memory: then
    metrics-server would take no number of the whole pod.
    """
    return usage - inactive_file if inactive_file < usage else usage


def _io(files: Mapping[str, str]) -> tuple[DeviceIo, ...]:
    counts: dict[tuple[int, int], dict[str, int]] = {}
    kinds = {
        "blkio.throttle.io_service_bytes_recursive": {"Read": "read_bytes", "Write": "written_bytes"},
        "blkio.throttle.io_serviced_recursive": {"Read": "reads", "Write": "writes"},
    }
    for name, fields in kinds.items():
        for line in files.get(name, "").splitlines():
            device, _, rest = line.partition(" ")
            operation, _, count = rest.partition(" ")
            major, _, minor = device.partition(":")
            if operation in fields:
                counts.setdefault((number(major), number(minor)), {})[fields[operation]] = number(count)
    return tuple(
        msgspec.structs.replace(DeviceIo(major=major, minor=minor), **found)
        for (major, minor), found in sorted(counts.items())
    )
