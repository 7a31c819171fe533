"""Programs of other projects, built once per machine from their Go modules and kept beside the control planes."""

import os
import subprocess
from pathlib import Path

from integration.controlplane.build import cache_root, find_go


class BuildError(RuntimeError):
    """A program could not be built; the message has Go's words."""


def find_program(package: str, version: str, seconds: float) -> Path:
    """The command of a Go package, built within so many seconds if it is not yet. Raises BuildError."""
    name = package.rpartition("/")[2]
    folder = cache_root().with_name(name) / version
    program = folder / name
    if not program.exists():
        environment = os.environ | {"GOBIN": str(folder), "CGO_ENABLED": "0", "GOFLAGS": "-trimpath"}
        command = ["nice", find_go(), "install", "-ldflags=-s -w", f"{package}@{version}"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds, check=False)
        if done.returncode:
            raise BuildError(f"{name} {version} cannot be built: {done.stderr.strip()}")
    return program
