"""Texts of /proc as kernels wrote them."""

from __future__ import annotations

import pytest

from tests.wire.cgroup_files import ID, PRESSURE
from vkprovider.model.usage import InterfaceUsage
from vkprovider.wire import kernel_texts
from vkprovider.wire.kernel_texts import MountedCgroup

HEADER = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
"""  # noqa: E501
NET_DEV = f"""\
{HEADER}\
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0     0
  eth0:     736       8    1    2    0     0          0         0      512       7    3    4    0     0       0     0
eth1:15864098140 6575939    0    0    0     0          0         0 9 8    0    0    0     0       0          0
"""
STAT = "cpu  1834482 193022 785072 2004708 23240 0 16182 1311 99 98\ncpu0 1 2\nintr 5 0 0\nbtime 1795250995\n"


@pytest.mark.parametrize(
    ("text", "expected"), [("12\n", 12), ("", 0), (None, 0), ("max\n", 0), ("-1\n", 0), ("junk", 0), ("٣", 0)]
)
def test_number(text: str | None, expected: int):
    assert kernel_texts.number(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("9223372036854771712", 0), ("max", 0), ("67108864", 67108864), (str((1 << 62) - 1), (1 << 62) - 1)],
)
def test_limit(text: str, expected: int):
    assert kernel_texts.limit(text) == expected


@pytest.mark.parametrize(("soft", "expected"), [("1024", 1024), ("unlimited", -1)])
def test_open_files(soft: str, expected: int):
    text = (
        "Limit                     Soft Limit           Hard Limit           Units     \n"
        "Max processes             96365                96365                processes \n"
        f"Max open files            {soft:21}1048576              files     \n"
    )
    assert kernel_texts.open_files_limit(text) == expected
    assert kernel_texts.open_files_limit("") == 0


def test_disks_that_were_used():
    text = (
        "   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
        " 254       0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n"
        " 254       1 vda1 1 0 8 4\n"
    )
    whole, part = kernel_texts.disk_activities(text)
    assert (whole.device, whole.reads, whole.weighted_time) == ("/dev/vda", 1, 11)
    assert (part.device, part.read_time, part.writes) == ("/dev/vda1", 4, 0)


def test_a_table_passes_over_what_is_none():
    assert kernel_texts.table("a 1\nb\nc 2 3\nd x\n\ne 4") == {"a": 1, "d": 0, "e": 4}


def test_interfaces_but_the_loopback():
    assert kernel_texts.network_devices(NET_DEV) == (
        InterfaceUsage(
            name="eth0",
            rx_bytes=736,
            rx_packets=8,
            rx_errors=1,
            rx_dropped=2,
            tx_bytes=512,
            tx_packets=7,
            tx_errors=3,
            tx_dropped=4,
        ),
        InterfaceUsage(name="eth1", rx_bytes=15864098140, rx_packets=6575939, tx_bytes=9, tx_packets=8),
    )
    assert kernel_texts.network_devices("") == ()


@pytest.mark.parametrize("text", ["", "\n", "some avg10=1\n", "full avg10=0.00 avg60=0.00 avg300=0.00 total=1\n", "x"])
def test_no_pressure(text: str):
    assert kernel_texts.pressure(text) is None


def test_pressure_of_processors_has_long_had_no_full():
    found = kernel_texts.pressure(PRESSURE.splitlines()[0])
    assert found is not None
    assert (found.some.avg10, found.some.total, found.full.total) == (90.53, 9103985148, 0)


def test_memory():
    text = "MemTotal:       24684084 kB\nMemFree:        22536752 kB\nInactive(file):   270224 kB\nHugePages_Free: 0\n"
    found = kernel_texts.meminfo(text)
    assert found["Inactive(file)"] == 270224 << 10
    assert kernel_texts.of_machine(found) == (24684084 - 22536752) << 10
    assert kernel_texts.of_machine({}) == 0


def test_processors():
    user, system = kernel_texts.processor_times(STAT)
    assert user == (1834482 + 193022) * 10**7
    assert system == (785072 + 16182 + 1311) * 10**7
    assert kernel_texts.boot_seconds(STAT) == 1795250995
    assert kernel_texts.processor_times("") == (0, 0)


def cpuinfo(*cores: tuple[int, int]) -> str:
    """As on a machine with these sockets and cores, once for each thread of them."""
    return "".join(
        f"processor\t: {number}\nmodel name\t: EPYC\nphysical id\t: {socket}\nsiblings\t: 2\ncore id\t\t: {core}\n\n"
        for number, (socket, core) in enumerate(cores)
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (cpuinfo((0, 0), (0, 1)), (2, 1)),
        (cpuinfo((0, 0), (0, 0), (0, 1), (0, 1)), (2, 1)),
        (cpuinfo((0, 0), (1, 0), (0, 4), (1, 4)), (4, 2)),
        ("processor\t: 0\nBogoMIPS\t: 50.00\n\nprocessor\t: 1\nBogoMIPS\t: 50.00\n", (2, 1)),
        ("", (0, 0)),
    ],
)
def test_cores_and_sockets(text: str, expected: tuple[int, int]):
    assert kernel_texts.cores_and_sockets(text) == expected


def test_a_process_whose_name_is_made_to_mislead():
    fields = ["S", "1", *["0"] * 5, "11", "12", "13", "14", "250", "50", *["0"] * 6, "1000", "4096", "77"]
    found = kernel_texts.process_stat(f"42 (a) R 1 (b) {' '.join(fields)}\n")
    assert (found.user, found.system, found.started, found.rss_pages) == (2_500_000_000, 500_000_000, 10**10, 77)
    with pytest.raises(ValueError, match="substring"):
        kernel_texts.process_stat("")


def test_where_a_process_is_counted():
    text = f"9:name=systemd:/docker/{ID}\n4:memory:/docker/{ID}\n2:cpu,cpuacct:/docker/{ID}\n0::/docker/{ID}\n"
    path = f"/docker/{ID}"
    assert kernel_texts.cgroup_paths(text) == dict.fromkeys(("name=systemd", "memory", "cpu", "cpuacct", ""), path)
    assert kernel_texts.cgroup_paths("0::/system.slice/a:b.scope\n") == {"": "/system.slice/a:b.scope"}


def test_where_hierarchies_are_mounted():
    text = (
        "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
        "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:1 - cgroup cgroup rw,memory\n"
        "32 31 0:29 /machine /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n"
        "42 31 0:39 / /odd -\n"
    )
    assert kernel_texts.cgroup_mounts(text) == (
        MountedCgroup("/sys/fs/cgroup/memory", "/", frozenset({"rw", "memory"})),
        MountedCgroup("/sys/fs/cgroup/cpu,cpuacct", "/machine", frozenset({"rw", "cpu", "cpuacct"})),
        MountedCgroup("/sys/fs/cgroup/unified", "/", frozenset()),
    )
