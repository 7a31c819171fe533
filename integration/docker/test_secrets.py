"""What is secret is in memory for as long as its pod lives, and nowhere afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.docker.command import Command
from integration.docker.pods import UNTIL_TERM, pod, shell
from tests.plugins.real_parts import missing
from vkprovider.engine.endpoint import find_endpoint
from vkprovider.engine.engine_process import shares_mounts
from vkprovider.node.mounting import detach_all, mounts

pytestmark = pytest.mark.docker

PASSWORD = "sesame-open-thyself"
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "keys"},
    "stringData": {"password": PASSWORD, "two": "2"},
}
VOLUMES = [
    {"name": "secret", "secret": {"secretName": "keys", "defaultMode": 0o400}},
    {"name": "projected", "projected": {"sources": [{"secret": {"name": "keys"}}]}},
    {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
]
MOUNTS = [
    {"name": "secret", "mountPath": "/secret"},
    {"name": "projected", "mountPath": "/projected"},
    {"name": "secret", "mountPath": "/one", "subPath": "password"},
    {"name": "memory", "mountPath": "/part", "subPath": "a/b"},
]


@pytest.fixture(autouse=True)
def _mounts_of_this_machine(command: Command) -> Iterator[None]:
    if os.geteuid() != 0 or not shares_mounts(find_endpoint().socket_path):
        missing("mounting what the engine sees needs root, and an engine on this machine")
    yield
    detach_all(str(command.state_dir))


def on_disk(directory: Path) -> Iterator[Path]:
    """All files of a directory's own file system."""
    device = directory.stat().st_dev
    for place, _, names in os.walk(directory):
        files = (Path(place, name) for name in names)
        yield from (file for file in files if file.is_file() and file.lstat().st_dev == device == file.stat().st_dev)


def that_tell(directory: Path, what: str) -> list[Path]:
    return [path for path in on_disk(directory) if what.encode() in path.read_bytes()]


def test_secrets_are_never_on_disk(command: Command) -> None:
    kinds = "for at in /secret /projected /one /part; do grep \" $at \" /proc/mounts | cut -d' ' -f3; done"
    script = f"{kinds}; cat /one; echo; echo x >/part/y; ls -ld /part | cut -c1-10; {UNTIL_TERM}"
    manifest: dict[str, Any] = pod("secrets", shell("app", script, volumeMounts=MOUNTS), volumes=VOLUMES)
    arguments = ("--logs", "-o", "json", command.file(SECRET, manifest))
    run = command.run(*arguments)
    run.until_sleeping("app")
    run.err.until_line("drwxrwxrwt")
    said = [line.partition(" | ")[2] for line in run.err.all() if " | " in line]
    assert said == ["tmpfs", "tmpfs", "tmpfs", "tmpfs", PASSWORD, "drwxrwxrwt"]
    assert that_tell(command.state_dir, PASSWORD) == []
    run.kill()
    assert that_tell(command.state_dir, PASSWORD) == []
    again = command.run(*arguments)
    assert again.node == run.node
    (memory,) = (Path(path) for path in mounts(str(command.state_dir)) if path.endswith("/memory"))
    (uid,) = memory.iterdir()
    assert (uid / "secret" / "password").read_text() == PASSWORD
    again.err.until_line("taking over")
    again.interrupt()
    again.finish()
    assert mounts(str(command.state_dir)) == []
