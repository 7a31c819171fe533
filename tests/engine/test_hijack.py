"""Streams to an engine that does not do as it should."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.engine.scripted_engine import ScriptedEngine, refusing
from vkprovider.engine.attached import AttachedStreams
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.engine.endpoint import Endpoint
from vkprovider.engine.hijack import Hijacked, hijacked
from vkprovider.errors import EngineConflict, EngineError, EngineNotFound, EngineUnavailable
from vkprovider.model.refs import ContainerID

C = ContainerID("c" * 64)
SWITCHED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class RawEngine:
    """Whatever connects is asked nothing and answered by a script."""

    def __init__(self, socket: Path) -> None:
        self.endpoint = Endpoint(f"http+unix://{socket}")
        self.script: Script = self.say()
        self.request = b""

    def say(self, *pieces: bytes) -> Script:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()

        return answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            self.request = await reader.readuntil(b"\r\n\r\n")
            await self.script(reader, writer)
            writer.close()
            await writer.wait_closed()


@pytest.fixture
async def raw(tmp_path: Path) -> AsyncIterator[RawEngine]:
    engine = RawEngine(tmp_path / "engine.sock")
    async with await asyncio.start_unix_server(engine.serve, tmp_path / "engine.sock"):
        yield engine


async def all_of(connection: Hijacked) -> bytes:
    heard = b""
    while data := await connection.read():
        heard += data
    return heard


async def test_what_follows_the_answer_is_the_stream(raw: RawEngine):
    for cut in range(len(SWITCHED), len(SWITCHED) + 3):
        whole = SWITCHED + b"rest"
        raw.script = raw.say(whole[:cut], whole[cut:])
        async with hijacked(raw.endpoint, "/x", params={"a": 1}) as connection:
            assert await all_of(connection) == b"rest"
    assert raw.request.startswith(b"POST /x?a=1 HTTP/1.1\r\n")


async def test_both_sides_may_end_first(raw: RawEngine):
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SWITCHED)
        writer.write(await reader.read())

    raw.script = echo
    async with hijacked(raw.endpoint, "/x") as connection:
        await connection.write(b"all")
        connection.end()
        assert await all_of(connection) == b"all"
        connection.end()


async def test_what_is_written_to_an_engine_that_has_hung_up_is_lost(raw: RawEngine):
    raw.script = raw.say(SWITCHED)
    async with hijacked(raw.endpoint, "/x") as connection:
        assert await all_of(connection) == b""
        for _ in range(10):
            await connection.write(bytes(100_000))
        connection.end()


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (b'HTTP/1.1 404 Not Found\r\nContent-Length: 17\r\n\r\n{"message":"none"}'[:-1], EngineNotFound, "message"),
        (b'HTTP/1.1 409 Conflict\r\nContent-Length: 16\r\n\r\n{"message":"no"}', EngineConflict, "^no$"),
        (b"HTTP/1.1 500 Oh\r\n\r\n", EngineError, "status 500"),
        (b'HTTP/1.1 500 Oh\r\nContent-Length: 99\r\n\r\n{"mess', EngineUnavailable, "cannot talk"),
        (b"HTTP/1.1 101 UPGR", EngineUnavailable, "cannot talk"),
        (b"", EngineUnavailable, "cannot talk"),
        (b"nonsense\r\n\r\n", EngineUnavailable, "no answer of HTTP"),
        (b"x" * 200_000, EngineUnavailable, "cannot talk"),
    ],
)
async def test_an_engine_that_does_not_switch(raw: RawEngine, answer: bytes, error: type[EngineError], words: str):
    raw.script = raw.say(answer)
    with pytest.raises(error, match=words):
        async with hijacked(raw.endpoint, "/x"):
            pass


async def test_no_engine(tmp_path: Path):
    with pytest.raises(EngineUnavailable, match="No such file"):
        async with hijacked(Endpoint(f"http+unix://{tmp_path}/nothing"), "/x"):
            pass


def framed(payload: bytes, stream: int = 1) -> bytes:
    return struct.pack(">BxxxI", stream, len(payload)) + payload


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (framed(b"no space left", 3), EngineError, "no space left"),
        (b"no framing at all", EngineUnavailable, "no frame"),
    ],
)
async def test_what_is_no_output(raw: RawEngine, said: bytes, error: type[EngineError], words: str):
    async def resize(width: int, height: int) -> None:
        raise AssertionError

    raw.script = raw.say(SWITCHED, framed(b"first"), said)
    async with hijacked(raw.endpoint, "/x") as connection:
        outputs = AttachedStreams(connection, tty=False, resize=resize).output()
        assert (await anext(outputs)).data == b"first"
        with pytest.raises(error, match=words):
            await anext(outputs)


async def test_a_command_that_the_engine_will_not_start(engine: DockerEngine, scripted: ScriptedEngine):
    scripted.answers[f"POST /containers/{C}/exec"] = {"Id": "e"}
    scripted.answers["POST /exec/e/start"] = refusing(409, "Container is paused")
    with pytest.raises(EngineConflict, match="paused"):
        async with engine.open_exec(C, ["true"]):
            pass
