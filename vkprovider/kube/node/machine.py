"""A look at the machine for the Node object: its engine, its memory, disk and threads, and its names.

Files are read from ``root``, so that a container can be shown the host's under another directory.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from vkprovider.core.thresholds import Reading, Signal
from vkprovider.kube.node.object import MachineFacts, Storage
from vkprovider.kube.node.pod_network import HTTPS_PORT
from vkprovider.model.engine import EngineInfo, StoredImage
from vkprovider.ports import ContainerEngine

_MACHINE_IDS = ("etc/machine-id", "var/lib/dbus/machine-id")
_SYSTEM_UUIDS = ("sys/class/dmi/id/product_uuid", "proc/device-tree/vm,uuid", *_MACHINE_IDS)
_BOOT_ID = "proc/sys/kernel/random/boot_id"
NVIDIA_RUNTIME = "nvidia"  # of an engine that knows what to do with GPUs

_MAX_THREADS = ("proc/sys/kernel/pid_max", "proc/sys/kernel/threads-max")


async def look_at_machine(engine: ContainerEngine, state_dir: str) -> MachineFacts:
    """Everything at once; ``state_dir`` stands for the engine's data where that cannot be seen from here.

    Raises EngineError if the engine cannot be asked.
    """
    info, images = await asyncio.gather(engine.info(), engine.stored_images())
    return await asyncio.to_thread(machine_facts, info, images, state_dir)


def machine_facts(
    info: EngineInfo, images: tuple[StoredImage, ...], state_dir: str, root: Path = Path("/")
) -> MachineFacts:
    """Reads files."""
    return MachineFacts(
        engine=info,
        images=images,
        storage=_storage(info.root_dir) or _storage(state_dir),
        readings=machine_readings(info.root_dir, state_dir, root),
        gpus=_gpus(root / "dev") if NVIDIA_RUNTIME in info.runtimes else (),
        swap=_memory(root).get("SwapTotal", 0),
        machine_id=_first(root, _MACHINE_IDS),
        system_uuid=_first(root, _SYSTEM_UUIDS),
        boot_id=_read(root / _BOOT_ID),
    )


def machine_readings(engine_dir: str, node_dir: str, root: Path = Path("/")) -> dict[Signal, Reading]:
    """What is left of what may run low. Reads files; what cannot be read is not there.

    ``engine_dir`` may be on another machine's file system: then ``node_dir`` stands for it.
    """
    memory, threads = _memory(root), re.search(r" \d+/(\d+) ", _read(root / "proc/loadavg"))
    limits = [int(text) for text in (_read(root / path) for path in _MAX_THREADS) if text.isdecimal()]
    found: dict[Signal, Reading] = {}
    if "MemAvailable" in memory:
        found[Signal.MEMORY] = Reading(memory["MemAvailable"], memory["MemTotal"])
    if threads and limits:
        found[Signal.PID] = Reading(min(limits) - int(threads[1]), min(limits))
    node = _storage(node_dir)
    for storage, space, inodes in (
        (node, Signal.NODEFS, Signal.NODEFS_INODES),
        (_storage(engine_dir) or node, Signal.IMAGEFS, Signal.IMAGEFS_INODES),
    ):
        if storage is not None:
            found[space] = Reading(storage.free, storage.size)
        if storage is not None and storage.inodes:
            found[inodes] = Reading(storage.free_inodes, storage.inodes)
    return found


async def address_towards(url: str) -> str:
    """This machine's address on the way to a server: the one that others there reach it by. Nothing is sent.

    Raises OSError if there is no way.
    """
    loop, server = asyncio.get_running_loop(), urlsplit(url)
    host, port = server.hostname or "", server.port or HTTPS_PORT
    family, kind, protocol, _, address = (await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM))[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setblocking(False)
        probe.connect(address)
        own: str = probe.getsockname()[0]
    return own


def _memory(root: Path) -> dict[str, int]:
    """Bytes."""
    lines = re.findall(r"^(\w+):\s+(\d+) kB$", _read(root / "proc/meminfo"), re.M)
    return {name: int(kib) << 10 for name, kib in lines}


def _gpus(devices: Path) -> tuple[str, ...]:
    """The indexes of NVIDIA's, as their driver numbers them."""
    numbers = (re.fullmatch(r"nvidia(\d+)", path.name) for path in devices.glob("nvidia*"))
    return tuple(str(number) for number in sorted(int(match[1]) for match in numbers if match))


def _storage(directory: str) -> Storage | None:
    if not directory:
        return None
    try:
        found = os.statvfs(directory)
    except OSError:  # the engine's host is not this file system: vkprovider runs in a container
        return None
    size = found.f_frsize
    return Storage(
        size=found.f_blocks * size, free=found.f_bavail * size, inodes=found.f_files, free_inodes=found.f_ffree
    )


def _first(root: Path, paths: Iterable[str]) -> str:
    return next(filter(None, (_read(root / path) for path in paths)), "")


def _read(path: Path) -> str:
    """A small file's text, "" if there is none or it may not be read."""
    try:
        return path.read_text(errors="replace").strip(" \n\0")
    except OSError:
        return ""
