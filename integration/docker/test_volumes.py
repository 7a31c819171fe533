"""What containers see of volumes on a real engine: paths of the host of every type, read-only ones, mounts that come
later, what a pod is told of itself in files, and variables from files.
"""

from __future__ import annotations

import os
import shlex
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from integration.docker.command import Command, Run
from integration.docker.pods import UNTIL_TERM, pod, shell
from tests.plugins.real_parts import missing
from vkprovider.engine.endpoint import find_endpoint
from vkprovider.engine.engine_process import shares_mounts

pytestmark = pytest.mark.docker

BLOCK_DEVICE = os.makedev(7, 0)


def words(run: Run, container: str = "app") -> list[str]:
    """Its last words."""
    return str(run.status(container)["state"]["terminated"].get("message", "")).splitlines()


def saying(script: str, **fields: Any) -> dict[str, Any]:
    return shell("app", f"{{ {script}; }} >/dev/termination-log 2>&1", **fields)


def mounted(*names: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"name": name, "mountPath": f"/{name}", **fields} for name in names]


def host_paths(paths: dict[str, tuple[str, Path]]) -> list[dict[str, Any]]:
    """Volumes by their names, each of a type and a path."""
    return [{"name": name, "hostPath": {"type": kind, "path": str(path)}} for name, (kind, path) in paths.items()]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Path]:
    """A directory with one thing of each type, as far as this machine allows."""
    made = tmp_path / "host"
    (made / "directory").mkdir(parents=True)
    (made / "file").write_text("of the host\n")
    with suppress(PermissionError):
        os.mknod(made / "block", stat.S_IFBLK | 0o600, BLOCK_DEVICE)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(made / "socket"))
        yield made


def test_a_path_of_the_host_of_every_type(command: Command, host: Path) -> None:
    volumes = {
        "any": ("", host / "any"),
        "directory": ("Directory", host / "directory"),
        "made": ("DirectoryOrCreate", host / "made" / "below"),
        "file": ("File", host / "file"),
        "created": ("FileOrCreate", host / "created"),
        "socket": ("Socket", host / "socket"),
        "device": ("CharDevice", Path("/dev/zero")),
    }
    if (host / "block").exists():
        volumes["block"] = ("BlockDevice", host / "block")
    script = "stat -c '%n %F' /directory /any /made /file /created /socket /device; [ ! -e /block -o -b /block ]"
    script += " && cat /file && echo 1 >/created && touch /directory/x /any/x /made/x && head -c2 /device | wc -c"
    run = command.run_json(pod("paths", saying(script, volumeMounts=mounted(*volumes)), volumes=host_paths(volumes)))
    assert run.finish() == 0, words(run)
    assert words(run) == [
        "/directory directory",
        "/any directory",
        "/made directory",
        "/file regular file",
        "/created regular empty file",
        "/socket socket",
        "/device character special file",
        "of the host",
        "2",
    ]
    assert (host / "created").read_text() == "1\n"
    assert all((host / place / "x").exists() for place in ("directory", "any", "made/below"))


def test_a_path_of_the_host_that_is_something_else(command: Command, host: Path) -> None:
    volumes = {
        "directory": ("Directory", host / "file"),
        "file": ("File", host / "directory"),
        "nothing": ("Directory", host / "nothing"),
        "socket": ("Socket", host / "file"),
        "device": ("CharDevice", host / "file"),
        "block": ("BlockDevice", Path("/dev/zero")),
    }
    names = dict(directory="directory", file="file", nothing="directory", socket="socket file")
    names |= dict(device="character device", block="block device")
    run = command.run_json(pod("wrong", shell("app", UNTIL_TERM), volumes=host_paths(volumes)))
    for name, (_, path) in volumes.items():
        run.err.until_line("FailedMount", f'"{name}" : hostPath type check failed: {path} is not a {names[name]}')
    run.interrupt()
    run.finish()
    assert run.instances() == []
    assert not (host / "nothing").exists()


def test_a_mount_that_is_read_only(command: Command, host: Path) -> None:
    """The other mount of the same volume is not."""
    volumes = [{"name": "host", "hostPath": {"path": str(host)}}, {"name": "work", "emptyDir": {}}]
    mounts = [*mounted("host", "work", readOnly=True), {"name": "host", "mountPath": "/open"}]
    script = "cat /host/file; touch /host/x; touch /work/x; touch /open/x; ls /host/x"
    run = command.run_json(pod("read-only", saying(script, volumeMounts=mounts), volumes=volumes))
    assert run.finish() == 0
    refused = [f"touch: /{name}/x: Read-only file system" for name in ("host", "work")]
    assert words(run) == ["of the host", *refused, "/host/x"]


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """A directory of the host whose mounts are passed on to whoever asks for them."""
    if os.geteuid() != 0 or not shares_mounts(find_endpoint().socket_path):
        missing("mounting what the engine sees needs root, and an engine on this machine")
    place = tmp_path / "shared"
    place.mkdir()
    (place / "later").mkdir()
    subprocess.run(["mount", "--bind", place, place], check=True)
    subprocess.run(["mount", "--make-shared", place], check=True)
    yield place
    subprocess.run(["umount", "--recursive", place], check=True)


