from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fakes.api_server import FakeApiServer
from tests.kube.pods import condition, container_status, pod
from tests.kube.quick_clock import QuickClock
from vkprovider.kube.client import ApiClient
from vkprovider.kube.pods.status_writer import AT_ONCE, RESYNC_SECONDS, StatusWriter
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.model.refs import PodUID

RUNNING = {"phase": "Running", "conditions": [condition("Ready")], "containerStatuses": [container_status("app")]}
SUCCEEDED = {"phase": "Succeeded", "containerStatuses": [container_status("app", 0)]}


class Bench:
    """A writer on a server, and what it says is done."""

    def __init__(self, server: FakeApiServer, api: ApiClient, clock: QuickClock) -> None:
        self.server = server
        self.done: list[PodUID] = []
        self.writer = StatusWriter(api, clock, self._done)

    async def _done(self, uid: PodUID) -> None:
        self.done.append(uid)

    def has(self, name: str = "web", **fields: Any) -> Pod:
        return decode_pod(self.server.store.put("pods", pod(name, **fields)))

    def status(self, name: str = "web") -> dict[str, Any]:
        found = self.server.store.get("pods", "default", name)
        assert found is not None
        return dict(found["status"])

    async def settled(self) -> None:
        async with asyncio.timeout(10):
            await self.writer.flush()

    def seen(self, name: str = "web") -> None:
        found = self.server.store.get("pods", "default", name)
        assert found is not None
        self.writer.seen(found)

    def writes(self) -> list[str]:
        return [str(asked) for asked in self.server.asked if asked.verb in ("patch", "delete")]


@pytest.fixture
async def bench(server: FakeApiServer, api: ApiClient, clock: QuickClock) -> AsyncIterator[Bench]:
    bench = Bench(server, api, clock)
    task = asyncio.create_task(bench.writer.run())
    yield bench
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await bench.writer.aclose()


async def test_a_status_is_read_merged_and_patched(bench: Bench) -> None:
    web = bench.has(status={"conditions": [condition("Foreign")]})
    bench.writer.publish(web, RUNNING)
    await bench.settled()
    assert [str(asked) for asked in bench.server.asked] == ["get pods web", "patch pods/status web"]
    assert bench.server.asked[-1].body["metadata"] == {"uid": web.uid}
    assert [c["type"] for c in bench.status()["conditions"]] == ["Foreign", "Ready"]
    assert bench.status()["containerStatuses"] == RUNNING["containerStatuses"]


async def test_nothing_is_written_where_nothing_differs(bench: Bench) -> None:
    web = bench.has()
    for _ in range(3):
        bench.writer.publish(web, RUNNING)
        await bench.settled()
    assert bench.writes() == ["patch pods/status web"]


async def test_the_newest_status_wins_with_one_write_in_flight(bench: Bench) -> None:
    web = bench.has()
    async with bench.server.holding("get"):
        bench.writer.publish(web, RUNNING)
        await bench.server.until(lambda: bench.server.asked)
        for number in range(5):
            bench.writer.publish(web, RUNNING | {"message": str(number)})
        assert len(bench.server.asked) == 1
    await bench.settled()
    assert bench.status()["message"] == "4"
    assert len(bench.writes()) <= 2


async def test_no_status_is_lost_whenever_it_comes(bench: Bench) -> None:
    web = bench.has()
    for turns in range(60):
        bench.writer.publish(web, RUNNING | {"message": f"first {turns}"})
        await bench.server.until(lambda turns=turns: bench.status().get("message") == f"first {turns}")
        for _ in range(turns):
            await asyncio.sleep(0)
        bench.writer.publish(web, RUNNING | {"message": f"second {turns}"})
        await bench.settled()
        assert bench.status()["message"] == f"second {turns}"


async def test_a_pod_of_another_uid_is_left_alone(bench: Bench) -> None:
    old = bench.has()
    bench.server.store.vanish("pods", "default", "web")
    bench.has(uid="another")
    bench.writer.publish(old, RUNNING)
    bench.writer.gone(old)
    await bench.settled()
    assert bench.writes() == []
    assert bench.done == [old.uid]


async def test_a_pod_that_is_replaced_between_get_and_patch_is_left_alone(bench: Bench) -> None:
    old = bench.has()
    async with bench.server.holding("patch"):
        bench.writer.publish(old, RUNNING)
        await bench.server.until(lambda: bench.server.count("patch pods/status web"))
        bench.server.store.vanish("pods", "default", "web")
        bench.has(uid="another")
    await bench.settled()
    assert bench.status()["phase"] == "Pending"


