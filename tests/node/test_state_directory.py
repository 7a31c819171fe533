"""That the engine sees the directory is proven with every node that starts on a real one, in integration/cluster."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fakes.engine import FakeEngine
from vkprovider.config import ConfigError
from vkprovider.errors import EngineError
from vkprovider.node.clock import SystemClock
from vkprovider.node.state_directory import check_shared


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(SystemClock())


@pytest.mark.parametrize("error", ["", 'invalid mount config for type "bind": bind source path does not exist: /x'])
async def test_an_engine_that_has_no_such_directory_or_another(tmp_path: Path, engine: FakeEngine, error: str) -> None:
    engine.tool_error = error
    with pytest.raises(ConfigError) as raised:
        await check_shared(tmp_path, engine)
    assert str(raised.value) == (
        f"the Docker engine does not see the state directory {tmp_path} as vkprovider does: run vkprovider on the "
        f"engine's machine; if in a container, mount the directory at the same path: -v {tmp_path}:{tmp_path}"
    )
    assert not os.listdir(tmp_path)


async def test_an_engine_that_fails_says_why_itself(tmp_path: Path, engine: FakeEngine) -> None:
    engine.tool_error = "no space left on device"
    with pytest.raises(EngineError, match=r"^no space left on device$"):
        await check_shared(tmp_path, engine)
    assert not os.listdir(tmp_path)
