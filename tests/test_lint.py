"""What the linters and the type checker say, and the rules of this tree that no linter knows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.plugins.real_parts import missing

ROOT = Path(__file__).parents[1]
OWN_TREES = ("vkprovider", "tests", "integration", "cmd")


def run(*command: str | Path) -> None:
    """Run a checker at the top of the tree; the test fails with what it says."""
    result = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=280, check=False
    )
    if result.returncode != 0:
        pytest.fail(f"{' '.join(map(str, command))} says:\n{result.stdout}", pytrace=False)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("command", ["ruff check", "ruff format --check", "mypy", "lint-imports"])
def test_checker_finds_nothing(command: str) -> None:
    program, *arguments = command.split()
    run(Path(sys.executable).parent / program, *arguments)


def test_shell_scripts_are_sound() -> None:
    if shutil.which("shellcheck") is None:
        missing("shellcheck is not installed")
    scripts = [
        *ROOT.glob("integration/**/*.sh"),
        *ROOT.glob("vkprovider/**/*.sh"),
        *ROOT.glob("deploy/**/*.sh"),
        ROOT / ".ci" / "run",
    ]
    run("shellcheck", "--severity=warning", *scripts)


def python_files() -> list[Path]:
    return [path for tree in OWN_TREES for path in (ROOT / tree).rglob("*.py")]


def test_no_file_is_too_long() -> None:
    """Over 400 lines a file is split by question, or its reason stands in pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    reasons = settings["tool"]["vkprovider"]["long-files"]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in python_files()}
    assert {path for path, length in lengths.items() if length > 400} == set(reasons)


def test_every_module_is_named_after_what_it_is_about() -> None:
    empty = re.compile(r"(^|_)(utils?|helpers?|managers?|common|misc)($|_)")
    assert [str(path) for path in python_files() if empty.search(path.stem)] == []


def test_cmd_is_no_package() -> None:
    """It would shadow the standard library's cmd, and with it break pdb."""
    assert not (ROOT / "cmd" / "__init__.py").exists()


def test_cmd_starts_the_command_line() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    script = ROOT / "cmd" / "vkprovider" / "main.py"
    result = subprocess.run(
        [sys.executable, script, "version"], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.startswith("vkprovider ")
