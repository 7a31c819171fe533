from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from tests.fakes.api_server import FakeApiServer
from tests.kube.pods import pod
from tests.kube.quick_clock import T0, QuickClock
from vkprovider.core.actions import PodEvent
from vkprovider.kube.client import ApiClient
from vkprovider.kube.event_recorder import QUEUE_LENGTH, EventRecorder
from vkprovider.model.pod import decode_pod

WEB = decode_pod(pod("web", uid="u1", metadata={"resourceVersion": "7"}))
STARTED = PodEvent(type="Normal", reason="Started", message="Started container app", field_path="spec.containers{app}")


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def warning(message: str, reason: str = "BackOff") -> PodEvent:
    return PodEvent(type="Warning", reason=reason, message=message)


@pytest.fixture
async def recorder(api: ApiClient, clock: QuickClock) -> AsyncIterator[EventRecorder]:
    recorder = EventRecorder(api, clock, "node")
    async with running(recorder):
        yield recorder


@asynccontextmanager
async def running(recorder: EventRecorder) -> AsyncIterator[None]:
    task = asyncio.create_task(recorder.run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def flushed(recorder: EventRecorder) -> None:
    async with asyncio.timeout(10):
        await recorder.flush()


def events(server: FakeApiServer) -> list[dict[str, Any]]:
    """In the order in which a list shows them."""
    return [raw for key, raw in sorted(server.store.objects.items()) if key.plural == "events"]


async def test_an_event_says_who_saw_what_of_which_object(server: FakeApiServer, recorder: EventRecorder) -> None:
    recorder.record(WEB, STARTED, at(5))
    await flushed(recorder)
    (event,) = events(server)
    assert event["involvedObject"] == {
        "kind": "Pod",
        "apiVersion": "v1",
        "namespace": "default",
        "name": "web",
        "uid": "u1",
        "resourceVersion": "7",
        "fieldPath": "spec.containers{app}",
    }
    assert event["source"] == {"component": "kubelet", "host": "node"}
    assert (event["reportingComponent"], event["reportingInstance"]) == ("kubelet", "node")
    assert (event["type"], event["reason"], event["message"]) == ("Normal", "Started", "Started container app")
    assert (event["firstTimestamp"], event["lastTimestamp"]) == ("2026-01-01T12:00:05Z",) * 2
    assert event["count"] == 1
    assert event["metadata"]["namespace"] == "default"


async def test_events_of_one_moment_keep_their_order(server: FakeApiServer, recorder: EventRecorder) -> None:
    messages = [f"message {number}" for number in range(9)]
    for message in messages:
        recorder.record(WEB, PodEvent(type="Normal", reason=message.replace(" ", ""), message=message), at(0))
    await flushed(recorder)
    assert [event["message"] for event in events(server)] == messages


async def test_the_same_event_again_is_counted(server: FakeApiServer, recorder: EventRecorder) -> None:
    for seconds in (0, 10, 30):
        recorder.record(WEB, warning("x"), at(seconds))
    recorder.record(WEB, warning("x", reason="Other"), at(40))
    await flushed(recorder)
    first, other = events(server)
    assert (first["count"], first["firstTimestamp"], first["lastTimestamp"]) == (
        3,
        "2026-01-01T12:00:00Z",
        "2026-01-01T12:00:30Z",
    )
    assert other["count"] == 1
    assert server.count("create events") == 2


async def test_an_expired_event_is_created_again_with_its_count(server: FakeApiServer, recorder: EventRecorder) -> None:
    recorder.record(WEB, warning("x"), at(0))
    await flushed(recorder)
    server.store.vanish("events", "default", events(server)[0]["metadata"]["name"])
    recorder.record(WEB, warning("x"), at(4000))
    await flushed(recorder)
    (event,) = events(server)
    assert (event["count"], event["firstTimestamp"]) == (2, "2026-01-01T12:00:00Z")


async def test_ten_that_are_alike_become_one(server: FakeApiServer, recorder: EventRecorder) -> None:
    for number in range(13):
        recorder.record(WEB, warning(f"failed {number}"), at(number))
    await flushed(recorder)
    *single, combined = events(server)
    assert [event["message"] for event in single] == [f"failed {number}" for number in range(9)]
    assert (combined["message"], combined["count"]) == ("(combined from similar events): failed 12", 4)


async def test_alike_but_long_apart_they_stay_single(server: FakeApiServer, recorder: EventRecorder) -> None:
    for number in range(12):
        recorder.record(WEB, warning(f"failed {number}"), at(601 * number))
    await flushed(recorder)
    assert len(events(server)) == 12


async def test_one_object_has_25_at_once_and_then_one_in_five_minutes(
    server: FakeApiServer, recorder: EventRecorder
) -> None:
    for number in range(40):
        recorder.record(WEB, warning("m", reason=f"R{number}"), at(0))
    recorder.record(decode_pod(pod("other", uid="u2")), warning("m"), at(0))
    recorder.record(WEB, warning("m", reason="Late"), at(301))
    recorder.record(WEB, warning("m", reason="TooLate"), at(302))
    await flushed(recorder)
    reasons = [event["reason"] for event in events(server) if event["involvedObject"]["name"] == "web"]
    assert reasons == [f"R{number}" for number in range(25)] + ["Late"]
    assert len(events(server)) == 27


async def test_events_wait_for_the_api_server_in_order(
    server: FakeApiServer, recorder: EventRecorder, clock: QuickClock
) -> None:
    await server.stop()
    for number in range(5):
        recorder.record(WEB, warning("m", reason=f"R{number}"), at(number))
    await clock.until(600)
    await server.start()
    await flushed(recorder)
    assert [event["reason"] for event in events(server)] == [f"R{number}" for number in range(5)]


async def test_a_refused_event_holds_up_no_other(server: FakeApiServer, recorder: EventRecorder) -> None:
    for status in (403, 404, 409, 422):
        server.fail("create", "events", status)
        recorder.record(WEB, warning("m", reason=f"R{status}"), at(0))
    recorder.record(WEB, STARTED, at(1))
    await flushed(recorder)
    assert [event["reason"] for event in events(server)] == ["Started"]


async def test_a_namespace_that_ends_is_no_matter_of_permissions(
    server: FakeApiServer, recorder: EventRecorder, clock: QuickClock
) -> None:
    details = {"causes": [{"reason": "NamespaceTerminating", "message": "namespace default is being terminated"}]}
    status = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "m", "details": details}
    server.fail("create", "events", 403, body=msgspec.json.encode(status))
    recorder.record(WEB, STARTED, at(0))
    await flushed(recorder)
    assert clock.waits == []


async def test_the_queue_is_bounded(server: FakeApiServer, api: ApiClient, clock: QuickClock) -> None:
    recorder = EventRecorder(api, clock, "node")
    for number in range(QUEUE_LENGTH + 500):
        recorder.record(decode_pod(pod("web", uid=f"u{number}")), STARTED, at(0))
    async with running(recorder):
        await flushed(recorder)
    assert len(events(server)) == QUEUE_LENGTH


async def test_events_about_other_objects(server: FakeApiServer, recorder: EventRecorder) -> None:
    involved = {"kind": "Node", "name": "node", "uid": "node"}
    recorder.note(involved, PodEvent(type="Normal", reason="NodeReady", message="ready"), at(0))
    await flushed(recorder)
    (event,) = events(server)
    assert event["involvedObject"] == involved
    assert event["metadata"]["namespace"] == "default"
