"""A volume writer on a directory of the test's own, and processes without rights to try it with."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import warnings
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tests.node.tool_engine import ToolEngine
from tests.node.virtual_clock import VirtualClock
from vkprovider.core.volumes import File, PlannedVolume, Projection, VolumePlan
from vkprovider.model.refs import PodUID
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.volume_writer import VolumeWriter

UID = PodUID("uid-1")
NOBODY = 65534


class Disk:
    """A writer on a directory of the test's own, and what it shows."""

    def __init__(self, root: Path, engine: ToolEngine | None = None, memory: str = "") -> None:
        self.engine = engine or ToolEngine()
        self.dirs = PodDirs(str(root), memory)
        self.writer = VolumeWriter(self.engine, self.dirs, VirtualClock())  # type: ignore[arg-type]
        self.pod = Path(self.dirs.of(UID))

    def plan(self, *volumes: PlannedVolume, **more: Any) -> VolumePlan:
        return VolumePlan(pod_uid=UID, pod_dir=str(self.pod), volumes=volumes, **more)

    def projection(self, files: dict[str, str], mode: int = 0o644, *, secret: bool = False) -> Projection:
        projected = tuple(File(path=path, data=data.encode(), mode=mode) for path, data in files.items())
        return Projection(name="config", path=str(self.pod / "config"), files=projected, secret=secret)

    async def project(self, files: dict[str, str], mode: int = 0o644) -> Path:
        assert await self.writer.write(self.plan(self.projection(files, mode))) == ()
        return self.pod / "config"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def as_nobody(root: Path, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """What ``work`` gives, run by a process without rights; only what JSON can carry comes back."""
    for directory in (root, *root.parents):
        if directory.owner() == "root" and not mode(directory) & 0o001:
            directory.chmod(mode(directory) | 0o011)
    root.chmod(0o777)
    read_end, write_end = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads: the child only starts anew
        child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
            answer = json.dumps(asyncio.run(work()))
        except BaseException as exc:
            answer = json.dumps(repr(exc))
        os.write(write_end, answer.encode())
        os._exit(0)
    os.close(write_end)
    with open(read_end) as answered:
        answer = answered.read()
    os.waitpid(child, 0)
    return json.loads(answer)
