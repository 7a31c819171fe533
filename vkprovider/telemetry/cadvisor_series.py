"""What is told of each container, and of the machine as if it were one (cadvisor, metrics/prometheus.go): a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from vkprovider.model.usage import DeviceIo, DiskActivity, FileSystem, Pressure, Reading
from vkprovider.telemetry.page import COUNTER, GAUGE, label_text

SECOND = 1e9  # nanoseconds
MICROSECONDS = 1e6  # in a second
MILLISECONDS = 1e3
STATES = ("sleeping", "running", "stopped", "uninterruptible", "iowaiting")


class Told(NamedTuple):
    """One that has numbers. ``disk`` is where it writes, of which ``written`` bytes are its own; ``activities`` are of
    the machine's devices.
    """

    reading: Reading
    at: datetime
    started_at: datetime
    disk: FileSystem | None = None
    written: int = 0
    activities: tuple[DiskActivity, ...] = ()


Samples = Iterable[tuple[str, float]]
"""Values by the labels that they have beside those that tell whose they are."""


class Series(NamedTuple):
    name: str
    kind: str
    help: str
    samples: Callable[[Told], Samples]


def _one(path: str, unit: float = 1, labels: str = "") -> Callable[[Told], Samples]:
    """What is at a dotted path, in units."""
    read = attrgetter(path)
    return lambda told: [(labels, read(told) / unit if unit != 1 else read(told))]


def _limited(path: str, unit: float = 1) -> Callable[[Told], Samples]:
    """Of those alone that have a limit of the processor."""
    always = _one(path, unit)
    return lambda told: always(told) if told.reading.cpu.quota else ()


def _each_interface(field: str) -> Callable[[Told], Samples]:
    return lambda told: [(label_text({"interface": each.name}), getattr(each, field)) for each in told.reading.network]


def _each_device(field: str) -> Callable[[Told], Samples]:
    """Of a container's cgroup."""
    return lambda told: [(label_text({"device": _device(io)}), getattr(io, field)) for io in told.reading.io]


def _each_disk(field: str, unit: float = 1) -> Callable[[Told], Samples]:
    """Of the machine alone: no cgroup says it."""
    return lambda told: [(label_text({"device": each.device}), getattr(each, field) / unit) for each in told.activities]


def _of_disk(path: str) -> Callable[[Told], Samples]:
    """Of those alone of which it is known where they write."""
    read = attrgetter(path)
    return lambda told: [] if told.disk is None else [(label_text({"device": told.disk.device}), read(told))]


def _not_read(*labels: str) -> Callable[[Told], Samples]:
    """What a kubelet tells too, and of every container that it is 0: it has cadvisor's reader of loads switched off
    (cadvisor, manager/container.go enable_load_reader), which does not know cgroup v2.
    """
    samples = tuple((each, 0) for each in labels)
    return lambda told: samples


def _opened(field: str, labels: str = "") -> Callable[[Told], Samples]:
    """Of those alone whose open files can be seen."""

    def samples(told: Told) -> Samples:
        opened = told.reading.open_files
        return [] if opened is None else [(labels, getattr(opened, field))]

    return samples


def _waited(path: str, kind: str) -> Callable[[Told], Samples]:
    """Of a pressure, where the kernel tells it."""
    read = attrgetter(path)

    def samples(told: Told) -> Samples:
        pressure: Pressure | None = read(told)
        return [] if pressure is None else [("", getattr(pressure, kind).total / MICROSECONDS)]

    return samples


def _device(io: DeviceIo) -> str:
    return io.device or f"{io.major}:{io.minor}"


def _faults(told: Told) -> Samples:
    memory = told.reading.memory
    for kind, count in (("pgfault", memory.page_faults), ("pgmajfault", memory.major_page_faults)):
        yield label_text({"failure_type": kind, "scope": "hierarchy"}), count


def _device_usage(told: Told) -> Samples:
    for io in told.reading.io:
        device = {"device": _device(io), "major": str(io.major), "minor": str(io.minor)}
        for operation, count in (("Read", io.read_bytes), ("Write", io.written_bytes)):
            yield label_text(device | {"operation": operation}), count