def test_mounts_that_come_later(command: Command, shared: Path) -> None:
    volumes = [{"name": name, "hostPath": {"path": str(shared)}} for name in ("follows", "stays")]
    mounts = [
        {"name": "follows", "mountPath": "/follows", "mountPropagation": "HostToContainer"},
        {"name": "stays", "mountPath": "/stays", "mountPropagation": "None"},
    ]
    script = "while [ ! -e /follows/later/file ]; do sleep 0.1; done; [ ! -e /stays/later/file ]"
    run = command.run_json(pod("propagation", shell("app", script, volumeMounts=mounts), volumes=volumes))
    run.until("start", "app")
    later = shared / "later"
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", later], check=True)
    (later / "file").touch()
    assert run.finish() == 0


def test_mounts_that_a_container_makes(command: Command, shared: Path) -> None:
    """Its pod's other containers and the machine see them, and they last as long as the test's directory does."""
    volumes = [{"name": "shared", "hostPath": {"path": str(shared)}}]
    makes = shell(
        "makes",
        "mount -t tmpfs tmpfs /shared/later && touch /shared/later/file",
        securityContext={"privileged": True},
        volumeMounts=[{"name": "shared", "mountPath": "/shared", "mountPropagation": "Bidirectional"}],
    )
    sees = shell("app", "ls /shared/later/file", volumeMounts=mounted("shared"))
    run = command.run_json(pod("both-ways", sees, initContainers=[makes], volumes=volumes))
    assert run.finish() == 0, str(run.err)
    assert (shared / "later" / "file").exists()


def test_what_a_pod_is_told_of_itself_in_files(command: Command) -> None:
    fields = ("metadata.name", "metadata.namespace", "metadata.labels", "metadata.annotations['note']")
    items: list[dict[str, Any]] = [{"path": path, "fieldRef": {"fieldPath": path}} for path in fields]
    items.append({"path": "uid", "fieldRef": {"fieldPath": "metadata.uid"}, "mode": 0o400})
    asked = (("limits.cpu", "1m"), ("requests.memory", "1Mi"), ("limits.ephemeral-storage", "1Mi"))
    items += [
        {"path": f"of/{resource}", "resourceFieldRef": dict(containerName="app", resource=resource, divisor=divisor)}
        for resource, divisor in asked
    ]
    paths = [item["path"] for item in items if item["path"] != "uid"]
    script = f'cd /me; for at in {shlex.join(paths)}; do cat "$at"; echo; done; stat -Lc %a uid; cat uid'
    limits = {"cpu": "250m", "ephemeral-storage": "32Mi"}
    app = saying(script, resources={"limits": limits, "requests": {"memory": "16Mi"}}, volumeMounts=mounted("me"))
    manifest = pod("told", app, volumes=[{"name": "me", "downwardAPI": {"items": items}}])
    manifest["metadata"] |= {"labels": {"b": "2", "a": "1"}, "annotations": {"note": "it is here"}}
    run = command.run_json(manifest)
    assert run.finish() == 0, words(run)
    uid = run.pod["metadata"]["uid"]
    own = 'serverless.alibabacloud.com/virtual-node="true"'
    expected = ["told", "default", 'a="1"', 'b="2"', own, "it is here", "250", "16", "32", "400", uid]
    assert words(run) == expected


@pytest.mark.parametrize("source", [{}, {"medium": "Memory"}], ids=["disk", "memory"])
def test_variables_from_a_file_that_comes_late(command: Command, host: Path, source: dict[str, str]) -> None:
    """The container waits until the file is there; what is optional in it may be missing."""
    if source and (os.geteuid() != 0 or not shares_mounts(find_endpoint().socket_path)):
        missing("reading what is in memory needs root, and an engine on this machine")
    file = {"volumeName": "work", "path": "env"}
    env = [
        {"name": "LEVEL", "valueFrom": {"fileKeyRef": file | {"key": "level"}}},
        {"name": "NONE", "valueFrom": {"fileKeyRef": file | {"key": "none", "optional": True}}},
        {"name": "BOTH", "value": "<$(LEVEL)>"},
    ]
    volumes = [{"name": "work", "emptyDir": source}, {"name": "host", "hostPath": {"path": str(host)}}]
    write = "printf '# made late\\n level = high \\\\\\n and higher\\n' >/work/new; mv /work/new /work/env"
    writer = shell(
        "writer", f"until [ -e /host/go ]; do sleep 0.1; done; {write}", volumeMounts=mounted("work", "host")
    )
    app = saying('echo "$BOTH" "${NONE-unset}"', env=env)
    run = command.run_json(pod("late", app, writer, volumes=volumes))
    run.err.until_line("container/app", "CreateContainerConfigError", "couldn't parse env file")
    (host / "go").touch()
    assert run.finish() == 0, str(run.err)
    assert words(run) == ["<high and higher> unset"]