@pytest.mark.parametrize("status", [0, 401, 403, 409, 429, 500, 503])
@pytest.mark.parametrize("verb", ["get", "patch"])
async def test_a_refused_write_is_tried_again(bench: Bench, clock: QuickClock, verb: str, status: int) -> None:
    bench.server.fail(verb, "pods", status, times=3)
    bench.writer.publish(bench.has(), RUNNING)
    await bench.settled()
    assert bench.status()["phase"] == "Running"
    assert clock.waits == sorted(clock.waits)
    assert clock.waits


async def test_an_outage_of_an_hour_costs_only_time(bench: Bench, clock: QuickClock) -> None:
    web, other = bench.has(), bench.has("other")
    bench.writer.publish(web, RUNNING)
    await bench.settled()
    await bench.server.stop()
    bench.writer.publish(web, RUNNING | {"message": "on the way"})
    bench.writer.publish(other, RUNNING)
    await clock.until(1800)
    bench.writer.publish(web, SUCCEEDED)
    await clock.until(3600)
    await bench.server.start()
    await bench.settled()
    assert bench.status()["phase"] == "Succeeded"
    assert bench.status("other")["phase"] == "Running"


async def test_a_pod_that_cannot_be_written_holds_back_no_other(bench: Bench) -> None:
    web, other = bench.has(), bench.has("other")
    async with bench.server.holding("patch"):
        bench.writer.publish(web, RUNNING)
        await bench.server.until(lambda: bench.server.count("patch pods/status web"))
        bench.writer.publish(other, RUNNING)
        await bench.server.until(lambda: bench.server.count("patch pods/status other"))


async def test_many_at_once_share_few_connections(bench: Bench) -> None:
    pods = [bench.has(f"p{number}") for number in range(3 * AT_ONCE)]
    async with bench.server.holding("get"):
        for each in pods:
            bench.writer.publish(each, RUNNING)
        await bench.server.until(lambda: len(bench.server.asked) == AT_ONCE)
    await bench.settled()
    assert {bench.status(each.metadata.name)["phase"] for each in pods} == {"Running"}


async def test_an_illegal_transition_is_not_sent(bench: Bench) -> None:
    web = bench.has(status={"containerStatuses": [container_status("app", 1)]})
    bench.writer.publish(web, RUNNING)
    await bench.settled()
    assert bench.status()["phase"] == "Running"
    assert bench.status()["containerStatuses"] == [container_status("app", 1)]


async def test_a_status_that_the_api_server_does_not_take_is_not_sent_again(bench: Bench) -> None:
    web = bench.has()
    bench.server.fail("patch", "pods", 422)
    bench.writer.publish(web, RUNNING)
    await bench.settled()
    assert bench.status()["phase"] == "Pending"
    bench.writer.publish(web, SUCCEEDED)
    await bench.settled()
    assert bench.status()["phase"] == "Succeeded"
    assert bench.server.count("patch pods/status web") == 2


# --- the end --------------------------------------------------------------------------------------------------


async def test_the_last_status_is_written_before_the_object_goes(bench: Bench) -> None:
    web = bench.has(metadata={"deletionTimestamp": "2026-01-01T12:00:00Z", "deletionGracePeriodSeconds": 30})
    bench.writer.publish(web, SUCCEEDED)
    bench.writer.gone(web)
    await bench.settled()
    assert bench.writes() == ["patch pods/status web", "delete pods web"]
    options = bench.server.asked[-1].body
    assert (options["gracePeriodSeconds"], options["preconditions"]) == (0, {"uid": web.uid})
    assert bench.server.store.get("pods", "default", "web") is None
    assert bench.done == [web.uid]


async def test_with_finalizers_the_object_stays_with_its_last_status(bench: Bench) -> None:
    marks = {"deletionTimestamp": "2026-01-01T12:00:00Z", "deletionGracePeriodSeconds": 30}
    web = bench.has(metadata=marks | {"finalizers": ["example.com/x"]})
    bench.writer.publish(web, SUCCEEDED)
    bench.writer.gone(web)
    await bench.settled()
    assert bench.status()["phase"] == "Succeeded"
    assert bench.done == [web.uid]
    assert bench.writer.is_gone(web.uid)
    bench.seen()
    await bench.settled()
    assert len(bench.writes()) == 2


async def test_an_object_that_is_not_to_go_stays(bench: Bench) -> None:
    web = bench.has()
    bench.writer.publish(web, SUCCEEDED)
    bench.writer.gone(web)
    await bench.settled()
    assert bench.writes() == ["patch pods/status web"]
    assert bench.done == [web.uid]


