from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.fakes.engine import FakeEngine
from tests.kube.machines import BUSYBOX, ENGINE
from tests.node.virtual_clock import VirtualClock
from vkprovider.core.thresholds import Reading, Signal
from vkprovider.errors import EngineUnavailable
from vkprovider.kube.node.machine import address_towards, look_at_machine, machine_facts

FILES = {
    "proc/meminfo": "MemTotal:  8165004 kB\nMemAvailable:    1024 kB\nSwapTotal:   2 kB\nHugePages_Total:   0\n",
    "proc/loadavg": "0.10 0.20 0.30 2/345 6789\n",
    "proc/sys/kernel/pid_max": "4194304\n",
    "proc/sys/kernel/threads-max": "60000\n",
    "proc/sys/kernel/random/boot_id": "boot\n",
    "etc/machine-id": "machine\n",
    "sys/class/dmi/id/product_uuid": "product\n",
}


def lay_out(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_what_files_tell_of_a_machine(tmp_path: Path) -> None:
    lay_out(tmp_path, FILES)
    facts = machine_facts(ENGINE, (BUSYBOX,), str(tmp_path), tmp_path)
    assert (facts.engine, facts.images) == (ENGINE, (BUSYBOX,))
    assert facts.swap == 2048
    assert facts.readings[Signal.MEMORY] == Reading(1 << 20, 8165004 << 10)
    assert facts.readings[Signal.PID] == Reading(60000 - 345, 60000)
    assert (facts.machine_id, facts.system_uuid, facts.boot_id) == ("machine", "product", "boot")


def test_a_machine_that_shows_nothing(tmp_path: Path) -> None:
    facts = machine_facts(ENGINE, (), str(tmp_path / "absent"), tmp_path)
    assert facts.storage is None
    assert (facts.readings, facts.swap) == ({}, 0)
    assert (facts.machine_id, facts.system_uuid, facts.boot_id) == ("", "", "")


def test_names_that_stand_in_for_missing_ones(tmp_path: Path) -> None:
    lay_out(tmp_path, {"etc/machine-id": "", "var/lib/dbus/machine-id": "dbus\n"})
    facts = machine_facts(ENGINE, (), "", tmp_path)
    assert (facts.machine_id, facts.system_uuid) == ("dbus", "dbus")


def test_where_the_engines_directory_cannot_be_seen_the_nodes_stands_for_it(tmp_path: Path) -> None:
    elsewhere = msgspec.structs.replace(ENGINE, root_dir=str(tmp_path / "absent"))
    facts = machine_facts(elsewhere, (), str(tmp_path), tmp_path)
    assert facts.storage is not None
    assert 0 < facts.storage.free <= facts.storage.size
    assert 0 <= facts.storage.free_inodes <= facts.storage.inodes
    assert facts.readings[Signal.IMAGEFS].capacity == facts.readings[Signal.NODEFS].capacity == facts.storage.size


def test_gpus_are_those_of_an_engine_that_knows_what_to_do_with_them(tmp_path: Path) -> None:
    lay_out(tmp_path, {f"dev/{name}": "" for name in ("nvidia10", "nvidia2", "nvidiactl", "nvidia-uvm", "nvidia0")})
    able = msgspec.structs.replace(ENGINE, runtimes=("nvidia", "runc"))
    assert machine_facts(able, (), "", tmp_path).gpus == ("0", "2", "10")
    assert machine_facts(ENGINE, (), "", tmp_path).gpus == ()


async def test_one_look_asks_the_engine_too(tmp_path: Path) -> None:
    engine = FakeEngine(VirtualClock())
    engine.add_image("busybox:1.28", size_bytes=7)
    facts = await look_at_machine(engine, str(tmp_path))
    assert facts.engine == await engine.info()
    assert facts.images == await engine.stored_images()
    assert facts.storage is not None
    engine.down = True
    with pytest.raises(EngineUnavailable):
        await look_at_machine(engine, str(tmp_path))


async def test_the_address_on_the_way_to_a_server() -> None:
    assert await address_towards("https://127.0.0.1:6443") == "127.0.0.1"
    with pytest.raises(OSError, match=r"\S"):
        await address_towards("https://no-such-host.invalid:6443")
