"""Hooks: what succeeds, what fails and in which words, and that they can be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from aiohttp import web

from tests.node.servers import HOST, closed_port, http_server, raw_server, server_tls, silent_server
from tests.node.virtual_clock import PATIENCE, VirtualClock
from vkprovider.errors import EngineUnavailable
from vkprovider.model.engine import ExecResult
from vkprovider.model.probe import (
    ExecAction,
    HTTPGetAction,
    HTTPHeader,
    LifecycleHandler,
    SleepAction,
    TCPSocketAction,
)
from vkprovider.model.refs import ContainerID
from vkprovider.node.hooks import HTTP_FALLBACK, HookResult, run_hook

CONTAINER = ContainerID("c0")
FINE = HookResult()


class ExecEngine:
    """An engine as far as hooks see it; None is a command that goes on until it is cancelled."""

    def __init__(self, result: ExecResult | Exception | None = None) -> None:
        self.result = result
        self.asked: tuple[str, Sequence[str], float | None] | None = None
        self.began = asyncio.Event()
        self.cancelled = False

    async def exec(self, container_id: str, command: Sequence[str], timeout: float | None) -> ExecResult:
        self.asked = (container_id, command, timeout)
        self.began.set()
        if isinstance(self.result, Exception):
            raise self.result
        if self.result is not None:
            return self.result
        try:
            return await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def run(
    handler: LifecycleHandler,
    engine: ExecEngine | None = None,
    ports: tuple[tuple[str, int], ...] = (),
    clock: VirtualClock | None = None,
    pod_ip: str = HOST,
) -> HookResult:
    return await run_hook(engine or ExecEngine(), CONTAINER, handler, pod_ip, ports, clock or VirtualClock())


def get(port: int | str, **fields) -> LifecycleHandler:
    return LifecycleHandler(http_get=HTTPGetAction(port=port, **fields))


# --- exec -------------------------------------------------------------------------------------------------------


async def test_a_command_runs_as_it_is_written_and_without_a_deadline():
    engine = ExecEngine(ExecResult(exit_code=0, output=b"whatever"))
    assert await run(LifecycleHandler(exec=ExecAction(command=("echo", "$(HOME)"))), engine) == FINE
    assert engine.asked == (CONTAINER, ("echo", "$(HOME)"), None)


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (ExecResult(exit_code=3, output=b"no cheese\n"), "command 'sh -c exit' exited with 3: no cheese"),
        (ExecResult(exit_code=1, output=b"\xff"), "command 'sh -c exit' exited with 1: \ufffd"),
        (EngineUnavailable("no answer"), "no answer"),
    ],
)
async def test_a_command_that_fails(result, error):
    handler = LifecycleHandler(exec=ExecAction(command=("sh", "-c", "exit")))
    assert await run(handler, ExecEngine(result)) == HookResult(error=error)


async def test_a_command_can_be_cancelled():
    engine = ExecEngine()
    task = asyncio.create_task(run(LifecycleHandler(exec=ExecAction(command=("sleep", "inf"))), engine))
    async with asyncio.timeout(PATIENCE):
        await engine.began.wait()
    await cancel(task)
    assert engine.cancelled


async def cancel(task: asyncio.Task) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# --- httpGet ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 302, 404, 500, 503])
async def test_any_status_is_a_success(status):
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(f"{request.path_qs} {request.headers['User-Agent']}")
        return web.Response(status=status)

    async with http_server(answer) as port:
        assert await run(get("web", path="/bye?x=1"), ports=(("web", port),)) == FINE
    assert seen == ["/bye?x=1 kube-lifecycle/1.34"]


async def test_an_endless_body_does_not_hold_a_hook_up():
    over = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await over.wait()
        return response

    async with http_server(answer) as port:
        assert await run(get(port)) == FINE
        over.set()


async def test_an_answer_that_never_comes_can_be_cancelled():
    asked, over = asyncio.Event(), asyncio.Event()

    async def answer(_request: web.Request) -> web.Response:
        asked.set()
        await over.wait()
        return web.Response()

    async with http_server(answer) as port, asyncio.timeout(PATIENCE):
        task = asyncio.create_task(run(get(port)))
        await asked.wait()
        await cancel(task)
        over.set()


async def test_no_answer_is_a_failure():
    port = closed_port()
    refused = f'Get "http://{HOST}:{port}/": dial tcp {HOST}:{port}: connect: connection refused'
    assert await run(get(port)) == HookResult(error=refused)


@pytest.mark.parametrize(
    ("port", "pod_ip", "error"), [("web", HOST, 'port "web" not found'), (80, "", "the pod has no IP")]
)
async def test_nowhere_to_go_is_a_failure(port, pod_ip, error):
    assert await run(get(port), pod_ip=pod_ip) == HookResult(error=error)


async def test_a_host_that_is_none_is_a_failure():
    result = await run(get(80, host="[::1]"))
    assert result.error is not None
    assert result.error.startswith("http://[[::1]]:80/: ")


async def test_https_does_not_look_at_the_certificate(tmp_path):
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=401)

    async with http_server(answer, server_tls(tmp_path)) as port:
        assert await run(get(port, scheme="HTTPS")) == FINE


async def test_https_that_meets_plain_http_is_tried_again_as_such_without_credentials():
    requests: list[bytes] = []
    headers = (HTTPHeader(name="authorization", value="Bearer x"), HTTPHeader(name="X-Other", value="y"))
    async with raw_server(b"HTTP/1.1 400 Bad Request\r\n\r\n", requests=requests) as port:
        result = await run(get(port, scheme="HTTPS", http_headers=headers))
    warning = f"request to HTTPS lifecycle hook {HOST}:{port} got HTTP response, retry with HTTP succeeded"
    assert result == HookResult(warning=warning)
    assert HTTP_FALLBACK == "LifecycleHTTPFallback"
    assert len(requests) == 2
    assert b"X-Other: y" in requests[1]
    assert b"Bearer" not in requests[1]


async def test_when_plain_http_fails_too_the_first_failure_is_told():
    async with raw_server(b"SSH-2.0-foo\r\n") as port:
        result = await run(get(port, scheme="HTTPS"))
    error = f'Get "https://{HOST}:{port}/": http: server gave HTTP response to HTTPS client'
    assert result == HookResult(error=error)


# --- sleep, tcpSocket, nothing ----------------------------------------------------------------------------------


async def test_a_sleep_takes_its_whole_time():
    clock = VirtualClock()
    task = asyncio.create_task(run(LifecycleHandler(sleep=SleepAction(seconds=5)), clock=clock))
    await clock.settle(1)
    clock.advance(4.9)
    await asyncio.sleep(0)
    assert not task.done()
    clock.advance(0.1)
    assert await task == FINE


async def test_a_sleep_of_nothing():
    assert await run(LifecycleHandler(sleep=SleepAction(seconds=0))) == FINE


async def test_a_sleep_can_be_cancelled():
    clock = VirtualClock()
    task = asyncio.create_task(run(LifecycleHandler(sleep=SleepAction(seconds=5)), clock=clock))
    await clock.settle(1)
    await cancel(task)
    assert clock.sleepers == 0


async def test_a_tcp_socket_never_works():
    with silent_server() as port:
        handler = LifecycleHandler(tcp_socket=TCPSocketAction(port=port))
        assert await run(handler) == HookResult(error="Cannot run handler: invalid handler: tcpSocket")


async def test_an_empty_handler_is_a_failure():
    assert await run(LifecycleHandler()) == HookResult(error="Cannot run handler: invalid handler: empty")
