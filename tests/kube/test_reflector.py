from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.fakes.api_server import FakeApiServer, write_kubeconfig
from tests.kube.pods import NODE, pod
from tests.kube.quick_clock import QuickClock
from vkprovider.errors import ApiNotFound, ApiUnavailable
from vkprovider.kube.backoff import LONGEST_SECONDS
from vkprovider.kube.client import ApiClient, WatchEvent
from vkprovider.kube.reflector import Changed, Reflector, Removed, Replaced, Update
from vkprovider.kube.resources import PODS, Resource

ON_NODE = {"fieldSelector": f"spec.nodeName={NODE}"}


class Follower:
    """What a reflector has told, and the objects as they must be by it."""

    def __init__(self) -> None:
        self.updates: list[Update] = []
        self.objects: dict[str, dict[str, Any]] = {}
        self.more = asyncio.Event()

    async def follow(self, reflector: Reflector) -> None:
        async with aclosing(reflector.updates()) as updates:
            async for update in updates:
                self.updates.append(update)
                match update:
                    case Replaced(objects):
                        self.objects = {o["metadata"]["name"]: o for o in objects}
                    case Changed(raw):
                        self.objects[raw["metadata"]["name"]] = raw
                    case Removed(raw):
                        del self.objects[raw["metadata"]["name"]]
                self.more.set()

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self.more.clear()
                await self.more.wait()

    def told(self) -> list[tuple[str, ...]]:
        return [
            ("Replaced", *sorted(o["metadata"]["name"] for o in update.objects))
            if isinstance(update, Replaced)
            else (type(update).__name__, update.object["metadata"]["name"])
            for update in self.updates
        ]


@asynccontextmanager
async def following(api: ApiClient, clock: QuickClock, silence_seconds: float = 30) -> AsyncIterator[Follower]:
    follower = Follower()
    reflector = Reflector(api, PODS.at(), clock, selectors=ON_NODE, silence_seconds=silence_seconds)
    task = asyncio.create_task(follower.follow(reflector))
    try:
        yield follower
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def follower(server: FakeApiServer, api: ApiClient, clock: QuickClock) -> AsyncIterator[Follower]:
    server.store.put("pods", pod("a"))
    server.store.put("pods", pod("elsewhere", spec={"nodeName": "other"}))
    async with following(api, clock) as follower:
        await server.until(lambda: server.watches)
        yield follower


async def test_all_objects_then_each_change_in_order(server: FakeApiServer, follower: Follower) -> None:
    server.store.put("pods", pod("b"))
    server.store.edit("pods", "default", "a", metadata={"labels": {"x": "1"}})
    server.store.vanish("pods", "default", "a")
    server.store.put("pods", pod("nowhere", spec={"nodeName": "other"}))
    server.store.put("pods", pod("c"))
    await follower.until(lambda: "c" in follower.objects)
    assert follower.told() == [
        ("Replaced", "a"),
        ("Changed", "b"),
        ("Changed", "a"),
        ("Removed", "a"),
        ("Changed", "c"),
    ]
    assert server.count("list pods", "watch pods") == 2
    first = follower.updates[0]
    assert isinstance(first, Replaced)
    assert (first.objects[0]["kind"], first.objects[0]["apiVersion"]) == ("Pod", "v1")


async def test_the_list_is_of_the_newest_state(server: FakeApiServer, follower: Follower) -> None:
    (listed,) = (asked for asked in server.asked if asked.verb == "list")
    assert "resourceVersion" not in listed.query


@pytest.mark.parametrize("interruption", ["end_watches", "cut"])
async def test_after_an_interruption_it_goes_on_where_it_was(
    server: FakeApiServer, follower: Follower, interruption: str
) -> None:
    server.store.put("pods", pod("b"))
    await follower.until(lambda: "b" in follower.objects)
    getattr(server, interruption)()
    server.store.put("pods", pod("c"))
    server.store.vanish("pods", "default", "b")
    await follower.until(lambda: "b" not in follower.objects)
    assert follower.told()[1:] == [("Changed", "b"), ("Changed", "c"), ("Removed", "b")]
    assert server.count("list pods") == 1


