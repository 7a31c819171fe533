"""What is used of a machine: by its containers, and in all. Counters count from a container's start, or the machine's.

Bytes, and for times nanoseconds, wherever nothing else is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from vkprovider.model.labels import SANDBOX_TYPE, ContainerIdentity
from vkprovider.model.refs import ContainerID, PodUID


class Stall(msgspec.Struct, frozen=True, kw_only=True):
    """For which share of the last 10, 60 and 300 seconds, in percent, work waited; ``total`` in microseconds."""

    avg10: float = 0.0
    avg60: float = 0.0
    avg300: float = 0.0
    total: int = 0


class Pressure(msgspec.Struct, frozen=True, kw_only=True):
    """Pressure stall information: how long some of the processes waited, and all of them at once."""

    some: Stall = Stall()
    full: Stall = Stall()


class CpuUsage(msgspec.Struct, frozen=True, kw_only=True):
    """``periods`` are those of a limit; ``quota`` is how many microseconds of each ``period`` it allows, 0 for any."""

    total: int
    user: int = 0
    system: int = 0
    periods: int = 0
    throttled_periods: int = 0
    throttled: int = 0
    shares: int = 0
    quota: int = 0
    period: int = 0
    pressure: Pressure | None = None


class MemoryUsage(msgspec.Struct, frozen=True, kw_only=True):
    """``working_set`` is what cannot be had back at once: all but ``inactive_file``, files that were not used lately.
    ``kernel`` is what the kernel has for those who use the rest. Limits of 0 are none; ``swap_limit`` is that of swap
    alone, ``reservation`` what a soft limit says.
    """

    usage: int
    working_set: int
    rss: int = 0
    cache: int = 0
    mapped_file: int = 0
    active_file: int = 0
    inactive_file: int = 0
    kernel: int = 0
    swap: int = 0
    max_usage: int = 0
    page_faults: int = 0
    major_page_faults: int = 0
    limit_hits: int = 0
    oom_kills: int = 0
    limit: int = 0
    swap_limit: int = 0
    reservation: int = 0
    pressure: Pressure | None = None


class DeviceIo(msgspec.Struct, frozen=True, kw_only=True):
    """What was read from and written to one device, which bears the kernel's numbers, and a name where one is known."""

    major: int
    minor: int
    device: str = ""
    reads: int = 0
    writes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0


class DiskActivity(msgspec.Struct, frozen=True, kw_only=True):
    """What the kernel counts of a block device as a whole. Sectors have 512 bytes, times are in milliseconds."""

    device: str
    reads: int
    reads_merged: int
    sectors_read: int
    read_time: int
    writes: int
    writes_merged: int
    sectors_written: int
    write_time: int
    in_progress: int
    busy_time: int
    weighted_time: int


class OpenFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Of the processes of a container; ``limit`` is how many its first process may have, -1 for any number."""

    all: int
    sockets: int
    limit: int


class InterfaceUsage(msgspec.Struct, frozen=True, kw_only=True):
    """A network interface: bytes, packets, errors and what was dropped, each way."""

    name: str
    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of one container at one moment."""

    cpu: CpuUsage
    memory: MemoryUsage
    io: tuple[DeviceIo, ...] = ()
    io_pressure: Pressure | None = None
    processes: int = 0
    threads: int = 0
    threads_max: int = 0
    open_files: OpenFiles | None = None  # where these can be seen
    network: tuple[InterfaceUsage, ...] = ()  # of sandboxes with a network of their own


class RunningContainer(msgspec.Struct, frozen=True, kw_only=True):
    """A container that runs, and whose it is."""

    id: ContainerID
    identity: ContainerIdentity
    created_at: datetime
    image: str = ""  # as the engine names it

    @property
    def is_sandbox(self) -> bool:
        return self.identity.type == SANDBOX_TYPE


class ContainerUsage(msgspec.Struct, frozen=True, kw_only=True):
    """``nanocores`` is the rate of the cpu over the seconds before ``at``."""

    container: RunningContainer
    started_at: datetime
    at: datetime
    nanocores: int
    reading: Reading


class MachineUsage(msgspec.Struct, frozen=True, kw_only=True):
    """The whole machine; ``cpus`` are its logical processors, on ``cores`` of ``sockets``. ``capacity`` is its memory,
    ``threads`` are those of all processes there are.
    """

    at: datetime
    booted_at: datetime
    nanocores: int
    cpu: CpuUsage
    cpus: int
    memory: MemoryUsage
    capacity: int
    cores: int = 0
    sockets: int = 0
    network: tuple[InterfaceUsage, ...] = ()
    disks: tuple[DiskActivity, ...] = ()
    io_pressure: Pressure | None = None
    threads: int = 0
    threads_max: int = 0


class ProcessUsage(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the machine: vkprovider itself, or the engine."""

    started_at: datetime
    at: datetime
    nanocores: int
    cpu: CpuUsage
    memory: MemoryUsage


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What was used at one moment. Containers that cannot be read, for they have just ended, are left out.

    ``processes`` has those that make the node what it is, by their names in summaries: kubelet, runtime. ``pods`` are
    those that have a cgroup of their own; for the others ``former`` says what containers had used that have ended while
    the pod goes on.
    """

    machine: MachineUsage
    containers: Mapping[ContainerID, ContainerUsage]
    pods: Mapping[PodUID, Reading] = {}
    former: Mapping[PodUID, int] = {}
    processes: Mapping[str, ProcessUsage] = {}


class DiskUse(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes on a disk; ``inodes`` is None where only the engine can count, and counts bytes alone."""

    used: int
    inodes: int | None = None


class FileSystem(msgspec.Struct, frozen=True, kw_only=True):
    """``available`` is what users without privileges may still take."""

    capacity: int
    available: int
    used: int
    inodes: int
    inodes_free: int
    device: str = ""

    @property
    def inodes_used(self) -> int:
        return self.inodes - self.inodes_free


class ContainerDisk(msgspec.Struct, frozen=True, kw_only=True):
    """What a container has written beside its volumes, and said; None where that cannot be seen."""

    root: DiskUse | None = None
    logs: DiskUse | None = None


class DiskUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Disks at one moment. ``engine`` is the file system of images and containers, ``node`` that of pods' volumes; None
    where the engine's host is another than this one. ``images`` are the bytes that images take.
    """

    at: datetime
    containers: Mapping[ContainerID, ContainerDisk]
    engine: FileSystem | None
    node: FileSystem | None
    images: int = 0


ClaimName = tuple[str, str]
"""A PersistentVolumeClaim by its namespace and name."""


class VolumeUse(msgspec.Struct, frozen=True, kw_only=True):
    """What a pod's volume takes of its file system. ``claim`` names the PersistentVolumeClaim that it is made from, in
    the pod's namespace; such a one outlives the pod, and what it takes is not the pod's. What is not ``on_disk`` is
    part of the memory that the pod uses.
    """

    name: str
    use: DiskUse
    file_system: FileSystem
    claim: str = ""
    on_disk: bool = True
