"""The node's API as `vkprovider node` puts it together."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from structlog.testing import capture_logs

from tests.fakes.api_server import PATIENCE, FakeApiServer, write_kubeconfig
from tests.fakes.node import LivingNode
from tests.fakes.usages import FakeUsages
from tests.fakes.virtual_time import virtual_time
from tests.kube.pods import pod
from tests.kube.quick_clock import QuickClock
from tests.server.certificates import Authority
from vkprovider.kube.certificates.client_authorities import KEY, NAME, NAMESPACE
from vkprovider.kube.certificates.signing import SIGNING_REQUESTS
from vkprovider.kube.client import ApiClient
from vkprovider.kube.node.settings import NodeSettings
from vkprovider.model.pod import decode_pod
from vkprovider.model.refs import PodKey, PodUID
from vkprovider.node.clock import SystemClock
from vkprovider.node.dispatcher import Dispatcher
from vkprovider.node_server import NEED, UNKNOWN, NodeServer, Shown, WorkerIndex
from vkprovider.server.certificates import write_self_signed
from vkprovider.server.reads import Numbers
from vkprovider.server.refusals import ServerError
from vkprovider.server.serving import listen
from vkprovider.telemetry.node_meter import NodeMeter


@virtual_time
async def test_pods_are_found_by_name_the_newest_of_several(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    async with node.at_work() as dispatcher:
        index, key = WorkerIndex(dispatcher), PodKey("default", "web")
        assert index.find(key) is None
        assert index.status(PodUID("u1")) == {}
        for uid in ("u1", "u2"):
            dispatcher.sync(decode_pod(pod("web", uid=uid)))
        found = index.find(key)
        assert found is not None
        assert found.uid == "u2"
        await node.told.until(lambda: index.status(PodUID("u2")).get("phase") == "Running")
        assert index.find(PodKey("other", "web")) is None


class Given:
    """A node's server and the cluster that it belongs to."""

    def __init__(self, tmp_path: Path, cluster: FakeApiServer) -> None:
        self.cluster = cluster
        self.authority = Authority(tmp_path)
        self.folder = tmp_path
        self.api = ApiClient(QuickClock(), str(write_kubeconfig(tmp_path / "kubeconfig", cluster.url)))
        self.listener = listen(0)
        self.port: int = self.listener.getsockname()[1]
        self.settings = NodeSettings(name="node", internal_ip="127.0.0.1")

    def publish(self, authorities: str) -> None:
        metadata = {"namespace": NAMESPACE, "name": NAME}
        self.cluster.store.put("configmaps", {"metadata": metadata, "data": {KEY: authorities}})

    async def run(self, **settings: Any) -> asyncio.Task[None]:
        """The server at work for a node without pods."""
        node = await LivingNode.on(self.folder)
        chosen = msgspec.structs.replace(self.settings, **settings)
        around, usages = node.around(), FakeUsages()
        numbers = Numbers("node", usages, usages)
        shown = Shown(Dispatcher(around), node.engine, around.tally, NodeMeter(QuickClock()), numbers)
        server = NodeServer(chosen, self.api, self.folder, self.listener, QuickClock(), shown)
        return asyncio.create_task(server.run())

    async def shown(self) -> str:
        """The certificate that clients see."""
        return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", self.port))

    async def health(self) -> str:
        return await self.read("/healthz")

    async def read(self, path: str) -> str:
        context: ssl.SSLContext = self.authority.client("CN=kube-apiserver-kubelet-client")
        url = f"https://127.0.0.1:{self.port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url, ssl=context) as answer:
            return await answer.text()


@pytest.fixture
async def given(tmp_path: Path) -> AsyncIterator[Given]:
    cluster = FakeApiServer()
    await cluster.start()
    given = Given(tmp_path, cluster)
    yield given
    given.listener.close()
    await given.api.aclose()
    await cluster.stop()


async def test_the_cluster_says_whom_to_let_in(given: Given):
    given.publish(given.authority.pem)
    running = await given.run()
    assert await given.health() == "ok"
    running.cancel()


async def test_the_configuration_tells_the_port(given: Given):
    given.publish(given.authority.pem)
    running = await given.run(port=given.port)
    assert json.loads(await given.read("/configz"))["kubeletconfig"]["port"] == given.port
    running.cancel()


async def test_a_file_says_whom_to_let_in(given: Given):
    given.publish("ignored")
    path = given.folder / "ca.pem"
    await asyncio.to_thread(path.write_text, given.authority.pem)
    running = await given.run(client_ca_file=str(path))
    assert await given.health() == "ok"
    running.cancel()


@pytest.mark.parametrize("published", [None, ""])
async def test_nobody_is_let_in_before_it_is_said_whom(given: Given, published: str | None):
    if published is not None:
        given.publish(published)
    with capture_logs() as said:
        running = await given.run()
        asked = asyncio.create_task(given.health())
        async with asyncio.timeout(PATIENCE):
            while not any(line["event"].startswith(NEED) for line in said):  # noqa: ASYNC110  logs tell nobody
                await asyncio.sleep(0)
        assert not asked.done()
        given.publish(given.authority.pem)
        assert await asyncio.wait_for(asked, PATIENCE) == "ok"
    running.cancel()


async def test_a_file_of_something_else_ends_it(given: Given):
    path = given.folder / "ca.pem"
    await asyncio.to_thread(path.write_text, "nonsense")
    running = await given.run(client_ca_file=str(path))
    with pytest.raises(ServerError, match="authority"):
        await asyncio.wait_for(running, PATIENCE)


async def test_a_disk_that_is_full_ends_it_not(given: Given):
    given.publish(given.authority.pem)
    obstacle = given.folder / "client-authorities.pem.new"
    await asyncio.to_thread(obstacle.mkdir)
    with capture_logs() as said:
        running = await given.run()
        async with asyncio.timeout(PATIENCE):
            while not any("cannot be kept" in line.get("error", "") for line in said):  # noqa: ASYNC110
                await asyncio.sleep(0)
        await asyncio.to_thread(obstacle.rmdir)
        assert await given.health() == "ok"
    running.cancel()


async def test_the_certificate_that_is_named_is_shown(given: Given):
    given.publish(given.authority.pem)
    pair = given.folder / "named.pem"
    await asyncio.to_thread(write_self_signed, pair, ["named"], SystemClock().now())
    with capture_logs() as said:
        running = await given.run(tls_cert_file=str(pair), tls_private_key_file=str(pair))
        assert await given.health() == "ok"
        assert (await given.shown()) in await asyncio.to_thread(pair.read_text)
    assert UNKNOWN not in [line["event"] for line in said]
    running.cancel()


async def test_without_one_people_are_told(given: Given):
    given.publish(given.authority.pem)
    with capture_logs() as said:
        running = await given.run()
        assert await given.health() == "ok"
    assert UNKNOWN in [line["event"] for line in said]
    assert not [asked for asked in given.cluster.asked if asked.key.plural == SIGNING_REQUESTS.plural]
    running.cancel()


async def test_a_node_of_its_own_asks_for_one(given: Given):
    given.publish(given.authority.pem)
    running = await given.run(node_restriction=True)
    await given.cluster.until(lambda: [a for a in given.cluster.asked if str(a) == "create certificatesigningrequests"])
    (spec,) = [asked.body["spec"] for asked in given.cluster.asked if str(asked) == "create certificatesigningrequests"]
    assert spec["signerName"] == "kubernetes.io/kubelet-serving"
    assert await given.health() == "ok"
    running.cancel()
