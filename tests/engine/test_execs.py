from __future__ import annotations

import asyncio
import struct
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from tests.engine.scripted_engine import ScriptedEngine, Stream, refusing
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.errors import EngineError
from vkprovider.model.engine import ExecResult
from vkprovider.model.refs import ContainerID

C = ContainerID("c" * 64)
TOOL = "/containers/tool"


def framed(payload: bytes, stream: int = 1) -> bytes:
    return struct.pack(">BxxxI", stream, len(payload)) + payload


def inspected(running: bool, code: int | None, pid: int = 0) -> dict[str, Any]:
    return {"Running": running, "ExitCode": code, "Pid": pid}


def looks(*states: dict[str, Any]) -> Any:
    """An exec that stands differently at each look, the last time for good."""
    left = list(states)

    async def look(_: web.Request) -> web.Response:
        return web.json_response(left.pop(0) if len(left) > 1 else left[0])

    return look


@pytest.fixture
def output(scripted: ScriptedEngine) -> Stream:
    scripted.answers[f"POST /containers/{C}/exec"] = {"Id": "e"}
    stream = scripted.answers["POST /exec/e/start"] = Stream()
    return stream


@pytest.fixture
def tool(scripted: ScriptedEngine) -> list[str]:
    """The sandbox image is there and its containers work; what they are told."""
    told: list[str] = []

    async def create(request: web.Request) -> web.Response:
        body = await request.json()
        assert body["HostConfig"]["PidMode"] == "host"
        told.append(" ".join(body["Cmd"]))
        return web.json_response({"Id": "tool"}, status=201)

    async def image(_: web.Request) -> web.Response:
        return web.json_response({"Id": "sha256:1"})

    class Anything(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            return image if key.startswith("GET /images/") else super().get(key, default)

    scripted.answers = Anything(scripted.answers)
    scripted.answers["POST /containers/create"] = create
    scripted.answers[f"POST {TOOL}/start"] = {}
    scripted.answers[f"POST {TOOL}/wait"] = {"StatusCode": 0}
    scripted.answers[f"DELETE {TOOL}"] = {}
    return told


@pytest.fixture
def strange_process() -> Iterator[int]:
    """A process of ours that has nothing to do with any container."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        assert process.poll() is None, "a process that was not meant was killed"
        process.kill()


async def test_output_may_end_before_the_command_does(engine: DockerEngine, scripted: ScriptedEngine, output: Stream):
    scripted.answers["GET /exec/e/json"] = looks(inspected(True, None, 7), inspected(False, None), inspected(False, 3))
    run = asyncio.create_task(engine.exec(C, ["x"], None))
    said = await output.next()
    for piece in (framed(b"one")[:5], framed(b"one")[5:] + framed(b"two", 2), None):
        said.put_nowait(piece)
    assert await run == ExecResult(exit_code=3, output=b"onetwo")


async def test_an_error_of_the_daemon_within_the_output(engine: DockerEngine, output: Stream):
    run = asyncio.create_task(engine.exec(C, ["x"], None))
    (await output.next()).put_nowait(framed(b"no space left", 3))
    with pytest.raises(EngineError, match="no space left"):
        await run


async def test_a_command_in_sight_but_of_no_container_is_left_to_the_engine(
    engine: DockerEngine, scripted: ScriptedEngine, output: Stream, tool: list[str], strange_process: int
):
    """The engine's process IDs may mean other processes here, if vkprovider runs in a container itself."""
    scripted.answers["GET /exec/e/json"] = inspected(True, None, strange_process)
    assert await engine.exec(C, ["x"], 0.05) == ExecResult(exit_code=None, output=b"")
    assert tool == [f"kill {strange_process}"]


async def test_a_command_out_of_sight_is_left_to_the_engine(
    engine: DockerEngine, scripted: ScriptedEngine, output: Stream, tool: list[str]
):
    out_of_sight = 1 << 30  # beyond the kernel's limit
    scripted.answers["GET /exec/e/json"] = inspected(True, None, out_of_sight)
    await engine.exec(C, ["x"], 0.05)
    assert tool == [f"kill {out_of_sight}"]


async def test_a_command_that_has_ended_meanwhile_is_left_alone(
    engine: DockerEngine, scripted: ScriptedEngine, output: Stream, tool: list[str], strange_process: int
):
    scripted.answers["GET /exec/e/json"] = looks(inspected(True, None, strange_process), inspected(False, 0))
    assert (await engine.exec(C, ["x"], 0.05)).exit_code is None
    scripted.answers["GET /exec/e/json"] = inspected(False, 0)
    assert (await engine.exec(C, ["x"], 0.05)).exit_code is None
    del scripted.answers["GET /exec/e/json"]  # as when its container was removed
    assert (await engine.exec(C, ["x"], 0.05)).exit_code is None
    assert tool == []


async def test_a_command_that_is_only_just_starting_is_waited_for(
    engine: DockerEngine, scripted: ScriptedEngine, output: Stream, tool: list[str], strange_process: int
):
    starting = inspected(False, None)
    scripted.answers["GET /exec/e/json"] = looks(starting, starting, inspected(True, None, strange_process))
    await engine.exec(C, ["x"], 0.05)
    assert tool == [f"kill {strange_process}"]


async def test_a_command_that_is_given_up_is_ended(
    engine: DockerEngine, scripted: ScriptedEngine, output: Stream, tool: list[str], strange_process: int
):
    scripted.answers["GET /exec/e/json"] = inspected(True, None, strange_process)
    run = asyncio.create_task(engine.exec(C, ["x"], None))
    await output.next()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert tool == [f"kill {strange_process}"]


async def test_giving_up_stays_giving_up_when_the_command_cannot_be_ended(
    engine: DockerEngine, scripted: ScriptedEngine, output: Stream
):
    scripted.answers["GET /exec/e/json"] = refusing(500, "no idea")
    run = asyncio.create_task(engine.exec(C, ["x"], None))
    await output.next()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
