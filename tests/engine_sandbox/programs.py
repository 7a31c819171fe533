"""Where the sandbox programs under test come from, and how one is run on this machine."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "vkprovider" / "engine" / "sandbox"
EMULATORS = {"amd64": "qemu-x86_64-static", "arm64": "qemu-aarch64-static"}
OWN_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "")


def launcher(arch: str) -> list[str] | None:
    """What stands before a program of that architecture on the command line here; None if it cannot run."""
    if arch == OWN_ARCHITECTURE:
        return []
    return [EMULATORS[arch]] if shutil.which(EMULATORS[arch]) else None


class Program:
    """A sandbox program that runs directly on this machine."""

    def __init__(self, command: list[str]) -> None:
        self.command = command

    def run(self, *args: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.command, *map(str, args)], capture_output=True, text=True, timeout=60, check=False)

    def done(self, *args: object) -> None:
        """Run it; it must succeed and say nothing."""
        result = self.run(*args)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")

    def start(self) -> subprocess.Popen[bytes]:
        """Start it as the process that holds a pod."""
        return subprocess.Popen(self.command, stdin=subprocess.DEVNULL)
