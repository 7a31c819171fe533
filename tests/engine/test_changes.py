from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from tests.engine.scripted_engine import ScriptedEngine, Stream, refusing
from vkprovider.engine.changes import changes
from vkprovider.engine.endpoint import Endpoint
from vkprovider.engine.streaming import Streaming
from vkprovider.engine.unary import Unary
from vkprovider.model.labels import NODE, POD_UID
from vkprovider.model.refs import PodUID

Changes = AsyncGenerator[PodUID | None]


def event(uid: str = "", **attributes: str) -> bytes:
    labels = ({POD_UID: uid} if uid else {}) | attributes
    return (
        json.dumps({"Type": "container", "Action": "die", "Actor": {"ID": "c", "Attributes": labels}}).encode() + b"\n"
    )


async def told(heard: AsyncIterator[PodUID | None]) -> PodUID | None:
    async with asyncio.timeout(10):
        return await anext(heard)


@pytest.fixture
def stream(scripted: ScriptedEngine) -> Stream:
    stream = scripted.answers["GET /events"] = Stream()
    return stream


@pytest.fixture
async def streaming(scripted: ScriptedEngine) -> AsyncIterator[Streaming]:
    endpoint = Endpoint(f"http+{scripted.url}")
    unary = Unary(endpoint, 1, 5)
    streaming = Streaming(endpoint, unary)
    yield streaming
    await streaming.close()
    await unary.close()


@pytest.fixture
async def heard(streaming: Streaming) -> AsyncIterator[Changes]:
    async with aclosing(changes(streaming, "me", relist_seconds=3600)) as heard:
        yield heard


async def test_what_is_asked_for(heard: Changes, scripted: ScriptedEngine, stream: Stream):
    assert await told(heard) is None
    (asked,) = (asked for asked in scripted.asked if asked.path == "/events")
    filters = json.loads(asked.query["filters"])
    assert filters["label"] == [f"{NODE}=me"]
    assert filters["type"] == ["container"]
    assert {"start", "die", "oom", "destroy"} <= set(filters["event"])
    assert not [action for action in filters["event"] if action.startswith(("exec", "health"))]
    # A moment before, by the engine's clock: what happens between its answer and its listening is told all the same.
    assert asked.query["since"] == "1767323044"


async def test_events_become_uids(heard: Changes, stream: Stream):
    assert await told(heard) is None
    events = await stream.next()
    for cut in (5, 60):
        whole = event("a") + event(tool="x") + event("b")
        events.put_nowait(whole[:cut])
        events.put_nowait(whole[cut:])
        assert [await told(heard), await told(heard)] == ["a", "b"]


async def test_when_the_stream_ends_it_is_opened_again(heard: Changes, stream: Stream):
    assert await told(heard) is None
    (await stream.next()).put_nowait(None)
    assert await told(heard) is None
    (await stream.next()).put_nowait(event("a"))
    assert await told(heard) == "a"


@pytest.mark.parametrize("garbage", [b"no JSON\n", b'{"Actor": 1}\n', b"[]\n"])
async def test_after_garbage_it_is_opened_again(heard: Changes, stream: Stream, garbage: bytes):
    assert await told(heard) is None
    (await stream.next()).put_nowait(garbage)
    assert await told(heard) is None
    (await stream.next()).put_nowait(event("a"))
    assert await told(heard) == "a"


async def test_a_strange_event_does_no_harm(heard: Changes, stream: Stream):
    assert await told(heard) is None
    events = await stream.next()
    events.put_nowait(b"{}\n" + event("a"))
    assert await told(heard) == "a"


async def test_an_engine_that_refuses_is_asked_again(heard: Changes, scripted: ScriptedEngine, stream: Stream):
    scripted.answers["GET /events"] = refusing(500, "not now")
    waiting: asyncio.Task[Any] = asyncio.ensure_future(told(heard))
    async with asyncio.timeout(10):
        while scripted.paths().count("/events") < 2:  # noqa: ASYNC110  the engine has no word for it
            await asyncio.sleep(0.01)
    assert not waiting.done()
    scripted.answers["GET /events"] = stream
    assert await waiting is None


async def test_all_pods_are_due_again_and_again(streaming: Streaming, stream: Stream):
    async with aclosing(changes(streaming, "me", relist_seconds=0.05)) as heard:
        assert [await told(heard) for _ in range(4)] == [None] * 4
        events = await stream.next()
        events.put_nowait(event("a"))
        while await told(heard) != "a":
            pass
    assert stream.opened.empty()  # on one connection


async def test_half_an_event_is_not_lost_when_all_pods_become_due(streaming: Streaming, stream: Stream):
    async with aclosing(changes(streaming, "me", relist_seconds=0.05)) as heard:
        await told(heard)
        events = await stream.next()
        events.put_nowait(event("a")[:40])
        assert [await told(heard), await told(heard)] == [None, None]
        events.put_nowait(event("a")[40:])
        while await told(heard) != "a":
            pass


async def test_to_stop_listening_hangs_up(heard: Changes, stream: Stream):
    assert await told(heard) is None
    events = await stream.next()
    await heard.aclose()
    async with asyncio.timeout(10):
        while not stream.closed.is_set():
            events.put_nowait(event("a"))
            await asyncio.sleep(0.01)