def _cpu() -> Iterable[Series]:
    total = label_text({"cpu": "total"})
    text = "Cumulative cpu time consumed in seconds."
    yield Series("container_cpu_usage_seconds_total", COUNTER, text, _one("reading.cpu.total", SECOND, total))
    text = "Cumulative user cpu time consumed in seconds."
    yield Series("container_cpu_user_seconds_total", COUNTER, text, _one("reading.cpu.user", SECOND))
    text = "Cumulative system cpu time consumed in seconds."
    yield Series("container_cpu_system_seconds_total", COUNTER, text, _one("reading.cpu.system", SECOND))
    text = "Number of elapsed enforcement period intervals."
    yield Series("container_cpu_cfs_periods_total", COUNTER, text, _limited("reading.cpu.periods"))
    text, name = "Number of throttled period intervals.", "container_cpu_cfs_throttled_periods_total"
    yield Series(name, COUNTER, text, _limited("reading.cpu.throttled_periods"))
    text, name = "Total time duration the container has been throttled.", "container_cpu_cfs_throttled_seconds_total"
    yield Series(name, COUNTER, text, _limited("reading.cpu.throttled", SECOND))
    for name, text in (
        ("container_cpu_load_average_10s", "Value of container cpu load average over the last 10 seconds."),
        ("container_cpu_load_d_average_10s", "Value of container cpu load.d average over the last 10 seconds."),
    ):
        yield Series(name, GAUGE, text, _not_read(""))
    text = "CPU period of the container."
    yield Series("container_spec_cpu_period", GAUGE, text, _one("reading.cpu.period"))
    text = "CPU quota of the container."
    yield Series("container_spec_cpu_quota", GAUGE, text, _limited("reading.cpu.quota"))
    text = "CPU share of the container."
    yield Series("container_spec_cpu_shares", GAUGE, text, _one("reading.cpu.shares"))


def _memory() -> Iterable[Series]:
    gauges = (
        ("container_memory_cache", "Number of bytes of page cache memory.", "cache"),
        ("container_memory_kernel_usage", "Size of kernel memory allocated in bytes.", "kernel"),
        ("container_memory_mapped_file", "Size of memory mapped files in bytes.", "mapped_file"),
        ("container_memory_max_usage_bytes", "Maximum memory usage recorded in bytes", "max_usage"),
        ("container_memory_rss", "Size of RSS in bytes.", "rss"),
        ("container_memory_swap", "Container swap usage in bytes.", "swap"),
        ("container_memory_total_active_file_bytes", "Current total active file in bytes.", "active_file"),
        ("container_memory_total_inactive_file_bytes", "Current total inactive file in bytes.", "inactive_file"),
        ("container_memory_usage_bytes", "Current memory usage in bytes, including all memory.", "usage"),
        ("container_memory_working_set_bytes", "Current working set in bytes.", "working_set"),
        ("container_spec_memory_limit_bytes", "Memory limit for the container.", "limit"),
        ("container_spec_memory_reservation_limit_bytes", "Memory reservation limit.", "reservation"),
        ("container_spec_memory_swap_limit_bytes", "Memory swap limit for the container.", "swap_limit"),
    )
    for name, text, field in gauges:
        yield Series(name, GAUGE, text, _one(f"reading.memory.{field}"))
    text = "Number of memory usage hits limits"
    yield Series("container_memory_failcnt", COUNTER, text, _one("reading.memory.limit_hits"))
    yield Series("container_memory_failures_total", COUNTER, "Cumulative count of memory allocation failures.", _faults)
    text = "Count of out of memory events observed for the container"
    yield Series("container_oom_events_total", COUNTER, text, _one("reading.memory.oom_kills"))


def _network() -> Iterable[Series]:
    for way, short, verb in (("receive", "rx", "received"), ("transmit", "tx", "transmitted")):
        for what, field, text in (
            ("bytes", "bytes", f"Cumulative count of bytes {verb}"),
            ("packets", "packets", f"Cumulative count of packets {verb}"),
            ("packets_dropped", "dropped", f"Cumulative count of packets dropped while {verb[:-2]}ing"),
            ("errors", "errors", f"Cumulative count of errors encountered while {verb[:-2]}ing"),
        ):
            yield Series(f"container_network_{way}_{what}_total", COUNTER, text, _each_interface(f"{short}_{field}"))


