"""The webhook, put together, before an API server that does not let it read everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.fakes.api_server import FakeApiServer, write_kubeconfig
from tests.kube.quick_clock import QuickClock
from vkprovider.errors import ApiUnavailable
from vkprovider.kube.client import ApiClient
from vkprovider.kube.webhook import set_revisions
from vkprovider.kube.webhook.settings import WebhookSettings
from vkprovider.webhook_parts import Webhook

MEANT = {"alibabacloud.com/eci": "true"}


def put_set(server: FakeApiServer, name: str, **spec: Any) -> None:
    wanted = {"selector": {"matchLabels": {"app": name}}, "containers": [{"name": name, "image": "i"}]} | spec
    server.store.put("sidecarsets", {"metadata": {"name": name}, "spec": wanted})


def asking(app: str) -> bytes:
    spec = {"containers": [{"name": "app", "image": "i"}]}
    pod = {"metadata": {"name": "web", "labels": MEANT | {"app": app}}, "spec": spec}
    return msgspec.json.encode({"request": {"uid": "7", "namespace": "default", "object": pod}})


@pytest.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    server = FakeApiServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def webhook(server: FakeApiServer, tmp_path: Path) -> AsyncIterator[Webhook]:
    clock = QuickClock()
    api = ApiClient(clock, str(write_kubeconfig(tmp_path / "kubeconfig", server.url)))
    webhook = Webhook(api, WebhookSettings(address="127.0.0.1", port=0), clock)
    task = asyncio.create_task(webhook.run())
    yield webhook
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await api.aclose()


async def test_only_pods_of_a_set_that_names_a_revision_wait_for_revisions(
    server: FakeApiServer, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_revisions, "PATIENCE_SECONDS", 0.05)
    server.fail("list", "controllerrevisions", 403, times=1 << 30)
    server.store.put("namespaces", {"metadata": {"name": "default"}})
    put_set(server, "plain")
    put_set(server, "pinned", injectionStrategy={"revision": {"customVersion": "v1"}})
    response = (await webhook._review_pod(asking("plain")))["response"]
    assert (response["allowed"], response["patchType"]) == (True, "JSONPatch")
    with pytest.raises(ApiUnavailable, match=r"controllerrevisions .* have not yet been read"):
        await webhook._review_pod(asking("pinned"))
