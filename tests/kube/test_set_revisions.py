"""The revisions of SidecarSets as they are written."""

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
from vkprovider.kube.webhook import retry, set_revisions
from vkprovider.kube.webhook.set_revisions import SetRevisions
from vkprovider.sidecarset.model import SidecarSet, sidecar_set

KIND, NAMESPACE = "controllerrevisions", "kept-here"
NOBODY = frozenset[str]()


def agents(image: str, **spec: Any) -> SidecarSet:
    containers = [{"name": "agent", "image": image}]
    return sidecar_set({"metadata": {"name": "agents", "uid": "u"}, "spec": {"containers": containers} | spec})


class Watched:
    """The revisions, and how often they said that there are others."""

    def __init__(self, api: ApiClient, clock: QuickClock) -> None:
        self.changes = 0
        self.revisions = SetRevisions(api, NAMESPACE, clock, self._changed)
        self._some = asyncio.Event()

    def _changed(self) -> None:
        self.changes += 1
        self._some.set()

    async def until_changed(self) -> None:
        """Wait for the next time that it says so."""
        self._some.clear()
        async with asyncio.timeout(10):
            await self._some.wait()


@asynccontextmanager
async def watched(api: ApiClient, clock: QuickClock) -> AsyncIterator[Watched]:
    given = Watched(api, clock)
    task = asyncio.create_task(given.revisions.run())
    await given.until_changed()
    yield given
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def there(server: FakeApiServer) -> dict[str, str]:
    """The images of what is kept, by name."""
    kept = ((key, raw) for key, raw in server.store.objects.items() if key.plural == KIND)
    return {key.name: raw["data"]["spec"]["containers"][0]["image"] for key, raw in kept if key.namespace == NAMESPACE}


async def test_each_state_is_kept_once_and_what_is_too_old_goes(
    api: ApiClient, server: FakeApiServer, clock: QuickClock
) -> None:
    async with watched(api, clock) as given:
        keep = given.revisions.keep
        first = await keep(agents("1"), NOBODY)
        assert first["collisionCount"] == 0
        assert there(server) == {first["latestRevision"]: "1"}
        assert await keep(agents("1"), NOBODY) == first
        second = await keep(agents("2"), NOBODY)
        assert await keep(agents("1"), NOBODY) == first
        assert sorted(there(server).values()) == ["1", "2"]
        assert server.count(f"create {KIND}") == 2
        third = await keep(agents("3", revisionHistoryLimit=1), frozenset({second["latestRevision"]}))
        assert sorted(there(server).values()) == ["2", "3"]
        server.store.vanish(KIND, NAMESPACE, second["latestRevision"])
        assert await keep(agents("3", revisionHistoryLimit=1), NOBODY) == third  # though that is gone already


async def test_before_the_first_list_nothing_is_kept_and_nothing_named(
    api: ApiClient, server: FakeApiServer, clock: QuickClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_revisions, "PATIENCE_SECONDS", 0.01)
    revisions = Watched(api, clock).revisions
    assert (revisions.known(), await revisions.keep(agents("1"), NOBODY)) == (None, {})
    assert await revisions.named_by([agents("1")]) == ()
    named = agents("1", injectionStrategy={"revision": {"customVersion": "v1"}})
    with pytest.raises(ApiUnavailable, match="controllerrevisions in namespace kept-here have not yet been read"):
        await revisions.named_by([agents("1"), named])
    async with watched(api, clock) as given:
        await given.revisions.keep(agents("1"), NOBODY)
        assert len(await given.revisions.named_by([named])) == 1


async def test_what_another_controller_has_made_meanwhile_is_taken_over(
    api: ApiClient, server: FakeApiServer, clock: QuickClock
) -> None:
    async with watched(api, clock) as given, watched(api, clock) as other:
        await server.until(lambda: server.watches == 2)
        server.fail("create", KIND, 409)
        assert await given.revisions.keep(agents("1"), NOBODY) == {}
        made = await other.revisions.keep(agents("1"), NOBODY)
        while given.revisions.known() == ():
            await given.until_changed()
        assert await given.revisions.keep(agents("1"), NOBODY) == made
        assert len(there(server)) == 1


@pytest.mark.parametrize("status", [403, 404, 422])
async def test_what_is_refused_is_tried_again_and_holds_up_nobody(
    api: ApiClient, server: FakeApiServer, clock: QuickClock, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.01)
    async with watched(api, clock) as given:
        server.fail("create", KIND, status)
        assert await given.revisions.keep(agents("1"), NOBODY) == {}
        await given.until_changed()
        assert "latestRevision" in await given.revisions.keep(agents("1"), NOBODY)
