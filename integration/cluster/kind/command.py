"""The `kind` command, built once per machine from its Go module: half a minute, most of it downloads."""

import os
import shlex
import shutil
import stat
import subprocess
from pathlib import Path

from integration.cluster.go_programs import find_program

VERSION = "v0.30.0"
SECONDS = 300

# kind reads files of its nodes by `docker exec --privileged`, which not every engine may grant, and no file needs.
UNPRIVILEGED_DOCKER = """#!/bin/sh
for argument; do
	shift
	[ "$argument" = --privileged ] || set -- "$@" "$argument"
done
exec {docker} "$@"
"""


def find_kind() -> Path:
    """The program, built if it is not yet. Raises BuildError."""
    return find_program("sigs.k8s.io/kind", VERSION, SECONDS)


def kind(folder: Path, network: str, *arguments: str) -> str:
    """The output of kind, whose clusters are in the Docker network; `folder` is for what it needs to run."""
    client = folder / "docker"
    client.write_text(UNPRIVILEGED_DOCKER.format(docker=shlex.quote(shutil.which("docker") or "docker")))
    client.chmod(client.stat().st_mode | stat.S_IXUSR)
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "HOME": str(folder),
        "KIND_EXPERIMENTAL_DOCKER_NETWORK": network,
    }
    if host := os.environ.get("DOCKER_HOST"):
        environment["DOCKER_HOST"] = host
    command = [find_kind(), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout
