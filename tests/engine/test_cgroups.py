"""The cgroups of containers, found and read below a directory that stands for the machine's root."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.engine.machines import FileMachine, container_id
from vkprovider.engine.cgroups import Cgroups, block_device, read, up_to
from vkprovider.model.refs import ContainerID

VERSIONS = pytest.mark.parametrize("version", [1, 2])


@VERSIONS
@pytest.mark.parametrize("parent", ["docker", "system.slice", "kubepods/burstable/pod1"])
def test_a_container_is_found_wherever_the_engine_puts_it(tmp_path: Path, version: int, parent: str):
    machine = FileMachine(tmp_path, version)
    name = machine.add(42, parent)
    cgroups = Cgroups(tmp_path)
    found = cgroups.find(name, 42, own_network=True)
    assert found is not None
    reading = cgroups.read(found)
    assert reading is not None
    assert (reading.cpu.periods, reading.memory.usage, reading.processes) == (32, 487424, 2)
    assert [each.rx_bytes for each in reading.network] == [736]


@VERSIONS
def test_devices_bear_names_where_there_are_some(tmp_path: Path, version: int):
    machine = FileMachine(tmp_path, version)
    cgroups, name = Cgroups(tmp_path), machine.add(42)
    (tmp_path / "sys/dev/block").mkdir(parents=True)
    (tmp_path / "sys/dev/block/254:0").symlink_to("../../devices/virtio/block/vda")
    found = cgroups.find(name, 42, own_network=False)
    assert found is not None
    reading = cgroups.read(found)
    assert reading is not None
    assert [io.device for io in reading.io] == ["/dev/vda"]
    assert reading.network == ()
    assert block_device(7, 0, tmp_path) == ""


@VERSIONS
def test_one_that_has_ended_is_told_so(tmp_path: Path, version: int):
    machine = FileMachine(tmp_path, version)
    cgroups, name = Cgroups(tmp_path), machine.add(42)
    found = cgroups.find(name, 42, own_network=True)
    assert found is not None
    machine.end(name)
    assert cgroups.read(found) is None


@VERSIONS
def test_what_cannot_be_seen_is_not_found(tmp_path: Path, version: int):
    machine = FileMachine(tmp_path, version)
    cgroups = Cgroups(tmp_path)
    name = machine.add(42)
    assert cgroups.find(container_id(7), 42, own_network=True) is None  # the number of another's process
    assert cgroups.find(name, 43, own_network=True) is None  # of none
    machine.end(name)
    assert cgroups.find(name, 42, own_network=True) is None  # cgroups are those of this container's namespace


def test_a_hierarchy_of_which_a_part_is_mounted(tmp_path: Path):
    machine = FileMachine(tmp_path, 2)
    name = machine.add(42, "")
    machine.write("proc/self/mountinfo", "31 23 0:28 /outer /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    machine.write("proc/42/cgroup", f"0::/outer/{name}\n")
    assert Cgroups(tmp_path).find(name, 42, own_network=False) is not None


def test_an_init_system_inside_has_moved_itself(tmp_path: Path):
    machine = FileMachine(tmp_path, 2)
    name = machine.add(42)
    machine.write("proc/42/cgroup", f"0::/docker/{name}/init.scope\n")
    assert Cgroups(tmp_path).find(name, 42, own_network=False) is not None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/docker/abc", "/docker/abc"),
        ("/system.slice/docker-abc.scope", "/system.slice/docker-abc.scope"),
        ("/docker/abc/system.slice/x.service", "/docker/abc"),
        ("/docker/abc/docker/abc/x", "/docker/abc/docker/abc"),
    ],
)
def test_the_containers_own_directory(path: str, expected: str):
    assert up_to(path, ContainerID("abc")) == expected


def test_long_files_are_read_to_their_end(tmp_path: Path):
    (tmp_path / "long").write_text("x" * 200_000)
    assert read(str(tmp_path / "long")) == "x" * 200_000
    assert read(str(tmp_path / "none")) is None
    assert read(str(tmp_path)) is None


@VERSIONS
def test_two_hundred_containers_cost_little(tmp_path: Path, version: int):
    """Time of the processor, not of the clock: others work here too. It is done every ten seconds at most."""
    machine, cgroups = FileMachine(tmp_path, version), Cgroups(tmp_path)
    found = [cgroups.find(machine.add(number), number, own_network=True) for number in range(1000, 1200)]
    begun = time.process_time()
    readings = [cgroups.read(each) for each in found if each is not None]
    assert len([each for each in readings if each is not None]) == 200
    assert time.process_time() - begun < 1.0
