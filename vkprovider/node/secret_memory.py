"""Where what is secret lies: on a tmpfs of the node's own, never on disk (pkg/volume/secret, an emptyDir in memory).

One for all pods of a node. It outlives the process, since containers have what is in it mounted, and the next one
takes it over; it goes when nothing is in it any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from vkprovider.config import ConfigError
from vkprovider.node import mounting
from vkprovider.node.state_directory import check_shared
from vkprovider.ports import ContainerEngine, EngineInfo

ON_DISK = (
    "secrets and tokens are kept on disk while their pods live, in directories closed to other users: to have them in "
    "memory, run vkprovider as root on the engine's machine, outside of containers"
)
_NAME = "memory"  # in the node's directory


async def open_memory(directory: Path, engine: EngineInfo) -> str:
    """The path of the tmpfs in a node's directory, mounted if it is not yet; "" where this process cannot mount what
    the engine sees.

    Raises OSError where the directory cannot be written.
    """
    if not engine.shares_mounts:
        return ""
    path = directory / _NAME
    try:
        await asyncio.to_thread(_mount, path)
    except PermissionError:
        return ""
    return str(path)


async def open_shared(directory: Path, state_dir: Path, engine: ContainerEngine) -> str:
    """The same, and make sure that the engine sees it, and the state directory, as this process does.

    Raises ConfigError, EngineError, OSError: see ``check_shared``.
    """
    memory = await open_memory(directory, await engine.info())
    if memory:
        try:
            await check_shared(Path(memory), engine)
            return memory
        except ConfigError:
            await close_memory(memory)
    await check_shared(state_dir, engine)
    return ""


async def close_memory(path: str) -> None:
    """Unmount a tmpfs that is empty, and leave one that is not; "" is none."""
    if path:
        await asyncio.to_thread(_unmount, path)


def _mount(path: Path) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    if not os.path.ismount(path):
        mounting.mount_tmpfs(str(path))


def _unmount(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not os.listdir(path):
            if os.path.ismount(path):
                mounting.detach(path)
            os.rmdir(path)
