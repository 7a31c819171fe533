"""``/metrics/cadvisor``: names and labels that dashboards go by."""

from __future__ import annotations

import time

import msgspec
import pytest

from tests.fakes.usages import AT, GIB, MACHINE, READING, STARTED, SYSTEM, usage_of, used
from tests.telemetry.test_resource_metrics import labels, samples
from vkprovider.model.usage import (
    ContainerDisk,
    CpuUsage,
    DeviceIo,
    DiskUsage,
    DiskUse,
    InterfaceUsage,
    OpenFiles,
    Pressure,
    Stall,
)
from vkprovider.telemetry.cadvisor_metrics import cadvisor_metrics
from vkprovider.wire.kernel_texts import disk_activities

LIMITED = CpuUsage(
    total=3 * 10**9,
    periods=32,
    throttled_periods=30,
    throttled=5 * 10**8,
    quota=50000,
    period=100000,
    pressure=Pressure(),
)
IO = DeviceIo(major=8, minor=0, device="/dev/sda", reads=4, read_bytes=4096, writes=2, written_bytes=512)
(VDA,) = disk_activities("254 0 vda 4 3 16 1500 2 1 8 250 1 2500 3500 0 0 0 0")
ETH0 = InterfaceUsage(name="eth0", rx_bytes=7, rx_packets=6, rx_dropped=5, rx_errors=4, tx_bytes=3)
APP = {
    "container": "app",
    "id": "/kubepods/podu1/u1-app",
    "image": "busybox:1",
    "name": "k8s_app_web_default_u1_0",
    "namespace": "default",
    "pod": "web",
}
SANDBOX = APP | {"container": "", "id": "/kubepods/podu1/u1-POD", "name": "k8s_POD_web_default_u1_0"}
ROOT = dict.fromkeys(APP, "") | {"id": "/"}

# What a kubelet of 1.34 tells: of cadvisor 0.52.1, metrics/prometheus.go and prometheus_machine.go, the metrics of the
# sets that pkg/kubelet/server/server.go includes. Dashboards, rules and alerts of the kubernetes-mixin ask for some.
BY_THE_KUBELET = """
    container_blkio_device_usage_total container_cpu_cfs_periods_total container_cpu_cfs_throttled_periods_total
    container_cpu_cfs_throttled_seconds_total container_cpu_load_average_10s container_cpu_load_d_average_10s
    container_cpu_system_seconds_total container_cpu_usage_seconds_total container_cpu_user_seconds_total
    container_file_descriptors container_fs_inodes_free container_fs_inodes_total container_fs_io_current
    container_fs_io_time_seconds_total container_fs_io_time_weighted_seconds_total container_fs_limit_bytes
    container_fs_read_seconds_total container_fs_reads_bytes_total container_fs_reads_merged_total
    container_fs_reads_total container_fs_sector_reads_total container_fs_sector_writes_total
    container_fs_usage_bytes container_fs_write_seconds_total container_fs_writes_bytes_total
    container_fs_writes_merged_total container_fs_writes_total container_last_seen container_memory_cache
    container_memory_failcnt container_memory_failures_total container_memory_kernel_usage
    container_memory_mapped_file container_memory_max_usage_bytes container_memory_rss container_memory_swap
    container_memory_total_active_file_bytes container_memory_total_inactive_file_bytes container_memory_usage_bytes
    container_memory_working_set_bytes container_network_receive_bytes_total container_network_receive_errors_total
    container_network_receive_packets_dropped_total container_network_receive_packets_total
    container_network_transmit_bytes_total container_network_transmit_errors_total
    container_network_transmit_packets_dropped_total container_network_transmit_packets_total
    container_oom_events_total container_pressure_cpu_stalled_seconds_total
    container_pressure_cpu_waiting_seconds_total container_pressure_io_stalled_seconds_total
    container_pressure_io_waiting_seconds_total container_pressure_memory_stalled_seconds_total
    container_pressure_memory_waiting_seconds_total container_processes container_scrape_error container_sockets
    container_spec_cpu_period container_spec_cpu_quota container_spec_cpu_shares container_spec_memory_limit_bytes
    container_spec_memory_reservation_limit_bytes container_spec_memory_swap_limit_bytes
    container_start_time_seconds container_tasks_state container_threads container_threads_max
    container_ulimits_soft machine_cpu_cores machine_cpu_physical_cores machine_cpu_sockets machine_memory_bytes
    machine_scrape_error machine_swap_bytes
"""


