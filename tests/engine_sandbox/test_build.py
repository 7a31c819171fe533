"""The committed programs are what their source and recipe give."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests.engine_sandbox.programs import COMPILERS, SOURCE, build

COMMITTED_WITH = "12"  # the major version of gcc, as build.sh says
ELF_MACHINES = {"amd64": 62, "arm64": 183}


@pytest.mark.parametrize("arch", COMPILERS)
def test_the_recipe_gives_the_committed_program(arch: str, tmp_path: Path) -> None:
    """Byte for byte with the compiler it was built with; another one gives other bytes of the same kind, and what
    those do is tested beside the committed program's deeds."""
    compiler = COMPILERS[arch]
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    build(arch, tmp_path / "first")
    build(arch, tmp_path / "second")
    rebuilt = (tmp_path / "first").read_bytes()
    assert rebuilt == (tmp_path / "second").read_bytes()
    version = subprocess.run([compiler, "-dumpversion"], capture_output=True, text=True, check=True).stdout.strip()
    committed = (SOURCE / f"sandbox-{arch}").read_bytes()
    if version.split(".")[0] == COMMITTED_WITH:
        assert rebuilt == committed
    else:
        assert abs(len(rebuilt) - len(committed)) < 1024


@pytest.mark.parametrize("arch", COMPILERS)
def test_it_is_a_small_static_program_of_its_architecture(arch: str) -> None:
    program = (SOURCE / f"sandbox-{arch}").read_bytes()
    kind, machine = struct.unpack_from("<HH", program, 16)
    assert program[:5] == b"\x7fELF\x02"
    assert (kind, machine) == (2, ELF_MACHINES[arch])
    assert len(program) < 8192
