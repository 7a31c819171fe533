from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from tests.server.conftest import UID, Node
from tests.server.spdy_client import PATIENCE
from vkprovider.model.engine import LogLine

LOGS = "/containerLogs/default/web/app"
BEGIN = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


def write(node: Node, *outputs: tuple[str, bytes]) -> None:
    """Have the container say this, a second apart."""
    container = node.engine.containers[node.app_id]
    for stream, data in outputs:
        at = BEGIN + timedelta(seconds=len(container.output))
        container.output.append(LogLine(time=at, stream=stream, data=data))
    container.news.set()


@pytest.fixture
def spoken(node: Node) -> Node:
    write(node, ("stdout", b"one\n"), ("stderr", b"two\n"), ("stdout", b"three\n"), ("stdout", b"four"))
    return node


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", b"one\ntwo\nthree\nfour"),
        ("tailLines=2", b"three\nfour"),
        ("tailLines=0", b""),
        ("tail=all", b"one\ntwo\nthree\nfour"),
        ("tail=1", b"four"),
        ("limitBytes=5", b"one\nt"),
        ("limitBytes=5&timestamps=true", b"2026-"),
        ("limitBytes=1000", b"one\ntwo\nthree\nfour"),
        ("stream=Stdout", b"one\nthree\nfour"),
        ("stream=Stderr", b"two\n"),
        ("stream=All", b"one\ntwo\nthree\nfour"),
        ("sinceTime=2026-01-02T03:04:06.000678Z", b"two\nthree\nfour"),
        ("sinceTime=2026-01-02T04:04:07Z", b""),
        ("sinceTime=2026-01-02T04:04:07%2B01:00", b"three\nfour"),
        ("sinceSeconds=1", b""),
        ("sinceSeconds=1000000000", b"one\ntwo\nthree\nfour"),
        ("follow=false&previous=0&timestamps=0", b"one\ntwo\nthree\nfour"),
        ("timestamps=true&tailLines=2", b"2026-01-02T03:04:07.000678000Z three\n2026-01-02T03:04:08.000678000Z four"),
    ],
)
async def test_what_was_said(spoken: Node, http: aiohttp.ClientSession, query: str, expected: bytes):
    async with http.get(f"{LOGS}?{query}") as answer:
        assert (answer.status, answer.content_type, await answer.read()) == (200, "text/plain", expected)


async def test_the_rest_of_a_cut_line_gets_no_time_of_its_own(node: Node, http: aiohttp.ClientSession):
    write(node, ("stdout", b"long "), ("stdout", b"line\n"), ("stdout", b"next\n"))
    async with http.get(f"{LOGS}?timestamps=1") as answer:
        lines = (await answer.read()).splitlines()
    assert [line.split(b" ", 1)[1] for line in lines] == [b"long line", b"next"]


async def test_what_is_being_said(spoken: Node, http: aiohttp.ClientSession):
    async with asyncio.timeout(PATIENCE), http.get(f"{LOGS}?follow=true&tailLines=0") as answer:
        assert answer.status == 200  # before anything is said
        write(spoken, ("stdout", b"five\n"))
        assert await answer.content.readline() == b"five\n"
        write(spoken, ("stdout", b"six\n"))
        assert await answer.content.readline() == b"six\n"
        spoken.engine.exit(spoken.app_id)
        assert await answer.content.read() == b""