@pytest.fixture(scope="module")
def found():
    opened = OpenFiles(all=7, sockets=3, limit=1024)
    memory = msgspec.structs.replace(READING.memory, pressure=Pressure())
    app = used(cpu=LIMITED, memory=memory, io=(IO,), io_pressure=Pressure(), open_files=opened)
    usage = usage_of(app, used("POD", network=(ETH0,)))
    usage = msgspec.structs.replace(usage, machine=msgspec.structs.replace(MACHINE, disks=(VDA,)))
    disk = ContainerDisk(root=DiskUse(used=8192, inodes=2))
    disks = DiskUsage(at=AT, containers={key: disk for key in usage.containers}, engine=SYSTEM, node=SYSTEM)
    return samples(cadvisor_metrics(usage, disks))


def test_the_names_of_a_kubelet(found):
    told = {name.replace("failcnt_total", "failcnt") for name, _ in found}  # the parser has counters end so
    assert sorted(told) == BY_THE_KUBELET.split()


@pytest.mark.parametrize(
    ("name", "more", "value"),
    [
        ("container_cpu_usage_seconds_total", {"cpu": "total"}, 3),
        ("container_cpu_cfs_periods_total", {}, 32),
        ("container_cpu_cfs_throttled_periods_total", {}, 30),
        ("container_cpu_cfs_throttled_seconds_total", {}, 0.5),
        ("container_spec_cpu_quota", {}, 50000),
        ("container_spec_cpu_period", {}, 100000),
        ("container_memory_working_set_bytes", {}, 20 << 20),
        ("container_memory_usage_bytes", {}, 30 << 20),
        ("container_memory_rss", {}, 10 << 20),
        ("container_memory_cache", {}, 5 << 20),
        ("container_memory_total_active_file_bytes", {}, 1 << 20),
        ("container_memory_total_inactive_file_bytes", {}, 4 << 20),
        ("container_memory_kernel_usage", {}, 2 << 20),
        ("container_cpu_load_average_10s", {}, 0),
        ("container_cpu_load_d_average_10s", {}, 0),
        ("container_tasks_state", {"state": "running"}, 0),
        ("container_tasks_state", {"state": "iowaiting"}, 0),
        ("container_memory_failures_total", {"failure_type": "pgfault", "scope": "hierarchy"}, 0),
        ("container_fs_reads_total", {"device": "/dev/sda"}, 4),
        ("container_fs_writes_bytes_total", {"device": "/dev/sda"}, 512),
        ("container_fs_usage_bytes", {"device": "/dev/sda"}, 8192),
        ("container_fs_limit_bytes", {"device": "/dev/sda"}, 100 * GIB),
        (
            "container_blkio_device_usage_total",
            {"device": "/dev/sda", "major": "8", "minor": "0", "operation": "Read"},
            4096,
        ),
        ("container_start_time_seconds", {}, STARTED.timestamp()),
        ("container_last_seen", {}, AT.timestamp()),
        ("container_processes", {}, 2),
        ("container_threads", {}, 3),
        ("container_oom_events_total", {}, 0),
        ("container_file_descriptors", {}, 7),
        ("container_sockets", {}, 3),
        ("container_ulimits_soft", {"ulimit": "max_open_files"}, 1024),
    ],
)
def test_of_a_container(found, name: str, more: dict[str, str], value: float):
    assert found[name, labels(**APP, **more)] == (value, AT.timestamp())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("receive_bytes", 7),
        ("receive_packets", 6),
        ("receive_packets_dropped", 5),
        ("receive_errors", 4),
        ("transmit_bytes", 3),
    ],
)
def test_the_network_is_the_sandboxs(found, name: str, value: int):
    full = f"container_network_{name}_total"
    assert found[full, labels(**SANDBOX, interface="eth0")][0] == value
    assert [keys for other, keys in found if other == full] == [labels(**SANDBOX, interface="eth0")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("reads_merged_total", 3),
        ("sector_reads_total", 16),
        ("read_seconds_total", 1.5),
        ("writes_merged_total", 1),
        ("sector_writes_total", 8),
        ("write_seconds_total", 0.25),
        ("io_current", 1),
        ("io_time_seconds_total", 2.5),
        ("io_time_weighted_seconds_total", 3.5),
    ],
)
def test_the_machines_disks(found, name: str, value: float):
    full = f"container_fs_{name}"
    assert {keys: told for (other, keys), (told, _) in found.items() if other == full} == {
        labels(**ROOT, device="/dev/vda"): value
    }