async def test_a_bookmark_spares_the_list(server: FakeApiServer, follower: Follower) -> None:
    server.store.put("pods", pod("unseen", spec={"nodeName": "other"}))
    server.bookmark()
    server.store.put("pods", pod("b"))
    await follower.until(lambda: "b" in follower.objects)
    server.store.put("pods", pod("c", spec={"nodeName": "other"}))
    server.bookmark()
    server.end_watches()
    await server.until(lambda: server.count("watch pods") == 2)
    assert server.asked[-1].query["resourceVersion"] == str(server.store.version)


@pytest.mark.parametrize("in_stream", [True, False])
async def test_too_far_behind_it_lists_again(server: FakeApiServer, follower: Follower, in_stream: bool) -> None:
    server.gone_in_stream = in_stream
    server.stalled = True
    server.store.put("pods", pod("b"))
    server.store.vanish("pods", "default", "a")
    server.store.compact()
    server.stalled = False
    server.cut()
    await follower.until(lambda: "a" not in follower.objects)
    assert follower.told()[-1] == ("Replaced", "b")
    assert server.count("list pods") == 2


async def test_a_silent_connection_is_given_up(server: FakeApiServer, api: ApiClient, clock: QuickClock) -> None:
    async with following(api, clock, silence_seconds=0.2) as follower:
        await server.until(lambda: server.watches)
        server.stalled = True
        server.store.put("pods", pod("a"))
        await server.until(lambda: server.count("watch pods") == 2)
        server.stalled = False
        await follower.until(lambda: "a" in follower.objects)
    assert server.count("list pods") == 1


async def test_it_outlives_an_outage_with_ever_longer_waits(
    server: FakeApiServer, follower: Follower, clock: QuickClock
) -> None:
    await server.stop()
    server.store.put("pods", pod("b"))
    await clock.until(3600)
    assert clock.waits[0] < 0.2
    assert all(a < b for a, b in pairwise(clock.waits[:6]))
    assert LONGEST_SECONDS * 0.7 < max(clock.waits) <= LONGEST_SECONDS
    await server.start()
    await follower.until(lambda: "b" in follower.objects)
    assert follower.told() == [("Replaced", "a"), ("Changed", "b")]


@pytest.mark.parametrize("verb", ["list", "watch"])
@pytest.mark.parametrize("status", [401, 403, 429, 500, 503, 0])
async def test_refusals_are_tried_again(
    server: FakeApiServer, api: ApiClient, clock: QuickClock, verb: str, status: int
) -> None:
    server.fail(verb, "pods", status, times=3)
    async with following(api, clock) as follower:
        await follower.until(lambda: follower.updates)
        await server.until(lambda: server.watches)
        server.store.put("pods", pod("a"))
        await follower.until(lambda: "a" in follower.objects)
    assert clock.waits == sorted(clock.waits)


async def test_watches_that_end_at_once_are_not_asked_for_in_a_hot_loop(
    server: FakeApiServer, follower: Follower, clock: QuickClock
) -> None:
    for count in range(2, 6):
        server.end_watches()
        await server.until(lambda count=count: server.count("watch pods") == count and server.watches)
    assert len(clock.waits) == 4
    assert clock.waits == sorted(clock.waits)


class SlowlyFailing:
    """An API server that lists, but whose watches fail for want of a connection, each after its five seconds."""

    def __init__(self, clock: QuickClock) -> None:
        self._clock = clock
        self.tries = 0

    async def list(self, *_: object) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": []}

    async def watch(self, *_: object) -> AsyncIterator[WatchEvent]:
        self.tries += 1
        self._clock.elapsed += 5
        raise ApiUnavailable("nobody answers")
        yield


async def test_connections_that_take_long_to_fail_are_failures_all_the_same(clock: QuickClock) -> None:
    api = SlowlyFailing(clock)
    updates = Reflector(api, PODS.at(), clock).updates()  # type: ignore[arg-type]
    follower = asyncio.create_task(_all(updates))
    with capture_logs() as logs:
        await clock.until(120)
    follower.cancel()
    await asyncio.gather(follower, return_exceptions=True)
    assert clock.waits[:6] == sorted(clock.waits[:6])
    assert max(clock.waits) > LONGEST_SECONDS * 0.7
    assert [each["event"] for each in logs] == ["watch of pods: trying again"]


