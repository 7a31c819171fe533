"""SidecarSets without a cluster: the documentation's example of a Deployment on virtual nodes, and a Job."""

from __future__ import annotations

import re
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from integration.docker.command import Command, Run, eventually
from integration.docker.pods import job, shell

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy" / "examples" / "sidecarset"
SETUP = ROOT / "integration" / "setup"


@pytest.fixture(scope="module", autouse=True)
def images() -> None:
    """Those that the example names."""
    subprocess.run([SETUP / "busybox-image.sh", "busybox"], check=True)
    subprocess.run([SETUP / "http-echo-image.sh"], check=True)


def manifest(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((EXAMPLE / f"{name}.yaml").read_text())
    return read


NAMES = ("echo-server", "sidecarset", "sidecarset-resourcebinding", "filebeat-config")
ECHO, SET, BINDING, CONFIG = map(manifest, NAMES)


def inside(run: Run, *command: str) -> str:
    """What a command prints in filebeat's container."""
    container = run.until("start", "filebeat").container
    return subprocess.run(["docker", "exec", container, *command], capture_output=True, text=True, check=True).stdout


def test_a_deployment_runs_with_its_sidecar_until_it_is_interrupted(command: Command) -> None:
    """The example as it stands. Its app ends at once; its sidecar heeds no signal but the second Ctrl-C's."""
    run = command.run("-o", "json", *(str(EXAMPLE / f"{name}.yaml") for name in NAMES))
    run.until_sleeping("filebeat")
    assert inside(run, "cat", "/etc/filebeat.yml") == CONFIG["data"]["filebeat.yml"]
    log = partial(inside, run, "cat", "/var/log/std/echo-server/0.log")
    eventually(lambda: re.fullmatch(r"\S+ stderr F .* Server is listening on :8080\n", log()), "the app's line")
    run.interrupt()
    run.until("die", "echo-server")
    assert [event.name for event in run.events if event.action == "die"][-1:] == ["echo-server"]
    run.interrupt()
    assert run.finish() == 130
    assert [container["name"] for container in run.pod["spec"]["containers"]] == ["filebeat", "echo-server"]
    assert run.pod["metadata"]["name"].startswith("echo-server-")
    assert run.pod["metadata"]["annotations"]["kruise.io/sidecarset-injected-list"] == "filebeat-sidecarset"
    ends = [event.name for event in run.events if event.action == "die" and event.name in ("filebeat", "echo-server")]
    assert ends == ["echo-server", "filebeat"]


def test_a_jobs_pods_are_injected_and_the_sidecar_does_not_keep_it_from_completing(command: Command) -> None:
    work = job("work", shell("app", "exit 0"), pod_spec={"terminationGracePeriodSeconds": 1})
    run = command.run("-o", "json", command.file(CONFIG, BINDING, work, SET))
    assert run.finish() == 0
    assert [container["name"] for container in run.pod["spec"]["containers"]] == ["filebeat", "app"]
    assert run.job["status"]["succeeded"] == 1


def test_without_the_binding_nothing_begins(command: Command) -> None:
    run = command.launch(command.file(ECHO, SET, CONFIG))
    assert run.process.wait(30) == 125
    assert 'a SidecarSetResourceBinding in namespace "kube-system"' in run.err.until_line("its SidecarSet filebeat-")
