"""As whom containers run. The engine knows only what was asked for: a name, a number, or nothing; user and groups come
of that and of the image's /etc/passwd and /etc/group. The kernel knows, while the first process lives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path

from vkprovider.engine.convert import Json
from vkprovider.model.observed import ContainerUser
from vkprovider.model.refs import ContainerID

PROC = Path("/proc")


class ProcessUsers:
    """Looks at each running container until it is known. ``known`` lacks those that cannot be told, as on an engine
    elsewhere.
    """

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._looked_at: set[ContainerID] = set()
        self.known: dict[ContainerID, ContainerUser] = {}

    async def look(self, seen: Iterable[Json]) -> Mapping[ContainerID, ContainerUser]:
        """All that is known, after a look at the new ones among the inspected containers."""
        fresh = [e for e in seen if e.get("State", {}) and "Config" in e and e["State"].get("Running")]
        fresh = [entry for entry in fresh if ContainerID(entry["Id"]) not in self._looked_at]
        if fresh:
            await asyncio.to_thread(self._read_all, fresh)
        return self.known

    def forget(self, container_id: ContainerID) -> None:
        self._looked_at.discard(container_id)
        self.known.pop(container_id, None)

    def _read_all(self, entries: Iterable[Json]) -> None:
        for entry in entries:
            container_id = ContainerID(entry["Id"])
            user = self._read(container_id, entry["State"]["Pid"])
            if user is not None and not _agrees(entry["Config"].get("User") or "", user):
                continue  # it is only just starting, or has become somebody else
            self._looked_at.add(container_id)
            if user is not None:
                self.known[container_id] = user

    def _read(self, container_id: ContainerID, pid: int) -> ContainerUser | None:
        """None where the process is gone, or is not the container's: the engine may count pids of its own."""
        directory = self._proc / str(pid)
        try:
            status = dict(line.split(":", 1) for line in (directory / "status").read_text().splitlines())
            if container_id not in (directory / "cgroup").read_text():
                return None
            groups = tuple(int(gid) for gid in status["Groups"].split())
            return ContainerUser(uid=int(status["Uid"].split()[0]), gid=int(status["Gid"].split()[0]), groups=groups)
        except (OSError, KeyError, ValueError):
            return None


def _agrees(asked: str, user: ContainerUser) -> bool:
    """Whether the process is still who it began as: it may have changed its user by itself."""
    name = asked.partition(":")[0] or "0"
    return not name.isdigit() or int(name) == user.uid
