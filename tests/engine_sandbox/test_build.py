"""The committed programs are what their source and recipe give."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests.engine_sandbox.programs import SOURCE
from tests.plugins.real_parts import missing

COMPILERS = {"amd64": "x86_64-linux-gnu-gcc-12", "arm64": "aarch64-linux-gnu-gcc-12"}
ELF_MACHINES = {"amd64": 62, "arm64": 183}


@pytest.mark.parametrize("arch", COMPILERS)
def test_the_recipe_gives_the_committed_program(arch: str, tmp_path: Path) -> None:
    if shutil.which(COMPILERS[arch]) is None:
        missing(f"{COMPILERS[arch]} is not installed")
    subprocess.run([SOURCE / "build.sh", arch, tmp_path / "program"], check=True, timeout=60)
    assert (tmp_path / "program").read_bytes() == (SOURCE / f"sandbox-{arch}").read_bytes()


@pytest.mark.parametrize("arch", COMPILERS)
def test_it_is_a_small_static_program_of_its_architecture(arch: str) -> None:
    program = (SOURCE / f"sandbox-{arch}").read_bytes()
    kind, machine = struct.unpack_from("<HH", program, 16)
    assert program[:5] == b"\x7fELF\x02"
    assert (kind, machine) == (2, ELF_MACHINES[arch])
    assert len(program) < 8192
