"""The webhook on the network: what it answers, and by which certificate."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from tests.fakes.api_server import PATIENCE
from vkprovider.errors import ApiUnavailable, SpecError
from vkprovider.kube.certificates.own_authority import bundle, issue, new_authority
from vkprovider.node.clock import SystemClock
from vkprovider.webhook.endpoint import application
from vkprovider.webhook.serving import ServingPair, WebhookError, listen, serve

PATH = "/pods"
NOW = SystemClock().now()
LIFE = timedelta(hours=1)
OLD, NEW = (new_authority(f"test {name}", NOW, LIFE) for name in ("old", "new"))


@asynccontextmanager
async def served(made: web.Application, pair: ServingPair, handshake_seconds: float = 5.0) -> AsyncIterator[str]:
    """Its URL."""
    listener = listen(0)
    task = asyncio.create_task(serve(made, listener, pair, handshake_seconds))
    yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    listener.close()


async def ask(url: str, body: bytes = b"{}", *, trusting: bytes) -> tuple[int, str]:
    """One question on a connection of its own."""
    trust = ssl.create_default_context(cadata=trusting.decode())
    async with (
        aiohttp.ClientSession(trust_env=False) as session,
        session.post(url, data=BytesIO(body), ssl=trust) as answer,
    ):
        return answer.status, await answer.text()


async def echo(body: bytes) -> dict[str, Any]:
    return {"heard": body.decode()}


def failing(exc: Exception) -> Callable[[bytes], Any]:
    async def fail(_: bytes) -> dict[str, Any]:
        raise exc

    return fail


@pytest.fixture
async def pair() -> ServingPair:
    made = ServingPair()
    await made.use(issue(OLD, ["127.0.0.1"], NOW))
    return made


async def test_the_certificate_changes_while_it_serves(pair: ServingPair) -> None:
    both = bundle([OLD, NEW])
    async with served(application({PATH: echo}, lambda: True), pair) as url:
        assert await ask(url + PATH, b"one", trusting=both) == (200, '{"heard":"one"}')
        await pair.use(issue(NEW, ["127.0.0.1"], NOW))
        assert await ask(url + PATH, b"two", trusting=both) == (200, '{"heard":"two"}')
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await ask(url + PATH, trusting=bundle([OLD]))
        with pytest.raises(WebhookError, match="certificate cannot be taken up"):
            await pair.use(b"nothing")
        assert await ask(url + PATH, b"three", trusting=bundle([NEW])) == (200, '{"heard":"three"}')


@pytest.mark.parametrize(
    ("exc", "status"), [(SpecError("no question"), 400), (ApiUnavailable("not now"), 503)], ids=["question", "answer"]
)
async def test_what_cannot_be_answered_lets_no_pod_through(pair: ServingPair, exc: Exception, status: int) -> None:
    async with served(application({PATH: failing(exc)}, lambda: True), pair) as url:
        assert await ask(url + PATH, trusting=bundle([OLD])) == (status, f"{exc}\n")
        assert (await ask(url + PATH, b"x" * (9 << 20), trusting=bundle([OLD])))[0] == 413
        assert (await ask(url + "/other", trusting=bundle([OLD])))[0] == 404


async def test_who_does_not_agree_on_tls_in_time_is_dropped(pair: ServingPair) -> None:
    async with served(application({PATH: echo}, lambda: True), pair, 0.1) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        writer.close()
        assert await ask(url + PATH, b"one", trusting=bundle([OLD])) == (200, '{"heard":"one"}')


async def test_it_is_ready_once_it_is_registered(pair: ServingPair) -> None:
    ready: list[bool] = []
    trust = ssl.create_default_context(cadata=bundle([OLD]).decode())
    async with (
        served(application({PATH: echo}, lambda: bool(ready)), pair) as url,
        aiohttp.ClientSession(trust_env=False) as session,
    ):
        for status in (503, 200):
            async with session.get(url + "/readyz", ssl=trust) as answer:
                assert answer.status == status
            ready.append(True)


async def test_a_port_that_is_taken_is_named() -> None:
    with listen(0) as taken, pytest.raises(WebhookError, match=r"cannot be listened on: .* give another with --port"):
        listen(taken.getsockname()[1])
