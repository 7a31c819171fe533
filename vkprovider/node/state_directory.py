"""Whether the state directory can be used: by this process, and by the engine, which mounts what is written there into
containers.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vkprovider.config import ConfigError
from vkprovider.errors import EngineError
from vkprovider.ports import ContainerEngine

_NO_SUCH_DIRECTORY = "bind source path does not exist"  # Docker: daemon/volumes, volume/mounts/linux_parser.go


@contextmanager
def state_kept_in(directory: Path) -> Iterator[None]:
    """What the system refuses there comes out as a ConfigError that names the option."""
    try:
        yield
    except OSError as exc:
        raise ConfigError(f"{directory}: {exc.strerror} (--state-dir names another)") from exc


async def check_shared(directory: Path, engine: ContainerEngine) -> None:
    """Let the engine remove a file from the directory, and look whether it is gone.

    Raises ConfigError if the engine has no such directory, or another: this process is in a container, or the engine
    on another machine. Raises EngineError if the engine cannot do it for another reason, OSError.
    """
    probe = await asyncio.to_thread(_make_probe, directory)
    try:
        await engine.run_tool(["remove", str(probe)], str(directory))
    except EngineError as exc:
        if _NO_SUCH_DIRECTORY not in str(exc):
            raise
    finally:
        left = await asyncio.to_thread(_remove, probe)
    if left:
        raise ConfigError(
            f"the Docker engine does not see the state directory {directory} as vkprovider does: run vkprovider on the "
            f"engine's machine; if in a container, mount the directory at the same path: -v {directory}:{directory}"
        )


def _make_probe(directory: Path) -> Path:
    with tempfile.NamedTemporaryFile(prefix=".probe-", dir=directory, delete=False) as probe:
        return Path(probe.name)


def _remove(probe: Path) -> bool:
    """Whether it was still there."""
    try:
        probe.unlink()
    except FileNotFoundError:
        return False
    return True
