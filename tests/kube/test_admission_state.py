"""What the webhook's answers depend on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.fakes.api_server import FakeApiServer
from tests.kube.quick_clock import QuickClock
from vkprovider.errors import ApiUnavailable
from vkprovider.kube.client import ApiClient
from vkprovider.kube.webhook import admission_state
from vkprovider.kube.webhook.admission_state import AdmissionState
from vkprovider.sidecarset.destination import VIRTUAL_NODE, DestinationSettings
from vkprovider.sidecarset.webhook_configuration import KRUISE, NAME

KIND = "mutatingwebhookconfigurations"


def sidecar_set(name: str, **container: Any) -> dict[str, Any]:
    spec = {
        "selector": {"matchLabels": {VIRTUAL_NODE: "true"}},
        "updateStrategy": {"type": "NotUpdate"},
        "containers": [{"name": name, "image": name} | container],
    }
    return {"metadata": {"name": name}, "spec": spec}


class Watched:
    """A state, and how often it said that something has changed."""

    def __init__(self, api: ApiClient, clock: QuickClock) -> None:
        self.changes = 0
        self.changes_of_sets = 0
        self.state = AdmissionState(api, DestinationSettings(), self._changed, self._sets_changed, clock)

    def _changed(self) -> None:
        self.changes += 1

    def _sets_changed(self) -> None:
        self.changes_of_sets += 1


@asynccontextmanager
async def watched(api: ApiClient, clock: QuickClock, *, sets: bool = True) -> AsyncIterator[Watched]:
    given = Watched(api, clock)
    watches = [*given.state.watches(), *([given.state.watch_sets()] if sets else [])]
    tasks = [asyncio.create_task(each) for each in watches]
    yield given
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def until_known(state: AdmissionState) -> None:
    async with asyncio.timeout(10):
        await state.known()


async def test_it_is_as_the_cluster_is(api: ApiClient, server: FakeApiServer, clock: QuickClock) -> None:
    server.store.put("nodes", {"metadata": {"name": "virtual-1"}})
    server.store.put("namespaces", {"metadata": {"name": "web", "labels": {"team": "a"}}})
    server.store.put("sidecarsets", sidecar_set("sound"))
    server.store.put("sidecarsets", sidecar_set("broken", image=""))
    async with watched(api, clock) as given:
        await until_known(given.state)
        cluster = await given.state.cluster("web")
        assert [each.name for each in cluster.sets] == ["sound"]
        assert cluster.namespace_labels == {"team": "a"}
        assert cluster.destination.nodes == {"virtual-1"}
        assert given.state.own_sets() == cluster.sets
        assert (given.state.labels_of("web"), given.state.labels_of("new")) == ({"team": "a"}, {})
        assert given.changes_of_sets == 2  # the lists of sets, and of what OpenKruise has
        assert server.count("get namespaces web") == 0


async def test_a_namespace_as_new_as_its_pod_is_asked_for(
    api: ApiClient, server: FakeApiServer, clock: QuickClock
) -> None:
    async with watched(api, clock) as given:
        await until_known(given.state)
        server.store.history.clear()
        server.store.objects.clear()
        server.stalled = True  # the watch has not come so far
        server.store.put("namespaces", {"metadata": {"name": "new", "labels": {"team": "b"}}})
        assert (await given.state.cluster("new")).namespace_labels == {"team": "b"}
        assert (await given.state.cluster("nowhere")).namespace_labels == {}


async def test_where_openkruise_injects_there_are_no_sets_nor_need_there_be(
    api: ApiClient, server: FakeApiServer, clock: QuickClock
) -> None:
    server.store.put("sidecarsets", sidecar_set("sound"))
    server.store.put(KIND, {"metadata": {"name": KRUISE}})
    async with watched(api, clock, sets=False) as given:
        await until_known(given.state)
        assert (await given.state.cluster("web")).sets == ()
        assert await given.state.sets() is None
        assert given.state.own_sets() == ()
    async with watched(api, clock) as given:
        await until_known(given.state)
        server.store.vanish(KIND, "", KRUISE)
        async with asyncio.timeout(10):
            while not (await given.state.cluster("web")).sets:  # which asks for the namespace, every time
                pass


async def test_nodes_and_its_own_configuration_are_of_interest_to_the_registration(
    api: ApiClient, server: FakeApiServer, clock: QuickClock
) -> None:
    async with watched(api, clock) as given:
        await until_known(given.state)
        await server.until(lambda: server.watches == 6)
        before = given.changes
        server.store.put("sidecarsets", sidecar_set("sound"))
        server.store.put("nodes", {"metadata": {"name": "virtual-1"}})
        for kind in (KIND, "validatingwebhookconfigurations"):
            server.store.put(kind, {"metadata": {"name": NAME}})
        server.store.put(KIND, {"metadata": {"name": "another"}})
        async with asyncio.timeout(10):
            while given.changes < before + 3:
                await given.state.cluster("web")
        assert given.changes == before + 3


async def test_before_the_first_lists_nothing_is_answered(
    api: ApiClient, clock: QuickClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission_state, "PATIENCE_SECONDS", 0.01)
    given = Watched(api, clock)
    with pytest.raises(ApiUnavailable, match="have not yet been read"):
        await given.state.cluster("web")
