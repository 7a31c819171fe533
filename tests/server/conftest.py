from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from blockbuster import blockbuster_ctx

from tests.server.programs import Pods, StreamingEngine
from tests.server.spdy_client import connected
from vkprovider.model.create import ContainerCreate
from vkprovider.model.labels import CONTAINER_TYPE, SANDBOX_NAME, SANDBOX_TYPE, ContainerIdentity, encode
from vkprovider.model.pod import decode_pod
from vkprovider.model.refs import ContainerID, PodUID
from vkprovider.node.clock import SystemClock
from vkprovider.server.kubelet_api import KubeletApi

UID = PodUID("11111111-2222-3333-4444-555555555555")
IMAGE = "busybox:1.28"
WEB = {
    "metadata": {"namespace": "default", "name": "web", "uid": UID},
    "spec": {"containers": [{"name": "app", "image": IMAGE}], "initContainers": [{"name": "init", "image": IMAGE}]},
}


class Node:
    """A node whose API is served: pod default/web runs its container "app". ``refusals`` are what it admits not."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.engine = StreamingEngine(self.clock)
        self.engine.add_image(IMAGE)
        self.pods = Pods()
        self.pod = decode_pod(WEB)
        self.pods.pods[self.pod.key] = self.pod
        self.admitted: list[str] = []
        self.refusal: Exception | None = None
        self.port = 0
        self.sandbox_id = self.app_id = ContainerID("")

    async def admit(self, request: web.Request) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.admitted.append(f"{request.method} {request.path}")

    def now(self) -> datetime:
        return self.clock.now()

    async def begin(self) -> None:
        self.sandbox_id = await self._create(SANDBOX_TYPE, SANDBOX_NAME)
        self.app_id = await self._create(CONTAINER_TYPE, "app")
        self.tell("app", {"running": {}}, containerID=f"docker://{self.app_id}")

    def tell(self, container: str, state: dict[str, Any], **fields: Any) -> None:
        """Have the pod's status say so of a container."""
        status = {"name": container, "state": state} | fields
        self.pods.statuses[UID] = {"containerStatuses": [status]}

    async def _create(self, kind: str, name: str) -> ContainerID:
        identity = ContainerIdentity(
            node="node", type=kind, pod_name="web", pod_namespace="default", pod_uid=UID, name=name, image=IMAGE
        )
        container_id = await self.engine.create(
            ContainerCreate(labels=encode(identity), image=IMAGE, name=identity.engine_name)
        )
        await self.engine.start(container_id)
        return container_id

    def spdy(self, target: str, *protocols: str, **options: Any) -> Any:
        return connected(self.port, target, *protocols, **options)


@pytest.fixture
def watched() -> Iterator[None]:
    """For calls that would block the event loop."""
    with blockbuster_ctx("vkprovider"):
        yield


@pytest.fixture
async def node(watched: None) -> AsyncIterator[Node]:
    node = Node()
    await node.begin()
    api = KubeletApi(node.pods, node.engine, node.clock, node.admit)
    runner = web.AppRunner(api.application(), handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    node.port = runner.addresses[0][1]
    yield node
    await runner.cleanup()
    await node.engine.close()


@pytest.fixture
async def http(node: Node) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{node.port}") as session:
        yield session
