"""Pods that came without having said so: who is labelled, and who is told of sidecars."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.fakes.api_server import FakeApiServer
from tests.kube.pods import pod
from tests.kube.quick_clock import QuickClock
from vkprovider.kube.client import ApiClient
from vkprovider.kube.event_recorder import EventRecorder
from vkprovider.kube.pods.late_pods import LatePods
from vkprovider.kube.reflector import Changed, Removed, Replaced, Update
from vkprovider.sidecarset.destination import VIRTUAL_NODE

LABELLED = {"labels": {VIRTUAL_NODE: "true"}}


def sidecar_set(name: str, **spec: Any) -> dict[str, Any]:
    on_virtual_nodes = {"matchLabels": {VIRTUAL_NODE: "true"}}
    containers = [{"name": name, "image": name}]
    return {"metadata": {"name": name}, "spec": {"selector": on_virtual_nodes, "containers": containers} | spec}


@asynccontextmanager
async def late(api: ApiClient, clock: QuickClock, *updates: Update, may_label: bool = True) -> AsyncIterator[None]:
    """At work, with these updates seen."""
    events = EventRecorder(api, clock, "node")
    pods = LatePods(api, events, clock, may_label=may_label)

    async def given() -> AsyncIterator[Update]:
        for update in updates:
            yield update

    assert [update async for update in pods.seeing(given())] == list(updates)
    tasks = [asyncio.create_task(events.run()), asyncio.create_task(pods.run())]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def labels(server: FakeApiServer, name: str) -> dict[str, str]:
    found = server.store.get("pods", "default", name)
    assert found is not None
    labels: dict[str, str] = found["metadata"].get("labels") or {}
    return labels


async def test_those_without_the_label_get_it_and_others_are_left_alone(
    api: ApiClient, server: FakeApiServer, clock: QuickClock
) -> None:
    raws = [
        server.store.put("pods", pod("new", uid="u1")),
        server.store.put("pods", pod("other", uid="u2", metadata={"labels": {"app": "web"}})),
        server.store.put("pods", pod("ours", uid="u3", metadata=LABELLED)),
        server.store.put("pods", pod("going", uid="u4", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})),
        server.store.put("pods", pod("over", uid="u5") | {"status": {"phase": "Succeeded"}}),
    ]
    changed = server.store.put("pods", pod("changed", uid="u6"))
    async with late(api, clock, Replaced(tuple(raws)), Changed(changed), Removed(raws[0])):
        await server.until(lambda: labels(server, "changed"))
        assert labels(server, "new") == {VIRTUAL_NODE: "true"}
        assert labels(server, "other") == {"app": "web", VIRTUAL_NODE: "true"}
        assert [str(asked) for asked in server.asked if asked.verb == "patch"] == [
            "patch pods/status new",
            "patch pods/status other",
            "patch pods/status changed",
        ]


async def test_an_event_names_the_sets_that_would_have_injected_it(
    api: ApiClient, server: FakeApiServer, clock: QuickClock
) -> None:
    chosen = {"matchLabels": {"team": "a"}}
    for each in (
        sidecar_set("b"),
        sidecar_set("a", namespaceSelector=chosen),
        sidecar_set("elsewhere", namespace="elsewhere"),
        sidecar_set("there"),
        sidecar_set("broken", containers="none"),
    ):
        server.store.put("sidecarsets", each)
    server.store.put("namespaces", {"metadata": {"name": "default", "labels": {"team": "a"}}})
    already = {"annotations": {"kruise.io/sidecarset-injected-list": "there"}}
    raw = server.store.put("pods", pod("web", uid="u1", metadata=already))
    server.fail("list", "sidecarsets", 404)  # in the version of OpenKruise 1.3
    async with late(api, clock, Changed(raw)):
        await server.until(lambda: any(key.plural == "events" for key in server.store.objects))
    (event,) = [found for key, found in server.store.objects.items() if key.plural == "events"]
    assert (event["type"], event["reason"]) == ("Warning", "SidecarSetNotInjected")
    assert event["message"].startswith("SidecarSet a, b is for pods of virtual nodes")
    assert event["involvedObject"]["uid"] == "u1"


async def test_without_leave_it_gives_up_and_without_the_kind_there_is_no_event(
    api: ApiClient, server: FakeApiServer, clock: QuickClock
) -> None:
    raws = [server.store.put("pods", pod(name, uid=name)) for name in ("one", "two", "three")]
    server.fail("list", "sidecarsets", 404, times=2)
    server.fail("list", "sidecarsets", 403, times=2)
    async with late(api, clock, Changed(raws[0]), Changed(raws[1])):
        await server.until(lambda: labels(server, "two"))
    server.fail("patch", "pods", 403)
    async with late(api, clock, Changed(raws[2]), Changed(server.store.put("pods", pod("four", uid="u4")))):
        await server.until(lambda: server.count("patch pods/status three"))
    assert not labels(server, "three")
    assert server.count("patch pods/status four") == 0
    asked = len(server.asked)
    async with late(api, clock, Changed(raws[2]), may_label=False):
        await asyncio.sleep(0)
    assert len(server.asked) == asked


@pytest.mark.parametrize(("status", "times"), [(409, 1), (404, 1), (503, 2)])
async def test_a_pod_that_is_gone_is_let_go_and_an_outage_waited_for(
    api: ApiClient, server: FakeApiServer, clock: QuickClock, status: int, times: int
) -> None:
    raws = [server.store.put("pods", pod(name, uid=name)) for name in ("gone", "next")]
    server.fail("patch", "pods", status)
    async with late(api, clock, *(Changed(raw) for raw in raws)):
        await server.until(lambda: labels(server, "next"))
    assert server.count("patch pods/status gone") == times
