from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from vkprovider.engine.kernel_limits import CAP_SYS_RESOURCE, OOM_SCORE_NOTE, KernelLimits


@pytest.fixture
def allowed() -> bool:
    """Whether this very process may lower its score."""
    status = Path("/proc/self/status").read_text()
    capabilities = int(next(line for line in status.splitlines() if line.startswith("CapEff:")).split()[1], 16)
    in_first_namespace = Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]
    return in_first_namespace and bool(capabilities & 1 << CAP_SYS_RESOURCE)


async def test_an_engine_in_sight_is_looked_at(tmp_path: Path, allowed: bool):
    """Here this very process listens: what it may is what is found."""

    async def never() -> bool:
        raise AssertionError("nothing needs to be tried")

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "engine.sock"))
        server.listen()
        limits = KernelLimits(str(tmp_path / "engine.sock"), never)
        assert limits.notes == ()
        assert await limits.allows_negative_oom_score() is allowed
    assert limits.notes == (() if allowed else (OOM_SCORE_NOTE,))


@pytest.mark.parametrize("works", [True, False])
@pytest.mark.parametrize("socket_path", ["", "/nowhere/engine.sock"])
async def test_an_engine_out_of_sight_is_tried_once(socket_path: str, works: bool):
    tried = []

    async def attempt() -> bool:
        tried.append(os.getpid())
        return works

    limits = KernelLimits(socket_path, attempt)
    for _ in range(3):
        assert await limits.allows_negative_oom_score() is works
    assert len(tried) == 1
    assert limits.notes == (() if works else (OOM_SCORE_NOTE,))
