from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from vkprovider.engine.kernel_limits import CAP_SYS_RESOURCE, OOM_SCORE_NOTE, KernelLimits


@pytest.fixture
def has_capability() -> bool:
    """Whether this very process has it."""
    status = Path("/proc/self/status").read_text()
    capabilities = int(next(line for line in status.splitlines() if line.startswith("CapEff:")).split()[1], 16)
    return bool(capabilities & 1 << CAP_SYS_RESOURCE)


@pytest.fixture
def allowed(has_capability: bool) -> bool:
    """Whether this very process may lower its score."""
    in_first_namespace = Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]
    return in_first_namespace and has_capability


async def test_an_engine_in_sight_is_looked_at(tmp_path: Path, allowed: bool, has_capability: bool):
    """Here this very process listens: what it may is what is found."""

    async def never(_: object) -> bool:
        raise AssertionError("nothing needs to be tried")

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "engine.sock"))
        server.listen()
        limits = KernelLimits(str(tmp_path / "engine.sock"), never)
        assert limits.notes == ()
        assert await limits.allows_negative_oom_score() is allowed
        assert await limits.withheld() == (() if has_capability else ("SYS_RESOURCE",))
    assert limits.notes == (() if allowed else (OOM_SCORE_NOTE,))


@pytest.mark.parametrize(
    ("works", "withheld", "times"),
    [(("OomScoreAdj", "CapAdd"), (), 1), (("CapAdd",), (), 2), ((), ("SYS_RESOURCE",), 2)],
)
@pytest.mark.parametrize("socket_path", ["", "/nowhere/engine.sock"])
async def test_an_engine_out_of_sight_is_tried_once(
    socket_path: str, works: tuple[str, ...], withheld: tuple[str, ...], times: int
):
    tried = []

    async def attempt(settings: Mapping[str, object]) -> bool:
        tried.append(settings)
        return set(settings) <= set(works)

    limits = KernelLimits(socket_path, attempt)
    for _ in range(3):
        assert await limits.allows_negative_oom_score() is ("OomScoreAdj" in works)
        assert await limits.withheld() == withheld
    assert len(tried) == times
    assert limits.notes == (() if "OomScoreAdj" in works else (OOM_SCORE_NOTE,))