async def _all(updates: AsyncIterator[Update]) -> None:
    async for _ in updates:
        pass


async def test_an_error_that_is_to_be_raised_ends_it(api: ApiClient, server: FakeApiServer, clock: QuickClock) -> None:
    server.fail("list", "pods", 403)
    server.fail("watch", "pods", 404)
    with pytest.raises(ApiNotFound):
        await _all(Reflector(api, PODS.at(), clock).updates(raises=(ApiNotFound,)))
    assert server.count("list pods") == 2


async def test_of_many_versions_each_is_tried_in_its_turn(
    api: ApiClient, server: FakeApiServer, clock: QuickClock
) -> None:
    places = [Resource(plural).at() for plural in ("firsts", "seconds", "thirds")]
    server.store.put("thirds", {"metadata": {"name": "third"}})
    for plural in ("firsts", "seconds"):
        server.fail("list", plural, 404)
    async with aclosing(Reflector(api, places[0], clock, otherwise=places[1:]).updates()) as updates:
        first = await anext(updates)
    assert isinstance(first, Replaced)
    assert [raw["metadata"]["name"] for raw in first.objects] == ["third"]
    assert [str(asked) for asked in server.asked] == ["list firsts", "list seconds", "list thirds"]


def test_watches_end_at_different_times() -> None:
    seconds = {Reflector(None, PODS.at(str(n)), QuickClock())._query()["timeoutSeconds"] for n in range(20)}  # type: ignore[arg-type]
    assert len(seconds) > 10
    assert all(300 <= int(s) <= 600 for s in seconds)


NAMES = st.sampled_from("abc")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), NAMES),
        st.tuples(st.just("vanish"), NAMES),
        st.sampled_from([("cut",), ("end",), ("compact",), ("bookmark",), ("refuse",), ("wait",)]),
    ),
    max_size=12,
)


@given(STEPS)
def test_in_the_end_it_knows_what_there_is(steps: list[tuple[str, ...]]) -> None:
    asyncio.run(_story(steps))


async def _story(steps: list[tuple[str, ...]]) -> None:
    server, clock = FakeApiServer(), QuickClock()
    await server.start()
    with tempfile.TemporaryDirectory() as folder:
        api = ApiClient(clock, str(write_kubeconfig(Path(folder) / "kubeconfig", server.url)))
        async with following(api, clock) as follower:
            for number, step in enumerate(steps):
                await _step(server, number, *step)
            server.store.put("pods", pod("last"))
            names = {key.name: raw["metadata"]["resourceVersion"] for key, raw in server.store.objects.items()}
            await follower.until(
                lambda: {name: raw["metadata"]["resourceVersion"] for name, raw in follower.objects.items()} == names
            )
        await api.aclose()
    await server.stop()


async def _step(server: FakeApiServer, number: int, kind: str, name: str = "") -> None:
    match kind:
        case "put":
            server.store.put("pods", pod(name, metadata={"labels": {"step": str(number)}}))
        case "vanish":
            if server.store.get("pods", "default", name):
                server.store.vanish("pods", "default", name)
        case "cut":
            server.cut()
        case "end":
            server.end_watches()
        case "compact":
            server.store.compact()
        case "bookmark":
            server.bookmark()
        case "refuse":
            server.fail("watch", "pods", 500)
        case "wait":
            await server.until(lambda: server.watches)


async def test_where_a_version_is_not_served_the_other_one_is_asked_for(
    api: ApiClient, server: FakeApiServer, clock: QuickClock
) -> None:
    """And again, when that is served no longer."""
    server.store.put("sooners", {"metadata": {"name": "sooner"}})
    server.store.put("laters", {"metadata": {"name": "later"}})
    server.fail("list", "sooners", 404)
    follower = Follower()
    reflector = Reflector(api, Resource("sooners").at(), clock, otherwise=[Resource("laters").at()])
    task = asyncio.create_task(follower.follow(reflector))
    await follower.until(lambda: follower.told() == [("Replaced", "later")])
    await server.until(lambda: server.watches)
    server.fail("watch", "laters", 404)
    server.end_watches()
    await follower.until(lambda: follower.told()[1:] == [("Replaced", "sooner")])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
