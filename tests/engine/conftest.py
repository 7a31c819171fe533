from __future__ import annotations

import gc
import warnings
from collections.abc import AsyncIterator, Iterator
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


@pytest.fixture
def failed_connects() -> Iterator[None]:
    """For tests without an engine: docker-py does not close a socket that it could not connect."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "unclosed <socket", ResourceWarning)
        yield
        gc.collect()
