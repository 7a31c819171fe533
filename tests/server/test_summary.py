"""``/stats/summary``: each field that clients check (e2e_node/summary_test.go), and where its number comes from."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.fakes.usages import AT, GIB, MACHINE, STARTED, SYSTEM, FakeUsages, usage_of, used
from vkprovider.model.refs import PodUID
from vkprovider.model.usage import (
    ContainerDisk,
    DiskUsage,
    DiskUse,
    InterfaceUsage,
    MemoryUsage,
    Pressure,
    ProcessUsage,
    Stall,
    VolumeUse,
)
from vkprovider.server.summary import Disks, summary

MOMENT, BEGIN = "2026-01-02T03:04:05Z", "2026-01-02T03:00:00Z"
ETH0 = InterfaceUsage(name="eth0", rx_bytes=7, rx_errors=1, tx_bytes=3, tx_errors=2)
VOLUMES = (
    VolumeUse(name="scratch", use=DiskUse(used=4096, inodes=3), file_system=SYSTEM),
    VolumeUse(name="data", use=DiskUse(used=GIB, inodes=9), file_system=SYSTEM, claim="db"),
    VolumeUse(name="fast", use=DiskUse(used=512, inodes=1), file_system=SYSTEM, on_disk=False),
)


def full(**fields: Any) -> dict[str, Any]:
    usage = usage_of(used(), used("POD", network=(InterfaceUsage(name="net1"), ETH0)), **fields)
    disk = ContainerDisk(root=DiskUse(used=8192, inodes=2), logs=DiskUse(used=1024, inodes=1))
    disks = DiskUsage(at=AT, containers={key: disk for key in usage.containers}, engine=SYSTEM, node=SYSTEM, images=GIB)
    return summary("n", usage, Disks(usage=disks, volumes={PodUID("u1"): VOLUMES}))


def file_system(used_bytes: int, inodes: int) -> dict[str, Any]:
    return {
        "time": MOMENT,
        "availableBytes": 50 * GIB,
        "capacityBytes": 100 * GIB,
        "usedBytes": used_bytes,
        "inodesFree": 900,
        "inodes": 1000,
        "inodesUsed": inodes,
    }


def test_the_node():
    process = ProcessUsage(
        started_at=STARTED, at=AT, nanocores=5, cpu=MACHINE.cpu, memory=MemoryUsage(usage=1, working_set=1)
    )
    node = full(processes={"kubelet": process})["node"]
    containers = node.pop("systemContainers")
    assert node == {
        "nodeName": "n",
        "startTime": BEGIN,
        "cpu": {"time": MOMENT, "usageNanoCores": 1_500_000_000, "usageCoreNanoSeconds": 900 * 10**9},
        "memory": {
            "time": MOMENT,
            "availableBytes": 11 * GIB,
            "usageBytes": 6 * GIB,
            "workingSetBytes": 5 * GIB,
            "rssBytes": 3 * GIB,
            "pageFaults": 0,
            "majorPageFaults": 0,
        },
        "swap": {"time": MOMENT, "swapAvailableBytes": 0, "swapUsageBytes": 0},
        "network": {"time": MOMENT, "interfaces": []},
        "rlimit": {"time": MOMENT, "maxpid": 4000, "curproc": 300},
        "fs": file_system(40 * GIB, 100),
        "runtime": {"imageFs": file_system(GIB, 100), "containerFs": file_system(2 * 8192, 100)},
    }
    assert [each["name"] for each in containers] == ["kubelet", "pods"]
    assert containers[1]["cpu"] == {"time": MOMENT, "usageNanoCores": 500_000_000, "usageCoreNanoSeconds": 5 * 10**9}


def test_a_pod():
    (pod,) = full()["pods"]
    (container,) = pod.pop("containers")
    assert pod == {
        "podRef": {"name": "web", "namespace": "default", "uid": "u1"},
        "startTime": BEGIN,
        "cpu": {"time": MOMENT, "usageNanoCores": 500_000_000, "usageCoreNanoSeconds": 5 * 10**9},
        "memory": {
            "time": MOMENT,
            "usageBytes": 60 << 20,
            "workingSetBytes": 40 << 20,
            "rssBytes": 20 << 20,
            "pageFaults": 0,
            "majorPageFaults": 0,
        },
        "swap": {"time": MOMENT, "swapAvailableBytes": 0, "swapUsageBytes": 0},
        "network": {
            "time": MOMENT,
            "name": "eth0",
            "rxBytes": 7,
            "rxErrors": 1,
            "txBytes": 3,
            "txErrors": 2,
            "interfaces": [
                {"name": "net1", "rxBytes": 0, "rxErrors": 0, "txBytes": 0, "txErrors": 0},
                {"name": "eth0", "rxBytes": 7, "rxErrors": 1, "txBytes": 3, "txErrors": 2},
            ],
        },
        "volume": [
            file_system(4096, 3) | {"name": "scratch"},
            file_system(GIB, 9) | {"name": "data", "pvcRef": {"name": "db", "namespace": "default"}},
            file_system(512, 1) | {"name": "fast"},
        ],
        "ephemeral-storage": file_system(
            8192 + 1024 + 4096, 2 + 1 + 3
        ),  # what is claimed outlives the pod, the rest is memory
        "process_stats": {"process_count": 4},
    }
    assert container == {
        "name": "app",
        "startTime": BEGIN,
        "cpu": {"time": MOMENT, "usageNanoCores": 250_000_000, "usageCoreNanoSeconds": 2_500_000_000},
        "memory": {
            "time": MOMENT,
            "usageBytes": 30 << 20,
            "workingSetBytes": 20 << 20,
            "rssBytes": 10 << 20,
            "pageFaults": 0,
            "majorPageFaults": 0,
        },
        "swap": {"time": MOMENT, "swapAvailableBytes": 0, "swapUsageBytes": 0},
        "rootfs": file_system(8192, 2),
        "logs": file_system(1024, 1),
    }


def test_processors_and_memory_alone():
    usage = usage_of(used(), used("POD", network=(ETH0,)))
    found = summary("n", usage, None)
    assert set(found["node"]) == {"nodeName", "systemContainers", "startTime", "cpu", "memory", "swap"}
    (pod,) = found["pods"]
    assert set(pod) == {"podRef", "startTime", "containers", "cpu", "memory", "swap"}
    assert set(pod["containers"][0]) == {"name", "startTime", "cpu", "memory", "swap"}


@pytest.mark.parametrize(("limits", "available"), [((64 << 20, 32 << 20), 36 << 20), ((64 << 20, 0), None)])
def test_what_a_pod_may_still_take_is_known_where_all_have_limits(limits: tuple[int, int], available: int | None):
    memories = [MemoryUsage(usage=30 << 20, working_set=30 << 20, limit=limit) for limit in limits]
    usage = usage_of(*(used(f"c{number}", memory=memory) for number, memory in enumerate(memories)))
    (pod,) = summary("n", usage, None)["pods"]
    assert pod["memory"].get("availableBytes") == available
    assert pod["containers"][0]["memory"]["availableBytes"] == 34 << 20


def test_pressure_where_the_kernel_tells_it():
    pressure = Pressure(some=Stall(avg10=1.5, total=7))
    each = used(io_pressure=pressure, cpu=msgspec.structs.replace(MACHINE.cpu, pressure=pressure))
    disks = Disks(usage=FakeUsages().disks, volumes={})
    (pod,) = summary("n", usage_of(each), disks)["pods"]
    none = {"avg10": 0.0, "avg60": 0.0, "avg300": 0.0, "total": 0}
    psi = {"some": {"avg10": 1.5, "avg60": 0.0, "avg300": 0.0, "total": 7}, "full": none}
    assert pod["containers"][0]["cpu"]["psi"] == psi
    assert pod["containers"][0]["io"] == {"time": MOMENT, "psi": psi}
    assert "psi" not in pod["containers"][0]["memory"]


def test_an_engine_on_another_machine_has_disks_that_nobody_sees():
    usage = usage_of(used())
    disks = DiskUsage(at=AT, containers={}, engine=None, node=SYSTEM)
    found = summary("n", usage, Disks(usage=disks, volumes={}))
    assert "runtime" not in found["node"]
    assert "rootfs" not in found["pods"][0]["containers"][0]
    assert "ephemeral-storage" not in found["pods"][0]


def test_inodes_are_told_where_all_are_known():
    usage = usage_of(used("a"), used("b"))
    disks = {key: ContainerDisk(root=DiskUse(used=10)) for key in usage.containers}
    found = summary("n", usage, Disks(usage=DiskUsage(at=AT, containers=disks, engine=SYSTEM, node=None), volumes={}))
    storage = found["pods"][0]["ephemeral-storage"]
    assert storage["usedBytes"] == 20
    assert "inodesUsed" not in storage
