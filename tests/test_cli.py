"""The command line: what it takes, what it passes on, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
import structlog
from click.testing import CliRunner, Result

import vkprovider
from vkprovider import app
from vkprovider.cli import cli
from vkprovider.kube.node.settings import NodeFlags
from vkprovider.kube.webhook.settings import WebhookFlags

ROOT = Path(__file__).parents[1]
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}]}}
GOOD = POD | {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "busybox:1.28"}]}}


def invoke(*arguments: str | Path, **options: Any) -> Result:
    try:
        return CliRunner().invoke(cli, [str(argument) for argument in arguments], **options)
    finally:
        structlog.reset_defaults()


def vkprovider_process(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """The program as users start it."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)} | environ
    program = [sys.executable, ROOT / "cmd" / "vkprovider" / "main.py"]
    return subprocess.run(
        [*program, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


def manifest(directory: Path, content: Any) -> Path:
    path = directory / "manifest.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize("arguments", [("--help",), ("-h",)])
def test_help_names_the_commands(arguments: tuple[str, ...]):
    result = invoke(*arguments)
    assert result.exit_code == 0
    assert "vkprovider run job.yaml" in result.output
    for command in cli.commands:
        assert f"\n  {command} " in result.output


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_every_command_explains_itself(command: str):
    result = invoke(command, "--help")
    assert result.exit_code == 0
    assert cli.commands[command].help
    for parameter in cli.commands[command].params:
        if getattr(parameter, "hidden", False):
            continue
        for name in parameter.opts:
            assert not name.startswith("-") or name in result.output


@pytest.mark.parametrize("arguments", [("version",), ("--version",)])
def test_the_version(arguments: tuple[str, ...]):
    result = invoke(*arguments)
    assert (result.exit_code, result.output) == (0, f"vkprovider {vkprovider.__version__}\n")


def test_help_is_quick_because_nothing_heavy_is_imported():
    heavy = ("docker", "aiohttp", "rich", "yaml", "kubernetes", "asyncio")
    code = f"import sys; import vkprovider.cli; print([name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "-o", "xml", "f"),
        ("run", "--forgive", "some", "f"),
        ("run", "--nonsense", "f"),
        ("run", "--timeline", "/nonexistent/t.svg", "f"),
        ("run", "--timeline", "/", "f"),
        ("down", "superfluous"),
        ("node", "--max-pods", "-1"),
        ("node", "--image-gc-high-threshold", "200"),
        ("node", "--webhook", "--destination-label", "nonsense"),
        ("webhook", "--service", "nonsense"),
        ("nonsense",),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...]):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.output
    assert not any(word in result.output for word in ("Traceback", "[Errno"))
    assert vkprovider_process(*arguments).returncode == 2


def run_options(*arguments: str) -> app.RunOptions:
    with cli.commands["run"].make_context("run", list(arguments)) as context:
        return app.RunOptions(**context.params)


def test_options_of_run():
    assert run_options("f") == app.RunOptions(files=("f",))
    given = ["--logs", "-o", "json", "--timeline", "t.svg", "--keep", "--forgive", "none", "-v"]
    assert run_options(*given, "--sandbox-image", "i:1", "--state-dir", "d", "f", "-") == app.RunOptions(
        files=("f", "-"),
        logs=True,
        output="json",
        timeline="t.svg",
        keep=True,
        forgive="none",
        sandbox_image="i:1",
        state_dir="d",
        verbose=True,
    )


def test_the_commands_have_no_defaults_of_their_own():
    with cli.commands["node"].make_context("node", []) as context:
        flags = msgspec.structs.asdict(NodeFlags())
        assert {name: context.params[name] for name in flags} == flags
    with cli.commands["webhook"].make_context("webhook", []) as context:
        flags = msgspec.structs.asdict(WebhookFlags())
        assert {name: context.params[name] for name in flags} == flags
    with cli.commands["node"].make_context("node", []) as context:
        assert context.params["webhook_port"] == WebhookFlags().port


def test_a_picture_that_has_no_place_is_refused_before_anything_runs(tmp_path: Path, state_dir: Path):
    picture = tmp_path / "none" / "t.svg"
    result = invoke("run", "--timeline", picture, "--state-dir", state_dir, manifest(tmp_path, GOOD))
    assert result.exit_code == 2
    assert f"Error: --timeline {picture}: there is no directory {picture.parent}\n" in result.output
    assert not state_dir.exists()


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_every_option_is_explained(command: str):
    options = [p for p in cli.commands[command].params if isinstance(p, click.Option)]
    assert [option.name for option in options if not (option.hidden or option.help)] == []


