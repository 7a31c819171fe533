"""The shapes in which Linux tells numbers: flat tables, limits, pressure, processes, memory, networks.

All of it is text from files below /proc and /sys/fs/cgroup. What is not there, or not a number, counts as 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from vkprovider.model.usage import DiskActivity, InterfaceUsage, Pressure, Stall

TICK = 10_000_000  # nanoseconds; USER_HZ is 100 on every architecture that containers run on
UNLIMITED = 1 << 62  # more than any machine has: cgroup v1 says "no limit" with a number near 2**63 (cadvisor)
MICROSECOND = 1000
_COUNTED = DiskActivity.__struct_fields__[1:]  # in the kernel's order
_OPEN_FILES = "Max open files            "
_KIB = re.compile(r"^([\w()]+):\s+(\d+) kB$", re.M)
_CORE = re.compile(r"^physical id\s*: (\d+)\n(?:.+\n)*?core id\s*: (\d+)$", re.M)
_PROCESSOR = re.compile(r"^processor\s*:", re.M)


class MountedCgroup(NamedTuple):
    """A hierarchy: where it is mounted, and which of its directories is seen there. ``controllers`` is empty for v2."""

    point: str
    root: str
    controllers: frozenset[str]


class Process(NamedTuple):
    """From /proc/PID/stat: times in nanoseconds, the start of the process counted from the machine's."""

    user: int
    system: int
    started: int
    rss_pages: int
    page_faults: int
    major_page_faults: int


def number(text: str | None) -> int:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdecimal() else 0


def limit(text: str | None) -> int:
    """A number of bytes or processes; 0 where there is no limit."""
    found = number(text)
    return found if found < UNLIMITED else 0


def table(text: str | None) -> dict[str, int]:
    """Lines of a name and a number."""
    pairs = (line.split() for line in (text or "").splitlines())
    return {pair[0]: number(pair[1]) for pair in pairs if len(pair) == 2}


def lines(text: str | None) -> int:
    return len((text or "").splitlines())


def pressure(text: str | None) -> Pressure | None:
    """A file ``*.pressure``; None where there is none, as before cgroup v2."""
    found = {}
    for line in (text or "").splitlines():
        kind, _, rest = line.partition(" ")
        values = dict(field.partition("=")[::2] for field in rest.split())
        try:
            found[kind] = Stall(
                avg10=float(values["avg10"]),
                avg60=float(values["avg60"]),
                avg300=float(values["avg300"]),
                total=int(values["total"]),
            )
        except (KeyError, ValueError):
            continue
    return Pressure(some=found["some"], full=found.get("full", Stall())) if "some" in found else None


def meminfo(text: str) -> dict[str, int]:
    """/proc/meminfo, in bytes."""
    return {name: int(kib) << 10 for name, kib in _KIB.findall(text)}


def network_devices(text: str) -> tuple[InterfaceUsage, ...]:
    """/proc/PID/net/dev, without the loopback."""
    return tuple(_interfaces(text))


def _interfaces(text: str) -> Iterator[InterfaceUsage]:
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        fields = [number(field) for field in rest.split()]
        if name.strip() != "lo" and len(fields) >= 12:
            yield InterfaceUsage(
                name=name.strip(),
                rx_bytes=fields[0],
                rx_packets=fields[1],
                rx_errors=fields[2],
                rx_dropped=fields[3],
                tx_bytes=fields[8],
                tx_packets=fields[9],
                tx_errors=fields[10],
                tx_dropped=fields[11],
            )


def disk_activities(text: str) -> tuple[DiskActivity, ...]:
    """/proc/diskstats (Documentation/admin-guide/iostats.rst): of devices that were ever used."""
    found = []
    for line in text.splitlines():
        _, _, name, *counts = [*line.split(), *[""] * 14][:14]
        activity = DiskActivity(device=f"/dev/{name}", **dict(zip(_COUNTED, map(number, counts), strict=True)))
        if activity.reads or activity.writes:
            found.append(activity)
    return tuple(found)


def open_files_limit(text: str) -> int:
    """/proc/PID/limits: how many files a process may open for now; -1 for any number."""
    line = next((line for line in text.splitlines() if line.startswith(_OPEN_FILES)), "")
    soft = line.removeprefix(_OPEN_FILES).partition(" ")[0]
    return number(soft) if soft != "unlimited" else -1


def cgroup_paths(text: str) -> dict[str, str]:
    """/proc/PID/cgroup: the path of each controller of v1, and under "" that of v2."""
    paths = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        paths.update(dict.fromkeys(controllers.split(","), path))
    return paths


def cgroup_mounts(mountinfo: str) -> tuple[MountedCgroup, ...]:
    """/proc/self/mountinfo, the hierarchies in it (proc(5))."""
    found = []
    for line in mountinfo.splitlines():
        mounted, _, source = line.partition(" - ")
        kind, _, options = [*source.split(" ", 2), "", ""][:3]
        if kind in ("cgroup", "cgroup2"):
            root, point = mounted.split(" ")[3:5]
            controllers = frozenset(options.split(",")) if kind == "cgroup" else frozenset[str]()
            found.append(MountedCgroup(point, root, controllers))
    return tuple(found)


def process_stat(text: str) -> Process:
    """/proc/PID/stat. The name in it may hold anything, parentheses too. Raises ValueError, IndexError."""
    fields = text[text.rindex(")") + 2 :].split()
    return Process(
        user=int(fields[11]) * TICK,
        system=int(fields[12]) * TICK,
        started=int(fields[19]) * TICK,
        rss_pages=int(fields[21]),
        page_faults=int(fields[7]) + int(fields[9]),
        major_page_faults=int(fields[9]),
    )


def processor_times(stat: str) -> tuple[int, int]:
    """/proc/stat: the nanoseconds that all processors together spent for users, and else without being idle."""
    first = next((line for line in stat.splitlines() if line.startswith("cpu ")), "")
    user, nice, system, _, _, irq, softirq, steal = [*map(number, first.split()[1:9]), *[0] * 8][:8]
    return (user + nice) * TICK, (system + irq + softirq + steal) * TICK


def cores_and_sockets(cpuinfo: str) -> tuple[int, int]:
    """/proc/cpuinfo; where it does not tell, as on ARM, each processor is a core and all of them are on one socket."""
    cores = set(_CORE.findall(cpuinfo)) or {("0", str(number)) for number in range(len(_PROCESSOR.findall(cpuinfo)))}
    return len(cores), len({socket for socket, _ in cores})


def boot_seconds(stat: str) -> int:
    """/proc/stat: when the machine started, in seconds since 1970."""
    return table(stat).get("btime", 0)


def of_machine(meminfo_: Mapping[str, int]) -> int:
    """What the machine's memory is used for, in bytes, as cgroup v2 counts for its root (opencontainers/cgroups)."""
    return max(0, meminfo_.get("MemTotal", 0) - meminfo_.get("MemFree", 0))