@pytest.mark.parametrize("verb", ["get", "patch", "delete"])
async def test_the_end_outlives_failures(bench: Bench, verb: str) -> None:
    web = bench.has(metadata={"deletionTimestamp": "2026-01-01T12:00:00Z", "deletionGracePeriodSeconds": 30})
    bench.server.fail(verb, "pods", 500, times=2)
    bench.writer.publish(web, SUCCEEDED)
    bench.writer.gone(web)
    await bench.settled()
    assert bench.server.store.get("pods", "default", "web") is None
    assert bench.done == [web.uid]


async def test_a_pod_is_not_done_before_its_end_is_written(bench: Bench, clock: QuickClock) -> None:
    web = bench.has(metadata={"deletionTimestamp": "2026-01-01T12:00:00Z", "deletionGracePeriodSeconds": 30})
    await bench.server.stop()
    bench.writer.publish(web, SUCCEEDED)
    bench.writer.gone(web)
    await clock.until(600)
    assert bench.done == []
    await bench.server.start()
    await bench.settled()
    assert bench.done == [web.uid]


async def test_a_refused_last_status_does_not_keep_the_object(bench: Bench) -> None:
    web = bench.has(metadata={"deletionTimestamp": "2026-01-01T12:00:00Z", "deletionGracePeriodSeconds": 30})
    bench.server.fail("patch", "pods", 422)
    bench.writer.publish(web, SUCCEEDED)
    bench.writer.gone(web)
    await bench.settled()
    assert bench.server.store.get("pods", "default", "web") is None


async def test_nothing_is_asked_about_an_object_that_has_vanished(bench: Bench) -> None:
    web = bench.has()
    bench.writer.vanished(web)
    bench.writer.publish(web, SUCCEEDED)
    bench.writer.gone(web)
    await bench.settled()
    assert bench.server.asked == []
    assert bench.done == [web.uid]
    assert not bench.writer.is_gone(web.uid)  # forgotten: nothing can come of it any more


# --- what others do -------------------------------------------------------------------------------------------


async def test_what_others_change_is_put_right_within_ten_seconds(bench: Bench, clock: QuickClock) -> None:
    web = bench.has()
    bench.writer.publish(web, RUNNING)
    await bench.settled()
    bench.server.store.edit("pods", "default", "web", status={"phase": "Pending", "podIP": "1.2.3.4"})
    bench.seen()
    await bench.server.until(lambda: bench.status()["phase"] == "Running")
    assert clock.waits == [RESYNC_SECONDS]
    assert bench.status()["podIP"] == "1.2.3.4"


async def deviate(bench: Bench, name: str) -> None:
    """Have the writer put one pod right, so that it has looked at all of them."""
    bench.server.store.edit("pods", "default", name, status={"phase": "Pending"})
    bench.seen(name)
    await bench.server.until(lambda: bench.status(name)["phase"] == "Running")
    await bench.settled()


async def test_nothing_is_sent_while_nothing_happens(bench: Bench, clock: QuickClock) -> None:
    for number in range(5):
        bench.writer.publish(bench.has(f"p{number}"), RUNNING)
    await bench.settled()
    bench.server.asked.clear()
    for number in range(5):
        bench.seen(f"p{number}")
        bench.server.store.edit("pods", "default", f"p{number}", metadata={"labels": {"x": "y"}})
        bench.server.store.edit("pods", "default", f"p{number}", status={"nominatedNodeName": "n"})
        bench.seen(f"p{number}")
    assert clock.waits == []
    await deviate(bench, "p0")
    assert [str(asked) for asked in bench.server.asked] == ["get pods p0", "patch pods/status p0"]


async def test_a_field_that_the_api_server_drops_is_not_sent_for_ever(bench: Bench) -> None:
    """API servers before 1.33 know no observedGeneration."""
    patch = bench.server.store.patch

    def forgetful(key: Any, subresource: str, body: Any) -> Any:
        body["status"].pop("observedGeneration", None)
        return patch(key, subresource, body)

    bench.server.store.patch = forgetful  # type: ignore[method-assign]
    for name in ("web", "other"):
        bench.writer.publish(bench.has(name), RUNNING | {"observedGeneration": 1})
    await bench.settled()
    bench.seen()
    await deviate(bench, "other")
    assert bench.server.count("patch pods/status web", "get pods web") == 2


async def test_it_knows_what_it_says_of_a_pod(bench: Bench) -> None:
    web = bench.has()
    assert bench.writer.phase(web.uid) == ""
    bench.writer.publish(web, RUNNING)
    assert bench.writer.phase(web.uid) == "Running"
    assert not bench.writer.is_gone(web.uid)
    bench.writer.gone(web)
    assert bench.writer.is_gone(web.uid)
    await bench.settled()
