"""The fields that summaries are made of (k8s.io/kubelet/pkg/apis/stats/v1alpha1/types.go). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from vkprovider.model.usage import CpuUsage, DiskUse, FileSystem, InterfaceUsage, MemoryUsage, Pressure, VolumeUse

Json = dict[str, Any]
DEFAULT_INTERFACE = "eth0"  # pkg/kubelet/stats/cadvisor_stats_provider.go defaultNetworkInterfaceName


def cpu(at: datetime, nanocores: int, cpu: CpuUsage) -> Json:
    found = {"time": time(at), "usageNanoCores": nanocores, "usageCoreNanoSeconds": cpu.total}
    return found if cpu.pressure is None else found | {"psi": psi(cpu.pressure)}


def memory(at: datetime, memory: MemoryUsage, limit: int = 0) -> Json:
    found: Json = {
        "time": time(at),
        "usageBytes": memory.usage,
        "workingSetBytes": memory.working_set,
        "rssBytes": memory.rss,
        "pageFaults": memory.page_faults,
        "majorPageFaults": memory.major_page_faults,
    }
    if limit:
        found["availableBytes"] = max(0, limit - memory.working_set)
    return found if memory.pressure is None else found | {"psi": psi(memory.pressure)}


def swap(at: datetime, memory: MemoryUsage, limit: int) -> Json:
    return {
        "time": time(at),
        "swapAvailableBytes": max(0, limit - memory.swap),
        "swapUsageBytes": memory.swap,
    }


def psi(pressure: Pressure) -> Json:
    return {kind: msgspec.to_builtins(stall) for kind, stall in (("some", pressure.some), ("full", pressure.full))}


def network(at: datetime, interfaces: Sequence[InterfaceUsage]) -> Json:
    """The default interface's numbers, and those of all."""
    counts = [
        {
            "name": each.name,
            "rxBytes": each.rx_bytes,
            "rxErrors": each.rx_errors,
            "txBytes": each.tx_bytes,
            "txErrors": each.tx_errors,
        }
        for each in interfaces
    ]
    first = next((each for each in counts if each["name"] == DEFAULT_INTERFACE), counts[0] if counts else {})
    return {"time": time(at)} | first | {"interfaces": counts}


def volume(at: datetime, volume: VolumeUse, namespace: str) -> Json:
    claim = {"pvcRef": {"name": volume.claim, "namespace": namespace}} if volume.claim else {}
    return file_system(at, volume.file_system, volume.use) | {"name": volume.name} | claim


def file_system(at: datetime, system: FileSystem, use: DiskUse | None = None) -> Json:
    """``use`` is the share that is meant, all of it where there is none."""
    use = use or DiskUse(used=system.used, inodes=system.inodes_used)
    found: Json = {
        "time": time(at),
        "availableBytes": system.available,
        "capacityBytes": system.capacity,
        "usedBytes": use.used,
        "inodesFree": system.inodes_free,
        "inodes": system.inodes,
    }
    return found if use.inodes is None else found | {"inodesUsed": use.inodes}


def together(uses: Iterable[DiskUse | None]) -> DiskUse:
    found = [use for use in uses if use is not None]
    inodes = [use.inodes for use in found]
    return DiskUse(
        used=sum(use.used for use in found),
        inodes=sum(each for each in inodes if each is not None) if None not in inodes else None,
    )


def time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
