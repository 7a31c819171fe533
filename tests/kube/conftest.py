from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from tests.fakes.api_server import FakeApiServer, write_kubeconfig
from tests.kube.quick_clock import QuickClock
from vkprovider.kube.client import ApiClient


@pytest.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    server = FakeApiServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def clock() -> QuickClock:
    return QuickClock()


@pytest.fixture
async def api(tmp_path: Path, server: FakeApiServer, clock: QuickClock) -> AsyncIterator[ApiClient]:
    """A client of the server, watched for calls that would block the event loop."""
    api = ApiClient(clock, str(write_kubeconfig(tmp_path / "kubeconfig", server.url)))
    with blockbuster_ctx("vkprovider"):
        yield api
    await api.aclose()
