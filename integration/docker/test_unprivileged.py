"""All of it for a user without root who may use the engine's socket."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from integration.docker.account import Account, Program, new_account, readable_program
from integration.docker.command import Command, Run, clean_command, conditions_of
from integration.docker.pods import ALWAYS, UNTIL_TERM, example, pod, shell
from integration.docker.records import KILL, TERM, Records
from tests.plugins.real_parts import missing
from vkprovider.engine.endpoint import find_endpoint

pytestmark = pytest.mark.docker

CommandOf = Callable[..., AbstractContextManager[Command]]


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    socket = find_endpoint().socket_path
    if os.geteuid() != 0 or not socket:
        missing("making an account for the test needs root, and an engine with a socket")
    with new_account(socket) as account:
        yield account


@pytest.fixture(scope="module")
def program(account: Account) -> Iterator[Program]:
    with readable_program(account) as program:
        yield program


@pytest.fixture
def own_command(records: Records, account: Account, program: Program) -> Iterator[Command]:
    """``vkprovider`` run by the account, with its state where it is by default."""
    with _command(records, account, program, account.home / ".local" / "state") as command:
        yield command


def _command(
    records: Records, account: Account, program: Program, state: Path, **env: str
) -> AbstractContextManager[Command]:
    engine = {key: value for key, value in os.environ.items() if key.startswith("DOCKER_")}
    env = {**program.env, **engine, "HOME": str(account.home), "USER": account.name, **env}
    return clean_command(
        records,
        account.home,
        program=program.command,
        env=env,
        state_dir=state / "vkprovider",
        start=account.start,
    )


def seed(name: str) -> dict[str, object]:
    manifest = example(f"test-sidecar-{name}.yaml")
    manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 1
    manifest["spec"]["template"]["spec"]["containers"][0]["command"][2] = "sleep 1"
    return manifest


def check_seed(run: Run) -> None:
    assert run.finish() == 0
    assert "Complete" in conditions_of(run.job)
    assert run.one("sidecar").signal_numbers == [TERM, KILL]
    ended = run.status("sidecar")["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (0, "Force this container to be success(137, Error, )")


def test_the_job_with_a_sidecar(own_command: Command, account: Account) -> None:
    run = own_command.run_json(seed("marked"))
    directory = own_command.state_dir / "runs" / run.node.removeprefix("run-")
    assert directory.stat().st_uid == account.uid
    check_seed(run)


def test_state_is_kept_where_xdg_says(records: Records, account: Account, program: Program) -> None:
    state = account.home / "elsewhere"
    with _command(records, account, program, state, XDG_STATE_HOME=str(state)) as command:
        run = command.run_json(seed("native"))
        assert (command.state_dir / "runs" / run.node.removeprefix("run-")).is_dir()
        check_seed(run)


VOLUMES = {
    "volumes": [
        {"name": "shared", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
        {"name": "config", "configMap": {"name": "settings"}},
    ],
    "securityContext": {"fsGroup": 4321},
}
MOUNTS = [{"name": name, "mountPath": f"/{name}"} for name in ("shared", "memory", "config")]
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"colour": "green\n"}}
# Root leaves what only root may remove.
LEAVES = "mkdir -m 700 /shared/private; touch /shared/private/file; chown -R 0:0 /shared/private; touch /memory/file"
WRITES = "echo mine >/shared/mine; echo mine >/memory/mine; cat /config/colour; stat -c %g /shared/mine /memory/mine"


def test_volumes_given_to_a_group_and_files_left_by_root(own_command: Command) -> None:
    app = shell("app", WRITES, volumeMounts=MOUNTS, securityContext={"runAsUser": 1234})
    init = shell("init", LEAVES, volumeMounts=MOUNTS)
    file = own_command.file(CONFIG, pod("volumes", app, initContainers=[init], **VOLUMES))
    run = own_command.run("--logs", "-o", "json", file)
    assert run.finish() == 0, str(run.err)
    said = [line.partition(" | ")[2] for line in run.err.all() if "/app " in line and " | " in line]
    assert said == ["green", "4321", "4321"]


@pytest.mark.parametrize("how", ["kept", "killed"])
def test_down_removes_what_is_left(own_command: Command, how: str) -> None:
    sidecar = shell("sidecar", UNTIL_TERM) | ALWAYS
    ends = "exit 0" if how == "kept" else UNTIL_TERM
    app = shell("app", f"{LEAVES}; {ends}", volumeMounts=MOUNTS)
    file = own_command.file(CONFIG, pod("left", app, initContainers=[sidecar], **VOLUMES))
    run = own_command.run("--keep", file)
    if how == "kept":
        assert run.finish() == 0
    else:
        run.until_sleeping("app")
        run.kill()
    (left,) = (own_command.state_dir / "runs").glob("*/pods/*/volumes/*/shared/private")
    assert (left.stat().st_uid, stat.S_IMODE(left.stat().st_mode)) == (0, 0o700)
    assert own_command.down().endswith("removed 1 run\n")
    assert own_command.left() == []
