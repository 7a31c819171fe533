"""gRPC probes against a real server: pkg/probe/grpc/grpc.go, and what grpc-go says of failures."""

from __future__ import annotations

import asyncio

import pytest
from h2.errors import ErrorCodes

from tests.node.grpc_server import NOT_SERVING, SERVICE_UNKNOWN, SERVING, Answer, Heard, grpc_server
from tests.node.servers import HOST, closed_port, raw_server, silent_server
from tests.node.virtual_clock import T0
from vkprovider.core.actions import ProbeTarget
from vkprovider.core.probing import Attempt, Outcome
from vkprovider.model.probe import GRPCAction, Probe
from vkprovider.model.refs import ContainerID
from vkprovider.node import grpc_health
from vkprovider.node.prober import run_probe

HEALTHY = Attempt(Outcome.SUCCESS, "service healthy")


async def attempt(port: int, service: str = "", **fields) -> Attempt:
    target = ProbeTarget(
        container_id=ContainerID("c"),
        container="app",
        kind="readiness",
        probe=Probe(grpc=GRPCAction(port=port, service=service), **fields),
        started_at=T0,
        pod_ip=HOST,
    )
    return await run_probe(engine=None, target=target)  # no engine is asked


async def answered(reply: Answer) -> Attempt:
    async with grpc_server(lambda: reply) as port:
        return await attempt(port)


async def test_what_is_asked():
    heard = Heard()
    async with grpc_server(lambda: Answer(SERVING), heard) as port:
        assert await attempt(port, timeout_seconds=3) == HEALTHY
        assert await attempt(port, "cheese") == HEALTHY
        assert await attempt(port, "x" * 200) == HEALTHY
    assert heard.bodies == [
        b"\0\0\0\0\0",
        b"\0\0\0\0\x08\x0a\x06cheese",
        b"\0\0\0\0\xcb\x0a\xc8\x01" + b"x" * 200,
    ]
    assert heard.headers[0] == {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/grpc.health.v1.Health/Check",
        ":authority": f"{HOST}:{port}",
        "content-type": "application/grpc",
        "user-agent": "kube-probe/1.34",
        "te": "trailers",
        "grpc-timeout": "3000m",
    }


@pytest.mark.parametrize(
    ("message", "shown"),
    [(NOT_SERVING, "NOT_SERVING"), (SERVICE_UNKNOWN, "SERVICE_UNKNOWN"), (b"", "UNKNOWN"), (b"\x08\x91\x02", "273")],
)
async def test_a_service_that_is_not_healthy(message, shown):
    assert await answered(Answer(message)) == Attempt(Outcome.FAILURE, f'service unhealthy (responded with "{shown}")')


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            Answer(trailers={"grpc-status": "12", "grpc-message": "unknown service grpc.health.v1.Health"}),
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): "
            "unknown service grpc.health.v1.Health",
        ),
        (
            Answer(trailers={"grpc-status": "5", "grpc-message": "no %C3%A9 here"}),
            "error: health rpc probe failed: rpc error: code = NotFound desc = no é here",
        ),
        (
            Answer(trailers={"grpc-status": "99"}),
            "error: health rpc probe failed: rpc error: code = Code(99) desc = ",
        ),
        (
            Answer(trailers={}, status="404"),
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): "
            "unexpected HTTP status code received from server: 404 (Not Found)",
        ),
        (
            Answer(trailers={}, status="503"),
            "error: health rpc probe failed: rpc error: code = Unavailable desc = "
            "unexpected HTTP status code received from server: 503 (Service Unavailable)",
        ),
        (
            Answer(reset=ErrorCodes.REFUSED_STREAM),
            "error: health rpc probe failed: rpc error: code = Unavailable desc = "
            "stream terminated by RST_STREAM with error code: REFUSED_STREAM",
        ),
        (
            Answer(reset=ErrorCodes.INTERNAL_ERROR),
            "error: health rpc probe failed: rpc error: code = Internal desc = "
            "stream terminated by RST_STREAM with error code: INTERNAL_ERROR",
        ),
        (
            Answer(hang_up=True),
            "error: health rpc probe failed: rpc error: code = Unavailable desc = error reading from server: EOF",
        ),
        (
            Answer(b"\x12\x01\x01"),
            "error: health rpc probe failed: rpc error: code = Internal desc = the answer is no HealthCheckResponse",
        ),
    ],
)
async def test_a_call_that_fails(reply, message):
    assert await answered(reply) == Attempt(Outcome.FAILURE, message)


async def test_no_answer_in_time():
    expected = Attempt(Outcome.FAILURE, "timeout: health rpc did not complete within 1s")
    assert await answered(Answer(silent=True)) == expected


def unconnected(port: int) -> Attempt:
    why = f'failed to connect service "{HOST}:{port}" within 1s: context deadline exceeded'
    return Attempt(Outcome.FAILURE, f"timeout: {why}")


async def test_nobody_listens():
    port = closed_port()
    assert await attempt(port) == unconnected(port)


async def test_a_server_that_says_nothing():
    with silent_server() as port:
        assert await attempt(port) == unconnected(port)


async def test_a_server_of_http_1():
    async with raw_server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert await attempt(port) == unconnected(port)


async def test_a_server_that_comes_up_within_the_time(monkeypatch):
    """As grpc-go, which goes on trying to connect as long as it may."""
    monkeypatch.setattr(grpc_health, "RECONNECT_SECONDS", 0.01)
    port = closed_port()
    waiting = asyncio.create_task(attempt(port, timeout_seconds=30))
    tried = asyncio.Event()
    real = asyncio.open_connection

    async def open_connection(*args):
        tried.set()
        return await real(*args)

    monkeypatch.setattr(asyncio, "open_connection", open_connection)
    await tried.wait()
    async with grpc_server(lambda: Answer(SERVING), port=port):
        assert await waiting == HEALTHY
