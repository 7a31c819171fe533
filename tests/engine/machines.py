"""A machine as files below a directory: its processes, and the cgroups of containers, which a test lets work."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from tests.wire.cgroup_files import V1, V2
from vkprovider.model.refs import ContainerID
from vkprovider.wire.cgroup_v1 import FILES

MOUNTS_V1 = "".join(
    f"{number} 31 0:{number} / /sys/fs/cgroup/{name} rw,relatime - cgroup cgroup rw,{name}\n"
    for number, name in enumerate(("cpu", "cpuacct", "memory", "blkio", "pids"), 32)
)
MOUNTS_V2 = "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
NET_DEV = (
    "Inter-|   Receive\n face |bytes\n  eth0:     736       8    0    0    0     0    0    0      512       7 0 0\n"
)


def container_id(number: int) -> ContainerID:
    return ContainerID(hashlib.sha256(f"{number}".encode()).hexdigest())


class FileMachine:
    """``version`` is that of its cgroups; the numbers of containers are those of their first processes too."""

    def __init__(self, root: Path, version: int = 1) -> None:
        self.root = root
        self.version = version
        self.write("proc/self/mountinfo", MOUNTS_V1 if version == 1 else MOUNTS_V2)
        self.write("proc/stat", "cpu  1000 0 500 9000 0 0 0 0 0 0\ncpu0 1\ncpu1 1\nbtime 1767322800\n")
        self.write(
            "proc/meminfo", "MemTotal: 16000 kB\nMemFree: 6000 kB\nInactive(file): 1000 kB\nAnonPages: 3000 kB\n"
        )
        self.write("proc/vmstat", "pgfault 12\npgmajfault 3\noom_kill 1\n")
        self.write("proc/loadavg", "0.21 0.81 2.75 1/391 4711\n")
        self.write("proc/net/dev", NET_DEV.replace("eth0", "veth1a2b") + "  eth0: 5 1 0 0 0 0 0 0 6 1 0 0\n")
        self.write("proc/sys/kernel/pid_max", "32768\n")
        self.write("proc/sys/kernel/threads-max", "4000\n")

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def add(self, number: int, parent: str = "docker") -> ContainerID:
        """A container that runs."""
        name = container_id(number)
        lines = [
            f"{index}:{kind}:/{parent}/{name}" for index, kind in enumerate(("cpuacct", "cpu", "memory", "blkio"), 1)
        ]
        lines = [*lines, f"7:pids:/{parent}/{name}"] if self.version == 1 else []
        self.write(f"proc/{number}/cgroup", "\n".join([*lines, f"0::/{parent}/{name}\n"]))
        self.write(f"proc/{number}/net/dev", NET_DEV)
        for path, text in self.files(name, parent).items():
            self.write(path, text)
        return name

    def files(self, name: ContainerID, parent: str = "docker") -> Mapping[str, str]:
        if self.version == 1:
            return {f"sys/fs/cgroup/{kind}/{parent}/{name}/{file}": V1[file] for kind, file in FILES}
        return {f"sys/fs/cgroup/{parent}/{name}/{file}": text for file, text in V2.items()}

    def add_pod(self, parent: str) -> None:
        """A cgroup for containers with this ``parent``."""
        for path, text in self.files(ContainerID(""), parent).items():
            self.write(path, text)

    def burn(self, name: str, nanoseconds: int, parent: str = "docker") -> None:
        """Have used so much of the processor."""
        self.write(f"sys/fs/cgroup/cpuacct/{parent}/{name}/cpuacct.usage", f"{nanoseconds}\n")

    def end(self, name: ContainerID, parent: str = "docker") -> None:
        for path in self.files(name, parent):
            (self.root / path).unlink()
