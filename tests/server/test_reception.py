"""Clients that dawdle, flood, or send too much: those that know what they want are served all the same."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from tests.server.certificates import Authority, anonymous
from tests.server.conftest import Node
from tests.server.secured import Secured
from vkprovider.model.access import User
from vkprovider.server.answers import AT_ONCE
from vkprovider.server.certificates import write_self_signed
from vkprovider.server.reception import Limits

FEW = Limits(strangers=50, seconds=60)
HASTY = Limits(strangers=50, seconds=0.3)
PATIENCE = 10
HEADERS = b"GET /healthz HTTP/1.1\r\nHost: node\r\n"


@asynccontextmanager
async def connected(
    port: int, context: ssl.SSLContext | None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def heard(reader: asyncio.StreamReader) -> bytes:
    """All until the server hangs up."""
    async with asyncio.timeout(PATIENCE):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


@pytest.fixture
def secured(tmp_path: Path) -> Secured:
    secured = Secured(tmp_path)
    secured.reviews.may("monitor", "get", "healthz")
    return secured


@pytest.mark.parametrize("shakes_hands", [False, True])
async def test_200_half_open_connections_keep_nobody_out(node: Node, secured: Secured, shakes_hands: bool):
    """Neither those that say nothing at all, nor those that have begun their headers."""
    client = secured.authority.client("CN=monitor")
    async with secured.serving(node, FEW), AsyncExitStack() as stack:
        opened = []
        for _ in range(200):
            context = anonymous() if shakes_hands else None
            reader, writer = await stack.enter_async_context(connected(secured.port, context))
            writer.write(HEADERS if shakes_hands else b"\x16")
            opened.append(reader)
        assert await secured.ask(client) == (200, "ok")
        for reader in opened[: 200 - FEW.strangers]:  # the oldest had to make room
            assert await heard(reader) == b""
        assert secured.reviews.tokens == []
        assert not opened[-1].at_eof()


async def test_a_flood_of_tokens_keeps_nobody_out(node: Node, secured: Secured):
    """And does not take the node's own connections to the API server."""
    secured.reviews.answering.clear()
    secured.reviews.users["s3cret"] = User(name="monitor")
    async with secured.serving(node, FEW):
        async with AsyncExitStack() as stack:
            for number in range(3 * AT_ONCE):
                _, writer = await stack.enter_async_context(connected(secured.port, anonymous()))
                writer.write(HEADERS + f"Authorization: Bearer {number}\r\n\r\n".encode())
            assert await secured.ask(secured.authority.client("CN=monitor")) == (200, "ok")
            assert len(secured.reviews.tokens) <= AT_ONCE
        secured.reviews.answering.set()
        assert await secured.ask(anonymous(), token="s3cret") == (200, "ok")


@pytest.mark.parametrize("says", [b"", b"\x16\x03\x01", HEADERS, HEADERS + b"Authorization: Bearer x\r\n\r\n"])
async def test_a_stranger_has_little_time(node: Node, secured: Secured, says: bytes):
    async with (
        secured.serving(node, HASTY),
        connected(secured.port, anonymous() if says.startswith(b"GET") else None) as (reader, writer),
    ):
        writer.write(says)
        answer = await heard(reader)
    assert answer.startswith(b"HTTP/1.1 401 ") == says.endswith(b"\r\n\r\n")


async def test_who_is_known_has_all_the_time(node: Node, secured: Secured):
    client = secured.authority.client("CN=monitor")
    async with (
        secured.serving(node, HASTY),
        connected(secured.port, client) as (reader, writer),
        connected(secured.port, None) as (stranger, _),
    ):
        writer.write(HEADERS + b"\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(2) == b"ok"
        assert await heard(stranger) == b""  # its time is up, and so would the other's be
        writer.write(HEADERS + b"\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "flood",
    [b"GET /" + b"a" * 1_000_000, HEADERS + b"X: " + b"a" * 1_000_000, HEADERS + b"X: y\r\n" * 200_000],
    ids=["line", "header", "headers"],
)
async def test_headers_have_an_end(node: Node, secured: Secured, flood: bytes, caplog: pytest.LogCaptureFixture):
    """And are not worth a line in the log."""
    async with secured.serving(node, FEW), connected(secured.port, anonymous()) as (reader, writer):
        writer.write(flood)
        answer = await heard(reader)
    assert answer == b"" or answer.startswith(b"HTTP/1.0 400 ")
    assert caplog.records == []


async def test_a_command_may_have_many_words(node: Node, secured: Secured):
    secured.reviews.may("monitor", "get", "proxy")
    async with secured.serving(node, FEW):
        path = "/exec/default/web/absent?output=1&command=" + 200_000 * "x"
        assert (await secured.ask(secured.authority.client("CN=monitor"), path))[0] == 500


async def test_a_body_that_nobody_asked_for_is_not_kept(node: Node, secured: Secured):
    async with secured.serving(node, FEW), connected(secured.port, anonymous()) as (reader, writer):
        writer.write(
            b"POST /exec/default/web/app HTTP/1.1\r\nHost: node\r\nContent-Length: 1000000000\r\n\r\n" + bytes(99)
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 401 ")


async def test_strangers_are_hung_up_on_when_the_server_stops(node: Node, secured: Secured):
    async with AsyncExitStack() as stack:
        async with secured.serving(node, FEW):
            silent, _ = await stack.enter_async_context(connected(secured.port, None))
            begun, writer = await stack.enter_async_context(connected(secured.port, anonymous()))
            writer.write(HEADERS)
        assert (await heard(silent), await heard(begun)) == (b"", b"")


async def test_certificates_are_taken_up_as_they_change(node: Node, secured: Secured, tmp_path: Path):
    before, after = secured.authority.client("CN=monitor"), Authority(tmp_path)
    later = after.client("CN=monitor")

    async def certificate() -> str:
        secured.clock.ahead += 10
        return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", secured.port))

    async with secured.serving(node, FEW):
        first = await certificate()
        await asyncio.to_thread(secured.pair.write_text, "half written")
        with capture_logs() as said:
            assert [await certificate(), await certificate()] == [first, first]
        assert [line["log_level"] for line in said] == ["warning"]  # once, not with each client
        await asyncio.to_thread(write_self_signed, secured.pair, ["node"], secured.clock.now())
        assert await certificate() != first
        assert (await secured.ask(before))[0] == 200
        await asyncio.to_thread(secured.authorities.write_text, after.pem)
        await certificate()
        assert (await secured.ask(later))[0] == 200
        with pytest.raises(aiohttp.ClientError):
            await secured.ask(before)
