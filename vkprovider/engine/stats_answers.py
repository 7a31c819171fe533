"""What the engine's own statistics say of a container, for where its cgroup cannot be seen. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from vkprovider.model.usage import CpuUsage, DeviceIo, InterfaceUsage, MemoryUsage, Reading
from vkprovider.wire.cgroup_v1 import working_set
from vkprovider.wire.cgroup_v2 import kernel_memory
from vkprovider.wire.kernel_texts import UNLIMITED

Json = Mapping[str, Any]
_COUNTED = ("bytes", "packets", "errors", "dropped")
_OPERATIONS = {
    ("io_service_bytes_recursive", "read"): "read_bytes",
    ("io_service_bytes_recursive", "write"): "written_bytes",
    ("io_serviced_recursive", "read"): "reads",
    ("io_serviced_recursive", "write"): "writes",
}


def reading(answer: Json, host_config: Json) -> Reading | None:
    """From the answer to ``GET /containers/{id}/stats``; limits are those that it was created with. None of a container
    that does not run: of those the engine gives zeros.
    """
    cpu, memory, pids = (answer.get(f"{kind}_stats") or {} for kind in ("cpu", "memory", "pids"))
    if not memory.get("usage") or not cpu["cpu_usage"]["total_usage"]:
        return None
    return Reading(
        cpu=_cpu(cpu, host_config),
        memory=_memory(memory, host_config),
        io=tuple(_io(answer.get("blkio_stats") or {})),
        processes=pids.get("current", 0),  # it counts threads, and tells nothing else
        threads=pids.get("current", 0),
        threads_max=_limit(pids.get("limit")),
        network=tuple(_networks(answer)) if has_own_network(host_config) else (),
    )


def has_own_network(host_config: Json) -> bool:
    """Neither the host's nor that of another container, of which the engine tells all who share it."""
    return not str(host_config.get("NetworkMode", "")).startswith(("host", "container:"))


def _cpu(cpu: Json, host_config: Json) -> CpuUsage:
    usage, throttling = cpu["cpu_usage"], cpu.get("throttling_data") or {}
    return CpuUsage(
        total=usage["total_usage"],
        user=usage.get("usage_in_usermode", 0),
        system=usage.get("usage_in_kernelmode", 0),
        periods=throttling.get("periods", 0),
        throttled_periods=throttling.get("throttled_periods", 0),
        throttled=throttling.get("throttled_time", 0),
        shares=host_config.get("CpuShares") or 0,
        quota=host_config.get("CpuQuota") or 0,
        period=host_config.get("CpuPeriod") or 0,
    )


def _memory(memory: Json, host_config: Json) -> MemoryUsage:
    """The detailed numbers are named as in memory.stat of the cgroups' version; see ``wire.cgroup_v1`` and 2."""
    stats, usage, limit = memory.get("stats") or {}, memory["usage"], host_config.get("Memory") or 0

    def detail(first: str, second: str) -> int:
        return int(stats.get(first, stats.get(second, 0)))

    return MemoryUsage(
        usage=usage,
        working_set=working_set(usage, detail("total_inactive_file", "inactive_file")),
        rss=detail("total_rss", "anon"),
        cache=detail("total_cache", "file"),
        mapped_file=detail("total_mapped_file", "file_mapped"),
        active_file=detail("total_active_file", "active_file"),
        inactive_file=detail("total_inactive_file", "inactive_file"),
        kernel=kernel_memory(stats),
        max_usage=memory.get("max_usage", 0),
        page_faults=detail("total_pgfault", "pgfault"),
        major_page_faults=detail("total_pgmajfault", "pgmajfault"),
        limit_hits=memory.get("failcnt", 0),
        limit=limit,
        swap_limit=max(0, (host_config.get("MemorySwap") or 0) - limit),
    )


def _io(blkio: Json) -> Iterator[DeviceIo]:
    counts: dict[tuple[int, int], dict[str, int]] = {}
    for (table, operation), field in _OPERATIONS.items():
        for entry in blkio.get(table) or ():
            if entry["op"].lower() == operation:
                counts.setdefault((entry["major"], entry["minor"]), {})[field] = entry["value"]
    for (major, minor), found in sorted(counts.items()):
        yield msgspec.structs.replace(DeviceIo(major=major, minor=minor), **found)


def _networks(answer: Json) -> Iterator[InterfaceUsage]:
    for name, counts in (answer.get("networks") or {}).items():
        fields = {f"{way}_{what}": counts.get(f"{way}_{what}", 0) for way in ("rx", "tx") for what in _COUNTED}
        yield msgspec.structs.replace(InterfaceUsage(name=name), **fields)


def _limit(number: int | None) -> int:
    return number if number is not None and number < UNLIMITED else 0
