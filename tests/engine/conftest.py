from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from tests.engine.scripted_engine import ScriptedEngine, serving
from vkprovider.engine.docker_engine import DockerEngine


@pytest.fixture
async def scripted(tmp_path: Path) -> AsyncIterator[ScriptedEngine]:
    engine = ScriptedEngine(tmp_path / "engine.sock")
    async with serving(engine):
        yield engine


@pytest.fixture
async def engine(scripted: ScriptedEngine) -> AsyncIterator[DockerEngine]:
    """The adapter on the scripted engine, watched for calls that would block the event loop."""
    engine = DockerEngine("node", scripted.url, timeout=5)
    with blockbuster_ctx("vkprovider"):
        yield engine
    await engine.close()
