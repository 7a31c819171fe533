from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.engine_sandbox.programs import COMPILERS, SOURCE, Program, build, launcher


@pytest.fixture(
    scope="session", params=[(a, w) for a in ("amd64", "arm64") for w in ("committed", "rebuilt")], ids="-".join
)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The program of each architecture, as committed and as this machine's compiler builds it."""
    arch, origin = request.param
    run_by = launcher(arch)
    if run_by is None:
        pytest.skip(f"an {arch} program cannot run here: qemu-user-static is not installed")
    path: Path = SOURCE / f"sandbox-{arch}"
    if origin == "rebuilt":
        if shutil.which(COMPILERS[arch]) is None:
            pytest.skip(f"{COMPILERS[arch]} is not installed")
        path = tmp_path_factory.mktemp("sandbox") / arch
        build(arch, path)
    return Program([*run_by, str(path)])