async def test_who_has_gone_is_not_followed_any_more(spoken: Node, http: aiohttp.ClientSession):
    container = spoken.engine.containers[spoken.app_id]
    ended = asyncio.Event()
    real = spoken.engine.logs

    async def logs(*args: Any, **options: Any) -> Any:
        try:
            async for line in real(*args, **options):
                yield line
        finally:
            ended.set()

    spoken.engine.logs = logs  # type: ignore[method-assign]
    async with http.get(f"{LOGS}?follow=true") as answer:
        assert await answer.content.readline() == b"one\n"
    await asyncio.wait_for(ended.wait(), PATIENCE)
    assert container.running


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("tailLines=x", 400, '{"message": "Unable to decode query."}'),
        ("sinceTime=yesterday", 400, '{"message": "Unable to decode query."}'),
        ("sinceTime=2026-01-02T03:04:06", 400, '{"message": "Unable to decode query."}'),
        ("sinceSeconds=99999999999999", 400, '{"message": "Unable to decode query."}'),
        ("tailLines=-1", 422, '{"message": "Invalid request."}'),
        ("limitBytes=0", 422, '{"message": "Invalid request."}'),
        ("sinceSeconds=0", 422, '{"message": "Invalid request."}'),
        ("sinceSeconds=1&sinceTime=2026-01-02T03:04:06Z", 422, '{"message": "Invalid request."}'),
        ("stream=Both", 422, '{"message": "Invalid request."}'),
        ("stream=Stdout&tailLines=1", 422, '{"message": "Invalid request."}'),
    ],
)
async def test_queries_that_cannot_be_meant(
    node: Node, http: aiohttp.ClientSession, query: str, status: int, text: str
):
    async with http.get(f"{LOGS}?{query}") as answer:
        assert (answer.status, await answer.text()) == (status, text)


WAITING = 'container "app" in pod "web" is waiting to start: '


@pytest.mark.parametrize(
    ("status", "query", "text"),
    [
        ({"state": {"waiting": {"reason": "PodInitializing"}}}, "", WAITING + "PodInitializing"),
        ({"state": {"waiting": {"reason": "ErrImagePull"}}}, "", WAITING + "image can't be pulled"),
        ({"state": {"waiting": {"reason": "ImagePullBackOff"}}}, "", WAITING + "trying and failing to pull image"),
        ({"state": {"terminated": {"exitCode": 128}}}, "", 'container "app" in pod "web" is terminated'),
        ({"state": {"running": {}}}, "previous=true", 'previous terminated container "app" in pod "web" not found'),
        ({"name": "other", "state": {}}, "", 'container "app" in pod "web" is not available'),
    ],
)
async def test_where_nothing_was_said_yet(
    node: Node, http: aiohttp.ClientSession, status: dict[str, Any], query: str, text: str
):
    node.pods.statuses[UID] = {"containerStatuses": [{"name": "app", **status}]}
    async with http.get(f"{LOGS}?{query}") as answer:
        assert (answer.status, await answer.text()) == (400, text)


@pytest.mark.parametrize(
    ("state", "last", "query"),
    [
        ({"terminated": {"containerID": "docker://{}"}}, {}, ""),
        ({"terminated": {}}, {"terminated": {"containerID": "docker://{}"}}, ""),
        ({"waiting": {"reason": "CrashLoopBackOff"}}, {"terminated": {"containerID": "docker://{}"}}, ""),
        ({"running": {}}, {"terminated": {"containerID": "docker://{}"}}, "previous=true"),
    ],
)
async def test_which_instance(
    spoken: Node, http: aiohttp.ClientSession, state: dict[str, Any], last: dict[str, Any], query: str
):
    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(inner) for key, inner in value.items()}
        return value.format(spoken.app_id)

    spoken.tell("app", filled(state), lastState=filled(last), containerID="docker://another")
    async with http.get(LOGS) if not query else http.get(f"{LOGS}?{query}") as answer:
        assert await answer.read() == b"one\ntwo\nthree\nfour"


async def test_a_log_that_is_gone(node: Node, http: aiohttp.ClientSession):
    await node.engine.remove(node.app_id)
    async with http.get(LOGS) as answer:
        assert answer.status == 400
        assert (await answer.text()).startswith("the log cannot be read: No such container")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/containerLogs/default/absent/app", 'pod "absent" does not exist'),
        ("/containerLogs/default/web/absent", 'container "absent" not found in pod "web"'),
    ],
)
async def test_what_is_not_there(node: Node, http: aiohttp.ClientSession, path: str, text: str):
    async with http.get(path) as answer:
        assert (answer.status, await answer.text()) == (404, text)
