"""The controller of SidecarSets as they are written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.fakes.api_server import FakeApiServer
from tests.kube.quick_clock import QuickClock
from vkprovider.kube.client import ApiClient
from vkprovider.kube.reflector import Changed, Replaced, Update
from vkprovider.kube.webhook.set_controller import SetController
from vkprovider.sidecarset.destination import VIRTUAL_NODE
from vkprovider.sidecarset.model import SidecarSet, sidecar_set

PATCHED = "patch sidecarsets/status agents"
EMPTY = {"matchedPods": 0, "updatedPods": 0, "readyPods": 0, "updatedReadyPods": 0, "observedGeneration": 3}


class Sets:
    """The sets as the watch has them: of the server's store."""

    def __init__(self, server: FakeApiServer) -> None:
        self._server = server
        spec = {
            "selector": {"matchLabels": {VIRTUAL_NODE: "true"}},
            "containers": [{"name": "agent", "image": "agent"}],
        }
        server.store.put("sidecarsets", {"metadata": {"name": "agents", "generation": 3}, "spec": spec})

    def __call__(self) -> tuple[SidecarSet, ...]:
        found = self._server.store.get("sidecarsets", "", "agents")
        return (sidecar_set(found),) if found is not None else ()

    @property
    def status(self) -> Any:
        found = self._server.store.get("sidecarsets", "", "agents")
        return found.get("status") if found is not None else None


@asynccontextmanager
async def at_work(controller: SetController, sets: Sets) -> AsyncIterator[asyncio.Queue[Update]]:
    updates: asyncio.Queue[Update] = asyncio.Queue()

    async def given() -> AsyncIterator[Update]:
        while True:
            yield await updates.get()

    runs = (controller.follow(given()), controller.run(sets, lambda _: {}))
    tasks = [asyncio.create_task(each) for each in runs]
    yield updates
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def injected(name: str) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "default",
        "labels": {VIRTUAL_NODE: "true"},
        "annotations": {"kruise.io/sidecarset-injected-list": "agents"},
    }
    return {"metadata": metadata, "spec": {"containers": [{"name": "agent", "image": "agent"}]}}


async def test_a_status_is_written_when_it_is_another_one(
    api: ApiClient, server: FakeApiServer, clock: QuickClock
) -> None:
    sets, controller = Sets(server), SetController(api, "vkprovider", clock)
    async with at_work(controller, sets) as updates:
        controller.look_again()  # and yet nothing is written before the pods are known
        updates.put_nowait(Replaced(()))
        await server.until(lambda: sets.status == EMPTY)
        assert server.count(PATCHED) == 1
        updates.put_nowait(Changed(injected("web")))
        await server.until(lambda: sets.status == EMPTY | {"matchedPods": 1})
        server.fail("patch", "sidecarsets", 503)
        updates.put_nowait(Changed(injected("other")))
        await server.until(lambda: sets.status == EMPTY | {"matchedPods": 2})
        patches = server.count(PATCHED)
        before = clock.elapsed
        controller.look_again()
        await clock.until(before + 1)
        assert server.count(PATCHED) == patches


async def test_a_set_that_has_gone_meanwhile_is_let_go(
    api: ApiClient, server: FakeApiServer, clock: QuickClock
) -> None:
    sets, controller = Sets(server), SetController(api, "vkprovider", clock)
    server.fail("patch", "sidecarsets", 404)
    async with at_work(controller, sets) as updates:
        updates.put_nowait(Replaced(()))
        await server.until(lambda: server.count(PATCHED))
        controller.look_again()
        await server.until(lambda: sets.status == EMPTY)  # the store still has it


async def test_however_many_pods_are_refused_there_is_one_more_look(
    api: ApiClient, server: FakeApiServer, clock: QuickClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller, loop = SetController(api, "vkprovider", clock), asyncio.get_running_loop()
    looks: list[asyncio.TimerHandle] = []
    call_later = loop.call_later

    def noted(delay: float, callback: Callable[..., object], *args: Any, **context: Any) -> asyncio.TimerHandle:
        timer = call_later(delay, callback, *args, **context)
        if callback == controller.look_again:
            looks.append(timer)
        return timer

    monkeypatch.setattr(loop, "call_later", noted)
    server.fail("patch", "pods", 403, times=3)
    for name in ("one", "two", "three"):
        assert not await controller._patch(injected(name), {})
    assert [timer.cancelled() for timer in looks] == [True, True, False]


async def test_the_status_names_the_revision_that_is_kept(
    api: ApiClient, server: FakeApiServer, clock: QuickClock
) -> None:
    sets, controller = Sets(server), SetController(api, "vkprovider", clock)
    watch = asyncio.create_task(controller.revisions.run())
    async with at_work(controller, sets) as updates:
        updates.put_nowait(Replaced(()))
        await server.until(lambda: "latestRevision" in (sets.status or {}))
        kept = server.store.get("controllerrevisions", "vkprovider", sets.status["latestRevision"])
        assert kept is not None
        assert sets.status == EMPTY | {"latestRevision": kept["metadata"]["name"], "collisionCount": 0}
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
