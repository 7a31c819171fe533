"""Where what is secret lies: on a tmpfs of the node's own, never on disk (pkg/volume/secret, an emptyDir in memory).

One for all pods of a node, mounted for the first that needs it. It outlives the process, since containers have what is
in it mounted, and the next one takes it over; it goes when nothing is in it any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from vkprovider.config import ConfigError
from vkprovider.model.engine import EngineInfo
from vkprovider.node import mounting
from vkprovider.node.state_directory import check_shared
from vkprovider.ports import ContainerEngine

ON_DISK = (
    "secrets and tokens are kept on disk while their pods live, in directories closed to other users: to have them in "
    "memory, run vkprovider as root on the engine's machine, outside of containers"
)
_NAME = "memory"  # in the node's directory


def memory_of(directory: Path, engine: EngineInfo) -> str:
    """The path of the tmpfs in a node's directory; "" where this process cannot mount what the engine sees."""
    return str(directory / _NAME) if engine.shares_mounts and mounting.may_mount() else ""


async def shared_memory(directory: Path, state_dir: Path, engine: ContainerEngine) -> str:
    """The same, mounted, once it is certain that the engine sees it, and the state directory, as this process does.

    Raises ConfigError, EngineError, OSError: see ``check_shared``.
    """
    memory = memory_of(directory, await engine.info())
    if memory:
        try:
            await asyncio.to_thread(mount_memory, memory)
            await check_shared(Path(memory), engine)
            return memory
        except (ConfigError, PermissionError):
            await close_memory(memory)
    await check_shared(state_dir, engine)
    return ""


def mount_memory(path: str) -> None:
    """Have the tmpfs there, mounted if it is not yet. Raises OSError; PermissionError where that is not allowed."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    if not os.path.ismount(path):
        mounting.mount_tmpfs(path)


async def close_memory(path: str) -> None:
    """Unmount a tmpfs that is empty, and leave one that is not; "" is none."""
    if path:
        await asyncio.to_thread(_unmount, path)


def _unmount(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not os.listdir(path):
            if os.path.ismount(path):
                mounting.detach(path)
            os.rmdir(path)