def _disk() -> Iterable[Series]:
    for name, field, text in (
        ("reads_bytes", "read_bytes", "Cumulative count of bytes read"),
        ("reads", "reads", "Cumulative count of reads completed"),
        ("writes_bytes", "written_bytes", "Cumulative count of bytes written"),
        ("writes", "writes", "Cumulative count of writes completed"),
    ):
        yield Series(f"container_fs_{name}_total", COUNTER, text, _each_device(field))
    for name, kind, field, unit, text in (
        ("reads_merged_total", COUNTER, "reads_merged", 1, "Cumulative count of reads merged"),
        ("sector_reads_total", COUNTER, "sectors_read", 1, "Cumulative count of sector reads completed"),
        ("read_seconds_total", COUNTER, "read_time", MILLISECONDS, "Cumulative count of seconds spent reading"),
        ("writes_merged_total", COUNTER, "writes_merged", 1, "Cumulative count of writes merged"),
        ("sector_writes_total", COUNTER, "sectors_written", 1, "Cumulative count of sector writes completed"),
        ("write_seconds_total", COUNTER, "write_time", MILLISECONDS, "Cumulative count of seconds spent writing"),
        ("io_current", GAUGE, "in_progress", 1, "Number of I/Os currently in progress"),
        ("io_time_seconds_total", COUNTER, "busy_time", MILLISECONDS, "Cumulative count of seconds spent doing I/Os"),
        (
            "io_time_weighted_seconds_total",
            COUNTER,
            "weighted_time",
            MILLISECONDS,
            "Cumulative weighted I/O time in seconds",
        ),
    ):
        yield Series(f"container_fs_{name}", kind, text, _each_disk(field, unit))
    yield Series("container_blkio_device_usage_total", COUNTER, "Blkio Device bytes usage", _device_usage)
    text = "Number of bytes that are consumed by the container on this filesystem."
    yield Series("container_fs_usage_bytes", GAUGE, text, _of_disk("written"))
    text = "Number of bytes that can be consumed by the container on this filesystem."
    yield Series("container_fs_limit_bytes", GAUGE, text, _of_disk("disk.capacity"))
    text = "Number of available Inodes"
    yield Series("container_fs_inodes_free", GAUGE, text, _of_disk("disk.inodes_free"))
    text = "Number of Inodes"
    yield Series("container_fs_inodes_total", GAUGE, text, _of_disk("disk.inodes"))


def _processes() -> Iterable[Series]:
    text = "Last time a container was seen by the exporter"
    yield Series("container_last_seen", GAUGE, text, lambda told: [("", told.at.timestamp())])
    text = "Start time of the container since unix epoch in seconds."
    yield Series("container_start_time_seconds", GAUGE, text, lambda told: [("", told.started_at.timestamp())])
    text = "Number of processes running inside the container."
    yield Series("container_processes", GAUGE, text, _one("reading.processes"))
    text = "Number of tasks in given state"
    yield Series("container_tasks_state", GAUGE, text, _not_read(*(label_text({"state": each}) for each in STATES)))
    text = "Number of threads running inside the container"
    yield Series("container_threads", GAUGE, text, _one("reading.threads"))
    text = "Maximum number of threads allowed inside the container, infinity if value is zero"
    yield Series("container_threads_max", GAUGE, text, _one("reading.threads_max"))
    text = "Number of open file descriptors for the container."
    yield Series("container_file_descriptors", GAUGE, text, _opened("all"))
    yield Series("container_sockets", GAUGE, "Number of open sockets for the container.", _opened("sockets"))
    text = "Soft ulimit values for the container root process. Unlimited if -1, except priority and nice"
    limited = label_text({"ulimit": "max_open_files"})
    yield Series("container_ulimits_soft", GAUGE, text, _opened("limit", limited))


def _pressures() -> Iterable[Series]:
    for what, name, path in (
        ("cpu", "CPU", "reading.cpu.pressure"),
        ("memory", "memory", "reading.memory.pressure"),
        ("io", "IO", "reading.io_pressure"),
    ):
        for kind, verb, did in (
            ("some", "waiting", "tasks in the container have waited"),
            ("full", "stalled", "no tasks in the container could make progress"),
        ):
            text = f"Total time duration {did} due to {name} congestion."
            yield Series(f"container_pressure_{what}_{verb}_seconds_total", COUNTER, text, _waited(path, kind))


SERIES = (*_cpu(), *_memory(), *_network(), *_disk(), *_processes(), *_pressures())
