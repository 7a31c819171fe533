"""What depends on the engine's runtimes: which one a pod has, and whether it makes mounts read-only in all of their
depth. Engines can do that from API 1.44 on.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from integration.docker.command import Command
from integration.docker.pods import pod, shell
from tests.plugins.real_parts import missing
from vkprovider.engine.endpoint import find_endpoint
from vkprovider.engine.engine_process import shares_mounts

pytestmark = pytest.mark.docker

TOUCH = "touch /here/below/file 2>/dev/termination-log; ls /here/below"
READ_ONLY = "touch: /here/below/file: Read-only file system\n"


@pytest.fixture(scope="module")
def able(client: docker.APIClient) -> bool:
    return tuple(map(int, client.version()["ApiVersion"].split("."))) >= (1, 44)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A directory of the host with something mounted below it."""
    if os.geteuid() != 0 or not shares_mounts(find_endpoint().socket_path):
        missing("mounting what the engine sees needs root, and an engine on this machine")
    below = tmp_path / "mounted" / "below"
    below.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", below], check=True)
    yield below.parent
    subprocess.run(["umount", below], check=True)


def touching(name: str, mode: str) -> dict[str, Any]:
    mount = {"name": "host", "mountPath": "/here", "readOnly": True}
    return shell(name, TOUCH, volumeMounts=[mount | ({"recursiveReadOnly": mode} if mode else {})])


def of_host(path: Path) -> list[dict[str, Any]]:
    return [{"name": "host", "hostPath": {"path": str(path)}}]


def test_what_is_below_a_read_only_mount(command: Command, mounted: Path, able: bool) -> None:
    """It can be written to, unless it is said that it cannot, and the engine is able to keep that."""
    modes = {"unsaid": "", "disabled": "Disabled", "possible": "IfPossible"}
    touchers = (touching(name, mode) for name, mode in modes.items())
    run = command.run_json(pod("depth", *touchers, volumes=of_host(mounted)))
    assert run.finish() == 0, str(run.err)
    said, shown = {}, {}
    for name in modes:
        status = run.status(name)
        said[name] = status["state"]["terminated"].get("message", "")
        (mount,) = status["volumeMounts"]
        shown[name] = mount["recursiveReadOnly"]
    assert said == {"unsaid": "", "disabled": "", "possible": READ_ONLY if able else ""}
    assert shown == {"unsaid": "Disabled", "disabled": "Disabled", "possible": "Enabled" if able else "Disabled"}


def test_a_mount_that_must_be_read_only_in_depth(command: Command, mounted: Path, able: bool) -> None:
    run = command.run_json(pod("must", touching("app", "Enabled"), volumes=of_host(mounted)))
    if able:
        assert run.finish() == 0, str(run.err)
        assert run.status("app")["state"]["terminated"]["message"] == READ_ONLY
        return
    words = 'volume "host" requested recursive read-only mode, but it is not supported by the runtime'
    run.err.until_line("container/app", "CreateContainerConfigError", words)
    run.interrupt()
    assert run.finish() == 130
    assert os.listdir(mounted / "below") == []


def of_class(name: str, handler: str) -> tuple[dict[str, Any], dict[str, Any]]:
    runtime_class = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": f"of-{handler}"}}
    return runtime_class | {"handler": handler}, pod(name, shell("app", "true"), runtimeClassName=f"of-{handler}")


def test_a_pod_has_the_runtime_that_its_class_names(command: Command) -> None:
    run = command.run_json(*of_class("known", "runc"))
    assert run.finish() == 0, str(run.err)


def test_a_runtime_that_the_engine_has_not(command: Command) -> None:
    run = command.run_json(*of_class("unknown", "nothing"))
    words = 'Failed to create pod sandbox: failed to get sandbox runtime: no runtime for "nothing" is configured'
    run.err.until_line("FailedCreatePodSandBox", words)
    run.interrupt()
    run.finish()
    assert run.instances() == []