@pytest.mark.parametrize(
    ("content", "complaints"),
    [
        (POD, ["spec.containers[0].image: Required value"]),
        (GOOD | {"kind": "Deployment"}, ["document 1", "Deployment"]),
        ("kind: [", ["document 1"]),
        ("", ["holds no objects"]),
        (GOOD | {"spec": GOOD["spec"] | {"restartPolice": "Never"}}, ["spec.restartPolice", "restartPolicy"]),
    ],
    ids=["no image", "unknown kind", "broken YAML", "empty file", "misspelt field"],
)
def test_a_bad_manifest_creates_nothing(tmp_path: Path, state_dir: Path, content: Any, complaints: list[str]):
    path = manifest(tmp_path, content)
    result = invoke("run", "--state-dir", state_dir, path)
    assert result.exit_code == 125
    assert path.name in result.output
    for complaint in complaints:
        assert complaint in result.output
    assert not state_dir.exists()


def test_a_missing_file(tmp_path: Path, state_dir: Path):
    result = invoke("run", "--state-dir", state_dir, tmp_path / "missing.yaml")
    assert result.exit_code == 125
    assert "missing.yaml: cannot be read: No such file or directory" in result.output
    assert not state_dir.exists()


def test_manifests_from_standard_input(state_dir: Path):
    result = invoke("run", "--state-dir", state_dir, "-", input=json.dumps(POD))
    assert result.exit_code == 125
    assert "image: Required value" in result.output


def test_without_an_engine_nothing_is_left(tmp_path: Path, state_dir: Path):
    path = manifest(tmp_path, GOOD)
    nowhere = f"unix://{tmp_path}/docker.sock"
    result = vkprovider_process("run", "--state-dir", state_dir, path, DOCKER_HOST=nowhere, HOME=str(tmp_path))
    assert result.returncode == 125
    assert result.stderr.startswith("vkprovider: ")
    assert result.stdout == ""
    assert list((state_dir / "runs").iterdir()) == []


def test_a_state_directory_that_cannot_be_made(tmp_path: Path):
    path = manifest(tmp_path, GOOD)
    result = invoke("run", "--state-dir", path / "state", path)
    assert result.exit_code == 125
    assert result.output == f"vkprovider: {path}/state: Not a directory (--state-dir names another)\n"


def test_down_where_nothing_is_left(state_dir: Path):
    result = invoke("down", "--state-dir", state_dir)
    assert (result.exit_code, result.output) == (0, "nothing to remove\n")
    assert not state_dir.exists()


def test_a_user_without_a_home_must_say_where(tmp_path: Path):
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    code = "import os; os.geteuid = lambda: 1000; from vkprovider.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "run", manifest(tmp_path, GOOD)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.endswith("\nError: neither XDG_STATE_HOME nor HOME is set: give --state-dir DIRECTORY\n")


def test_what_only_a_cluster_needs_may_be_missing(tmp_path: Path):
    (tmp_path / "cryptography.py").write_text("raise ModuleNotFoundError(\"No module named 'cryptography'\")")
    result = vkprovider_process("node", PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert result.returncode == 125
    assert result.stderr == (
        "vkprovider: No module named 'cryptography': pip install '.[cluster]' in the checkout of vkprovider brings it\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--provider", "aws"], "Invalid value for '--provider': 'aws': vkprovider has no provider but docker"),
        (["--os", "Windows"], "Invalid value for '--os': 'Windows': containers on a Docker engine are Linux's"),
        (["--pod-sync-workers", "10"], "warning: --pod-sync-workers has no effect: every pod has a worker of its own"),
        (["--full-resync-period", "1m"], "--full-resync-period has no effect: changes are told, not asked for"),
        (["--no-verify-clients"], "No such option"),
    ],
)
def test_options_of_virtual_kubelet_say_what_is_so_anyway_or_nothing(arguments: list[str], said: str) -> None:
    usual = ["--provider", "docker", "--os", "Linux", "--authentication-token-webhook", "--kubeconfig", "/nowhere"]
    done = vkprovider_process("node", *usual, *arguments)
    assert said in done.stderr
    assert done.returncode != 0
