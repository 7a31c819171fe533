"""One attempt of a probe, against real servers and a scripted engine: how what happens is judged."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web

from tests.fakes.engine import FakeEngine
from tests.fakes.programs import Command, Program
from tests.node.servers import HOST, closed_port, http_server, raw_server, silent_server
from tests.node.virtual_clock import T0, VirtualClock
from vkprovider.core.actions import ProbeTarget
from vkprovider.core.probing import Attempt, Outcome
from vkprovider.model.create import ContainerCreate
from vkprovider.model.labels import CONTAINER_TYPE, ContainerIdentity, encode
from vkprovider.model.probe import ExecAction, HTTPGetAction, Probe, TCPSocketAction
from vkprovider.model.refs import PodUID
from vkprovider.node.prober import run_probe

IDENTITY = ContainerIdentity(
    node="node", type=CONTAINER_TYPE, pod_name="p", pod_namespace="default", pod_uid=PodUID("u"), name="app"
)


async def attempt(probe: Probe, command: Command | None = None, *, running: bool = True, **fields) -> Attempt:
    """Probe a container in which every command that a test names ends as ``command`` says."""
    engine = FakeEngine(VirtualClock())
    engine.add_image("busybox:1.28")
    if command is not None and probe.exec is not None:
        engine.program("app", Program(commands={" ".join(probe.exec.command): command}))
    spec = ContainerCreate(name=IDENTITY.engine_name, image="busybox:1.28", labels=encode(IDENTITY))
    container_id = await engine.create(spec)
    await engine.start(container_id)
    if not running:
        engine.exit(container_id)
    target = ProbeTarget(
        container_id=container_id,
        container="app",
        kind="readiness",
        probe=probe,
        started_at=T0,
        pod_ip=HOST,
        **fields,
    )
    return await run_probe(engine, target)


def execute(*words: str, **fields) -> Probe:
    return Probe(exec=ExecAction(command=words), **fields)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (Command(output=b"fine\n"), Attempt(Outcome.SUCCESS, "fine\n")),
        (Command(code=3, output=b"no\xff"), Attempt(Outcome.FAILURE, "no\ufffd")),
        (Command(error="no such thing"), Attempt(Outcome.ERROR, "no such thing")),
        (Command(seconds=2), Attempt(Outcome.SUCCESS, "")),
    ],
)
async def test_a_command_is_judged_by_its_exit_code(command, expected):
    assert await attempt(execute("test", "-e", "/ready", timeout_seconds=2), command) == expected


async def test_a_command_in_a_container_that_has_ended_is_an_error():
    result = await attempt(execute("true"), running=False)
    assert result.outcome is Outcome.ERROR
    assert "is not running" in result.output


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "1s"), (1, "1s"), (60, "1m0s"), (90, "1m30s"), (3600, "1h0m0s"), (3700, "1h1m40s")]
)
async def test_a_command_that_takes_too_long_has_failed(seconds, shown):
    probe = execute("echo", '"', "é", timeout_seconds=seconds)
    expected = Attempt(Outcome.FAILURE, f'command timed out: "echo \\" é" timed out after {shown}')
    assert await attempt(probe, Command(seconds=3701, output=b"so far")) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Attempt(Outcome.SUCCESS, "secret")),
        (204, Attempt(Outcome.SUCCESS, "")),
        (299, Attempt(Outcome.SUCCESS, "secret")),
        (300, Attempt(Outcome.WARNING, "Probe terminated redirects, Response body: secret")),
        (304, Attempt(Outcome.WARNING, "Probe terminated redirects, Response body: ")),
        (399, Attempt(Outcome.WARNING, "Probe terminated redirects, Response body: secret")),
        (400, Attempt(Outcome.FAILURE, "HTTP probe failed with statuscode: 400")),
        (404, Attempt(Outcome.FAILURE, "HTTP probe failed with statuscode: 404")),
        (503, Attempt(Outcome.FAILURE, "HTTP probe failed with statuscode: 503")),
    ],
)
async def test_a_response_is_judged_by_its_status(status, expected):
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, body=b"" if status in (204, 304) else b"secret")

    async with http_server(answer) as port:
        assert await attempt(Probe(http_get=HTTPGetAction(port=port))) == expected


async def test_a_redirect_to_another_host_is_a_warning():
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://elsewhere.example/"}, text="over there")

    async with http_server(answer) as port:
        expected = Attempt(Outcome.WARNING, "Probe terminated redirects, Response body: over there")
        assert await attempt(Probe(http_get=HTTPGetAction(port=port))) == expected


async def test_only_the_first_10_kib_of_a_body_are_read():
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text="x" * 50_000)

    async with http_server(answer) as port:
        assert await attempt(Probe(http_get=HTTPGetAction(port=port))) == Attempt(Outcome.SUCCESS, "x" * 10_240)


async def test_a_compressed_body_is_taken_as_it_is():
    async def answer(request: web.Request) -> web.Response:
        assert "Accept-Encoding" not in request.headers
        return web.Response(body=b"not gzip at all", headers={"Content-Encoding": "gzip"})

    async with http_server(answer) as port:
        assert await attempt(Probe(http_get=HTTPGetAction(port=port))) == Attempt(Outcome.SUCCESS, "not gzip at all")


async def test_a_body_that_breaks_off_is_an_error():
    """As upstream has it: the answer began, so nothing is known against the container."""
    async with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc") as port:
        assert await attempt(Probe(http_get=HTTPGetAction(port=port))) == Attempt(Outcome.ERROR, "unexpected EOF")


async def test_a_body_that_never_ends_is_an_error(monkeypatch):
    over = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"a")
        await over.wait()
        return response

    loop, read = asyncio.get_running_loop(), aiohttp.StreamReader.read
    real = loop.time

    async def read_a_minute_later(stream: aiohttp.StreamReader, size: int = -1) -> bytes:
        monkeypatch.setattr(loop, "time", lambda: real() + 60)
        return await read(stream, size)

    monkeypatch.setattr(aiohttp.StreamReader, "read", read_a_minute_later)
    async with http_server(answer) as port:
        result = await attempt(Probe(http_get=HTTPGetAction(port=port), timeout_seconds=30))
        over.set()
    why = "context deadline exceeded (Client.Timeout or context cancellation while reading body)"
    assert result == Attempt(Outcome.ERROR, why)


async def test_what_does_not_answer_has_failed():
    port = closed_port()
    url = f"http://{HOST}:{port}/"
    refused = f"dial tcp {HOST}:{port}: connect: connection refused"
    assert await attempt(Probe(http_get=HTTPGetAction(port=port))) == Attempt(
        Outcome.FAILURE, f'Get "{url}": {refused}'
    )
    assert await attempt(Probe(tcp_socket=TCPSocketAction(port=port))) == Attempt(Outcome.FAILURE, refused)
    with silent_server() as port:
        assert await attempt(Probe(tcp_socket=TCPSocketAction(port=port))) == Attempt(Outcome.SUCCESS)


async def test_a_named_port_is_one_of_the_containers():
    with silent_server() as port:
        probe = Probe(tcp_socket=TCPSocketAction(port="web"))
        assert await attempt(probe, ports=(("web", port),)) == Attempt(Outcome.SUCCESS)


async def test_a_probe_that_cannot_be_made_is_an_error():
    missing = Attempt(Outcome.ERROR, 'port "web" not found')
    assert await attempt(Probe(http_get=HTTPGetAction(port="web"))) == missing
    assert await attempt(Probe(tcp_socket=TCPSocketAction(port="web"))) == missing
    assert await attempt(Probe()) == Attempt(Outcome.ERROR, "missing probe handler for app")