def test_the_machine(found):
    facts = {"cpu_cores": 4, "cpu_physical_cores": 2, "cpu_sockets": 1, "scrape_error": 0}
    assert {name: found[f"machine_{name}", ()][0] for name in facts} == facts
    assert found["machine_memory_bytes", ()][0] == 16 * GIB
    assert found["container_cpu_usage_seconds_total", labels(**ROOT, cpu="total")][0] == 900
    assert found["container_memory_working_set_bytes", labels(**ROOT)][0] == 5 * GIB
    assert found["container_fs_usage_bytes", labels(**ROOT, device="/dev/sda")][0] == 40 * GIB


def test_what_has_no_limit_has_no_periods(found):
    assert ("container_cpu_cfs_periods_total", labels(**SANDBOX)) not in found


def test_pressure_where_the_kernel_tells_it():
    stalled = Pressure(some=Stall(total=2_500_000), full=Stall(total=500_000))
    usage = usage_of(used(cpu=msgspec.structs.replace(LIMITED, pressure=stalled), io_pressure=stalled))
    disks = DiskUsage(at=AT, containers={}, engine=None, node=None)
    found = samples(cadvisor_metrics(usage, disks))
    assert found["container_pressure_cpu_waiting_seconds_total", labels(**APP)][0] == 2.5
    assert found["container_pressure_io_stalled_seconds_total", labels(**APP)][0] == 0.5
    names = {name for name, _ in found}
    assert "container_pressure_memory_waiting_seconds_total" not in names
    assert "container_fs_usage_bytes" not in names  # of an engine elsewhere


def test_two_devices_without_a_name_are_told_apart():
    usage = usage_of(used(io=(DeviceIo(major=1, minor=0), DeviceIo(major=1, minor=1))))
    found = samples(cadvisor_metrics(usage, DiskUsage(at=AT, containers={}, engine=None, node=None)))
    assert ("container_fs_reads_total", labels(**APP, device="1:1")) in found


def test_nothing_known():
    assert samples(cadvisor_metrics(None, None)) == {
        ("container_scrape_error", ()): (1, None),
        ("machine_scrape_error", ()): (1, None),
    }
    assert MACHINE.io_pressure is None


def test_two_hundred_containers_cost_little():
    """Time of the processor, not of the clock. It is written anew for each scrape."""
    containers = [used(f"c{number % 2}", f"p{number}", f"u{number}", cpu=LIMITED, io=(IO,)) for number in range(200)]
    usage, disks = usage_of(*containers), DiskUsage(at=AT, containers={}, engine=SYSTEM, node=SYSTEM)
    begun = time.process_time()
    text = cadvisor_metrics(usage, disks)
    assert time.process_time() - begun < 1.0
    assert text.count(b"\ncontainer_memory_rss{") == 201
