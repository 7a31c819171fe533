"""What cgroups say, in either version."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import pytest

from tests.wire.cgroup_files import V1, V2
from vkprovider.model.usage import CpuUsage, DeviceIo, MemoryUsage, Pressure, Reading, Stall
from vkprovider.wire import cgroup_v1, cgroup_v2

EXPECTED = Reading(
    cpu=CpuUsage(
        total=1560723008,
        user=1_540_000_000,
        system=10_000_000,
        periods=32,
        throttled_periods=30,
        throttled=1469903079,
        shares=1024,
        quota=50000,
        period=100000,
    ),
    memory=MemoryUsage(
        usage=487424,
        working_set=387424,
        rss=65536,
        cache=8192,
        mapped_file=4096,
        active_file=4096,
        inactive_file=100000,
        kernel=311296,
        swap=12288,
        max_usage=4341760,
        page_faults=1144,
        major_page_faults=2,
        limit_hits=7,
        oom_kills=1,
        limit=64 << 20,
        swap_limit=64 << 20,
        reservation=32 << 20,
    ),
    io=(DeviceIo(major=254, minor=0, reads=40, writes=1, read_bytes=1 << 20, written_bytes=4096),),
    processes=2,
    threads=3,
    threads_max=100,
)
Parse = Callable[[Mapping[str, str]], Reading | None]
BOTH = pytest.mark.parametrize(("parse", "files"), [(cgroup_v1.reading, V1), (cgroup_v2.reading, V2)])


def test_the_kernels_memory_before_it_told_the_sum():
    older = V2["memory.stat"].replace("kernel 311296\n", "")
    found = cgroup_v2.reading(V2 | {"memory.stat": older})
    assert found is not None
    assert found.memory.kernel == 16384 + 40960 + 1536 + 219608


def test_version_1():
    assert cgroup_v1.reading(V1) == EXPECTED


def test_version_2_says_the_same_and_how_long_was_waited():
    found = cgroup_v2.reading(V2)
    assert found is not None
    pressure = Pressure(
        some=Stall(avg10=90.53, avg60=77.62, avg300=55.31, total=9103985148),
        full=Stall(avg10=0.0, avg60=1.5, avg300=0.25, total=33579),
    )
    assert found.cpu == msgspec.structs.replace(
        EXPECTED.cpu,
        total=1560723000,
        system=20723000,
        throttled=1469903000,
        shares=998,  # a weight has fewer steps
        pressure=pressure,
    )
    assert found.memory == msgspec.structs.replace(EXPECTED.memory, pressure=Pressure())
    assert found.io_pressure == Pressure(some=Stall(avg10=1.0, total=5), full=Stall(total=4))
    assert (found.io, found.processes, found.threads) == (EXPECTED.io, 2, 3)


@BOTH
def test_all_that_is_read_is_needed(parse: Parse, files: Mapping[str, str]):
    names = {name for _, name in cgroup_v1.FILES} if files is V1 else set(cgroup_v2.FILES)
    assert names == set(files)
    whole = parse(files)
    for name in files:
        assert parse({other: text for other, text in files.items() if other != name}) != whole


@BOTH
def test_one_that_is_gone_has_no_numbers(parse: Parse, files: Mapping[str, str]):
    assert parse({}) is None
    assert parse({"pids.current": files["pids.current"]}) is None


@BOTH
def test_the_working_set_of_what_uses_memory_is_never_nothing(parse: Parse, files: Mapping[str, str]):
    """Where all that is used are files that were not used lately: metrics-server would let the pod be unknown."""
    used = {name: text.replace("487424", "90000") for name, text in files.items()}
    found = parse(used)
    assert found is not None
    assert found.memory.working_set == 90000


@pytest.mark.parametrize(
    ("quota", "expected"), [("-1", (0, 100000)), ("20000", (20000, 100000))], ids=["unlimited", "limited"]
)
def test_quota_of_version_1(quota: str, expected: tuple[int, int]):
    found = cgroup_v1.reading(V1 | {"cpu.cfs_quota_us": quota})
    assert found is not None
    assert (found.cpu.quota, found.cpu.period) == expected


def test_no_limits_of_version_1():
    unlimited = "9223372036854771712\n"
    found = cgroup_v1.reading(V1 | {"memory.limit_in_bytes": unlimited, "memory.memsw.limit_in_bytes": unlimited})
    assert found is not None
    assert (found.memory.limit, found.memory.swap_limit) == (0, 0)


def test_no_limits_of_version_2():
    found = cgroup_v2.reading(V2 | {"cpu.max": "max 100000\n", "memory.max": "max\n", "memory.swap.max": "max\n"})
    assert found is not None
    assert (found.cpu.quota, found.cpu.period, found.memory.limit, found.memory.swap_limit) == (0, 100000, 0, 0)


@pytest.mark.parametrize(("weight", "shares"), [(0, 0), (1, 2), (39, 998), (100, 2597), (10000, 262144)])
def test_shares_from_a_weight(weight: int, shares: int):
    assert cgroup_v2.shares(weight) == shares
