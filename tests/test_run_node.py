"""The script that runs a node in a container, as far as it goes without an engine."""

from __future__ import annotations

import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "deploy" / "docker" / "run-node.sh"


def run(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """With a ``docker`` that says what it was asked for."""
    docker = folder / "docker"
    docker.write_text('#!/bin/sh\necho "$*"\n')
    docker.chmod(0o755)
    environment = {"PATH": f"{folder}:/usr/bin:/bin"} | environ
    return subprocess.run([SCRIPT, "--kind"], env=environment, capture_output=True, text=True, timeout=30, check=False)


def test_the_container_gets_the_engines_socket(tmp_path: Path) -> None:
    done = run(tmp_path, DOCKER_HOST="unix:///run/other.sock")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--volume /run/other.sock:/var/run/docker.sock" in done.stdout
    assert done.stdout.endswith(" node --state-dir /var/lib/vkprovider --kind\n")
    assert "--volume /var/run/docker.sock:/var/run/docker.sock" in run(tmp_path).stdout


def test_an_engine_without_a_socket_here_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, DOCKER_HOST="tcp://build:2376")
    assert (done.returncode, done.stdout) == (2, "")
    assert "DOCKER_HOST is tcp://build:2376: run this on the engine's machine" in done.stderr
