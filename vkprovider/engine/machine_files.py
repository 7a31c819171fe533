"""What the machine uses in all, and single processes of it: /proc shows all of the machine, in a container too."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from vkprovider.engine.cgroups import SYSTEM, read
from vkprovider.model.usage import CpuUsage, InterfaceUsage, MachineUsage, MemoryUsage, Pressure, ProcessUsage
from vkprovider.wire.cgroup_v1 import working_set
from vkprovider.wire.kernel_texts import (
    boot_seconds,
    cores_and_sockets,
    disk_activities,
    meminfo,
    network_devices,
    number,
    of_machine,
    pressure,
    process_stat,
    processor_times,
    table,
)

_OF_OTHERS = ("veth", "docker", "br-", "nerdctl")  # containers' ends and bridges (cadvisor, container/raw/handler.go)
_KERNEL = ("KernelStack", "PageTables", "Percpu", "Slab")
_MAX_THREADS = ("sys/kernel/pid_max", "sys/kernel/threads-max")


class MachineFiles:
    """The methods read files: they are called from a thread. They give rates of 0: those take two readings."""

    def __init__(self, now: Callable[[], datetime], root: Path = SYSTEM) -> None:
        self._now = now
        self._proc = root / "proc"

    def machine(self) -> MachineUsage:
        stat, memory = self._read("stat"), meminfo(self._read("meminfo"))
        user, system = processor_times(stat)
        cores, sockets = cores_and_sockets(self._read("cpuinfo"))
        limits = [number(self._read(path)) for path in _MAX_THREADS]
        return MachineUsage(
            at=self._now(),
            booted_at=datetime.fromtimestamp(boot_seconds(stat), UTC),
            nanocores=0,
            cpu=CpuUsage(total=user + system, user=user, system=system, pressure=self._pressure("cpu")),
            cpus=sum(line[:3] == "cpu" and line[3:4].isdecimal() for line in stat.splitlines()),
            cores=cores,
            sockets=sockets,
            memory=self._memory(memory),
            capacity=memory.get("MemTotal", 0),
            network=tuple(filter(_is_own, network_devices(self._read("net/dev")))),
            disks=disk_activities(self._read("diskstats")),
            io_pressure=self._pressure("io"),
            threads=number(self._read("loadavg").partition("/")[2].partition(" ")[0]),
            threads_max=min(filter(None, limits), default=0),
        )

    def process(self, pid: int) -> ProcessUsage | None:
        """None where there is none, or it cannot be seen."""
        try:
            found = process_stat(self._read(f"{pid}/stat"))
        except (ValueError, IndexError):
            return None
        booted = datetime.fromtimestamp(boot_seconds(self._read("stat")), UTC)
        rss = found.rss_pages * os.sysconf("SC_PAGESIZE")
        return ProcessUsage(
            started_at=booted + timedelta(microseconds=found.started / 1000),
            at=self._now(),
            nanocores=0,
            cpu=CpuUsage(total=found.user + found.system, user=found.user, system=found.system),
            memory=MemoryUsage(
                usage=rss,
                working_set=rss,
                rss=rss,
                page_faults=found.page_faults,
                major_page_faults=found.major_page_faults,
            ),
        )

    def _memory(self, memory: dict[str, int]) -> MemoryUsage:
        used, events = of_machine(memory), table(self._read("vmstat"))
        return MemoryUsage(
            usage=used,
            working_set=working_set(used, memory.get("Inactive(file)", 0)),
            rss=memory.get("AnonPages", 0),
            cache=memory.get("Cached", 0),
            mapped_file=memory.get("Mapped", 0),
            active_file=memory.get("Active(file)", 0),
            inactive_file=memory.get("Inactive(file)", 0),
            kernel=sum(memory.get(part, 0) for part in _KERNEL),
            swap=memory.get("SwapTotal", 0) - memory.get("SwapFree", 0),
            swap_limit=memory.get("SwapTotal", 0),
            page_faults=events.get("pgfault", 0),
            major_page_faults=events.get("pgmajfault", 0),
            oom_kills=events.get("oom_kill", 0),
            limit=memory.get("MemTotal", 0),
            pressure=self._pressure("memory"),
        )

    def _pressure(self, kind: str) -> Pressure | None:
        return pressure(self._read(f"pressure/{kind}"))

    def _read(self, path: str) -> str:
        return read(str(self._proc / path)) or ""


def _is_own(interface: InterfaceUsage) -> bool:
    return not interface.name.startswith(_OF_OTHERS)
