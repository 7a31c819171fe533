"""What may be read of a node, over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.fakes.usages import FakeUsages, used
from tests.server.conftest import UID, WEB, Node
from vkprovider.errors import EngineUnavailable
from vkprovider.model.refs import PodUID
from vkprovider.server.kubelet_api import KubeletApi, read_only
from vkprovider.server.reads import Check, Numbers, Reads
from vkprovider.server.refusals import Refused


class Served:
    """A node's reads, on its API or on the read-only port. ``stuck`` is what is wrong with its loop."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.stuck = ""
        self.usages = FakeUsages(used(), used("POD"))
        self.port = 0
        self.reads = Reads(
            {"/metrics/resource": self._page},
            Numbers("n", self.usages, self.usages),
            {"maxPods": 110},
            (Check("syncloop", lambda: self.stuck),),
        )

    async def _page(self) -> bytes:
        return b"up 1\n"

    @asynccontextmanager
    async def serving(self, *, read_only_port: bool = False) -> AsyncIterator[aiohttp.ClientSession]:
        api = KubeletApi(self.node.pods, self.node.engine, self.node.clock, self.node.admit, self.reads)
        runner = web.AppRunner(read_only(self.reads) if read_only_port else api.application())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as session:
            yield session
        await runner.cleanup()

    async def ask(self, *paths: str, read_only_port: bool = False) -> list[tuple[int, str]]:
        answers = []
        async with self.serving(read_only_port=read_only_port) as session:
            for path in paths:
                async with session.get(path) as answer:
                    answers.append((answer.status, await answer.text()))
        return answers

    async def read(self, path: str) -> Any:
        ((status, text),) = await self.ask(path)
        assert status == 200, text
        return json.loads(text)


@pytest.fixture
def served(node: Node) -> Served:
    return Served(node)


async def test_health(served: Served):
    paths = ("/healthz", "/healthz/ping", "/healthz/log", "/healthz/syncloop")
    assert await served.ask(*paths) == [(200, "ok")] * 4
    told = "[+]ping ok\n[+]log ok\n[+]syncloop ok\nhealthz check passed\n"
    assert await served.ask("/healthz?verbose") == [(200, told)]


async def test_a_loop_that_is_stuck(served: Served):
    served.stuck = "sync Loop took longer than expected"
    told = f"[+]ping ok\n[+]log ok\n[-]syncloop failed: {served.stuck}\nhealthz check failed\n"
    assert await served.ask("/healthz", "/healthz/ping", "/healthz/syncloop") == [
        (500, told),
        (200, "ok"),
        (500, f"internal server error: {served.stuck}\n"),
    ]


@pytest.mark.parametrize("path", ["/pods", "/pods/"])
async def test_pods_have_the_status_that_they_have_now(served: Served, path: str):
    found = await served.read(path)
    assert (found["kind"], found["apiVersion"]) == ("PodList", "v1")
    (pod,) = found["items"]
    assert pod == {**WEB, "status": served.node.pods.statuses[UID]}


async def test_a_pod_that_was_not_looked_at_yet_is_as_the_api_server_said(served: Served):
    served.node.pods.statuses.clear()
    (pod,) = (await served.read("/pods"))["items"]
    assert pod == WEB


@pytest.mark.parametrize("path", ["/runningpods", "/runningpods/"])
async def test_running_pods_are_what_the_engine_runs(served: Served, path: str):
    found = await served.read(path)
    assert found["kind"] == "PodList"
    (pod,) = found["items"]
    assert pod["metadata"] == {"name": "web", "namespace": "default", "uid": UID}
    assert pod["spec"]["containers"] == [{"name": "app", "image": "busybox:1.28", "resources": {}}]
    served.node.engine.exit(served.node.app_id)
    (pod,) = (await served.read(path))["items"]
    assert pod["spec"]["containers"] == []


async def test_an_engine_that_does_not_answer(served: Served):
    served.usages.failure = EngineUnavailable("no engine")
    served.node.engine.down = True
    answers = await served.ask("/runningpods/", "/stats/summary", "/pods")
    assert [status for status, _ in answers] == [500, 500, 200]
    assert answers[1][1] == "Internal Error: no engine"


async def test_configuration(served: Served):
    assert await served.read("/configz") == {"kubeletconfig": {"maxPods": 110}}


async def test_a_summary(served: Served):
    found = await served.read("/stats/summary")
    assert found["node"]["nodeName"] == "n"
    assert found["node"]["fs"]["capacityBytes"] > 0
    assert [pod["podRef"]["uid"] for pod in found["pods"]] == [PodUID("u1")]
    assert set(served.usages.asked) == {"usage", "disks", "volumes"}


@pytest.mark.parametrize(
    ("query", "fast"), [("true", True), ("1", False), ("", False), ("false", False), (None, False)]
)
async def test_disks_are_not_counted_where_nobody_wants_them(served: Served, query: str | None, fast: bool):
    path = "/stats/summary" if query is None else f"/stats/summary?only_cpu_and_memory={query}"
    found = await served.read(path)
    assert ("fs" in found["node"]) != fast
    assert ("disks" in served.usages.asked) != fast


async def test_pages(served: Served):
    assert await served.ask("/metrics/resource", "/metrics/none") == [(200, "up 1\n"), (404, "404: Not Found")]


async def test_the_read_only_port_tells_numbers_alone(served: Served):
    told = ("/healthz", "/healthz/syncloop", "/metrics/resource", "/stats/summary")
    assert {status for status, _ in await served.ask(*told, read_only_port=True)} == {200}
    hidden = ("/pods", "/runningpods/", "/configz", "/containerLogs/default/web/app")
    assert {status for status, _ in await served.ask(*hidden, read_only_port=True)} == {404}


async def test_who_may_not_is_told_nothing(served: Served):
    served.node.refusal = Refused(403, "Forbidden")
    paths = ("/pods", "/runningpods/", "/configz", "/stats/summary", "/metrics/resource", "/healthz/log")
    assert await served.ask(*paths) == [(403, "Forbidden")] * len(paths)
