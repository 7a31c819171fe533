from __future__ import annotations

import pytest

from tests.engine_sandbox.programs import SOURCE, Program, launcher
from tests.plugins.real_parts import missing


@pytest.fixture(scope="session", params=["amd64", "arm64"])
def program(request: pytest.FixtureRequest) -> Program:
    """The program of each architecture, on this machine or emulated."""
    run_by = launcher(request.param)
    if run_by is None:
        missing(f"an {request.param} program cannot run here: qemu-user-static is not installed")
    return Program([*run_by, str(SOURCE / f"sandbox-{request.param}")])
