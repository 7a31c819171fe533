from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.kube.node_api import FakeNodeApi
from tests.node.virtual_clock import VirtualClock
from vkprovider.errors import ApiForbidden, ApiUnavailable
from vkprovider.kube.node.api import LEASES
from vkprovider.kube.node.lease import NAMESPACE, NodeLease

LEASE = LEASES.at(NAMESPACE, "vk")


class Scene:
    def __init__(self) -> None:
        self.api = FakeNodeApi()
        self.clock = VirtualClock()
        self.uid = "node-1"
        self.lease = NodeLease(self.api, "vk", lambda: self.uid, self.clock)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.ensure_future(self.lease.run())
        try:
            await self.clock.settle()
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def wait(self, seconds: float = 10) -> None:
        self.clock.advance(seconds)
        await self.clock.settle()

    @property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.api.objects[LEASE]["spec"]
        return spec

    @property
    def owners(self) -> list[str]:
        return [owner["uid"] for owner in self.api.objects[LEASE]["metadata"]["ownerReferences"]]


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_it_is_created_for_its_node(scene: Scene) -> None:
    async with scene.running():
        created = scene.api.asked("create")[0]
        assert created.place == LEASES.at(NAMESPACE)
        assert created.body == {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": "vk",
                "namespace": "kube-node-lease",
                "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "vk", "uid": "node-1"}],
            },
            "spec": {
                "holderIdentity": "vk",
                "leaseDurationSeconds": 40,
                "renewTime": "2026-01-01T12:00:00.000000Z",
            },
        }


async def test_it_is_renewed_every_ten_seconds_with_one_request(scene: Scene) -> None:
    async with scene.running():
        await scene.wait()
        await scene.wait(10.25)
        assert [request.verb for request in scene.api.requests] == ["get", "create", "patch", "patch"]
        assert scene.spec["renewTime"] == "2026-01-01T12:00:20.250000Z"


async def test_a_renewal_is_bound_to_the_version_that_it_renews(scene: Scene) -> None:
    async with scene.running():
        version = scene.api.objects[LEASE]["metadata"]["resourceVersion"]
        await scene.wait()
        assert scene.api.asked("patch")[0].body["metadata"] == {"resourceVersion": version}


async def test_one_from_before_is_taken_on_and_given_its_owner(scene: Scene) -> None:
    spec = {"holderIdentity": "other", "leaseDurationSeconds": 15, "renewTime": "2025-01-01T00:00:00.000000Z"}
    scene.api.put(LEASE, {"metadata": {"ownerReferences": [{"kind": "Node", "uid": "node-0"}]}, "spec": spec})
    async with scene.running():
        assert scene.owners == ["node-1"]
        assert scene.spec == {
            "holderIdentity": "vk",
            "leaseDurationSeconds": 40,
            "renewTime": "2026-01-01T12:00:00.000000Z",
        }


async def test_one_that_somebody_has_written_to_is_read_again(scene: Scene) -> None:
    async with scene.running():
        scene.api.put(LEASE, scene.api.objects[LEASE])
        await scene.wait()
        await scene.wait(0.1)
        assert [request.verb for request in scene.api.requests] == ["get", "create", "patch", "get", "patch"]
        assert scene.spec["renewTime"] == "2026-01-01T12:00:10.100000Z"


async def test_one_that_was_deleted_is_created_anew(scene: Scene) -> None:
    async with scene.running():
        del scene.api.objects[LEASE]
        await scene.wait()
        assert scene.spec["renewTime"] == "2026-01-01T12:00:10.000000Z"
        await scene.wait()
        assert scene.spec["renewTime"] == "2026-01-01T12:00:20.000000Z"


async def test_it_goes_with_its_node_and_comes_with_the_next(scene: Scene) -> None:
    async with scene.running():
        scene.uid = ""
        del scene.api.objects[LEASE]
        await scene.wait()
        assert LEASE not in scene.api.objects
        scene.uid = "node-2"
        await scene.wait()
        assert scene.owners == ["node-2"]


async def test_one_that_outlived_its_node_is_given_to_the_next(scene: Scene) -> None:
    async with scene.running():
        scene.uid = ""
        await scene.wait()
        assert scene.owners == ["node-1"]
        scene.uid = "node-2"
        await scene.wait()
        assert scene.owners == ["node-2"]


async def test_an_outage_is_said_once_and_lived_through(scene: Scene) -> None:
    async with scene.running():
        scene.api.failures = {
            "patch": [ApiUnavailable("cannot patch leases: no route")] * 2,
            "get": [ApiUnavailable("cannot patch leases: no route")] * 20,
        }
        with capture_logs() as logs:
            await scene.wait()
            while scene.api.failures["get"]:
                await scene.wait(7)
            await scene.wait(7)
            await scene.wait(7)
        warnings = [line for line in logs if line["log_level"] == "warning"]
        assert [line["error"] for line in warnings] == ["cannot patch leases: no route"]
        assert warnings[0]["event"] == "lease of node vk: trying again"
        renewed = scene.spec["renewTime"]
        await scene.wait()
        assert scene.spec["renewTime"] > renewed


async def test_a_missing_permission_is_named(scene: Scene) -> None:
    scene.api.failures = {"get": [ApiForbidden("may not get leases: grant it")]}
    with capture_logs() as logs:
        async with scene.running():
            await scene.wait(0.1)
            assert LEASE in scene.api.objects
    assert logs[0]["error"] == "may not get leases: grant it"
