"""port-forward over SPDY, as API servers up to 1.35 ask for it, and over WebSockets."""

from __future__ import annotations

import asyncio
import base64

import aiohttp
import pytest
from aiohttp import WSMsgType

from tests.server.conftest import Node
from tests.server.programs import echoes, says, waits
from tests.server.spdy_client import PATIENCE, Refusal, SpdyClient
from vkprovider.wire import channels
from vkprovider.wire.spdy import Data, FrameReader, FrameWriter, RstStream, SynReply, SynStream

PROTOCOL = "portforward.k8s.io"
TARGET = "/portForward/default/web"
REFUSED = (
    "error forwarding port 81 to pod {}, uid :"
    " failed to connect to localhost:81 inside the pod's network namespace: Connection refused"
)


def connect(client: SpdyClient, port: int, request: str) -> tuple[int, int]:
    """The streams of one connection: its error, its data."""
    headers = {"port": str(port), "requestID": request}
    error = client.open(streamType="error", **headers)
    return error, client.open(streamType="data", **headers)


async def test_many_connections_at_once(node: Node):
    node.engine.ports = {80: echoes, 443: says(("stdout", b"secure"))}
    async with node.spdy(TARGET, PROTOCOL) as client:
        pairs = [connect(client, 80, str(number)) for number in range(100)]
        other = connect(client, 443, "other")
        await client.see(lambda: len(client.accepted) == 202)
        for number, (_, data) in enumerate(pairs):
            client.send(Data(data, bytes([number]) * 1000, fin=True))
        await client.until(*other, *(stream for pair in pairs for stream in pair))
    assert [client.heard[data] for _, data in pairs] == [bytes([number]) * 1000 for number in range(100)]
    assert {client.heard[error] for error, _ in pairs} == {b""}
    assert client.heard[other[1]] == b"secure"


async def test_nobody_listens(node: Node):
    async with node.spdy(TARGET, PROTOCOL) as client:
        error, data = connect(client, 81, "1")
        await client.until(error, data)
        assert client.heard[error].decode() == REFUSED.format(node.sandbox_id)
        node.engine.ports = {81: says(("stdout", b"now"))}
        again = connect(client, 81, "2")
        await client.until(*again)
        assert client.heard[again[1]] == b"now"


@pytest.mark.parametrize("farewell", ["reset", "hang up"])
async def test_a_connection_that_is_dropped_is_closed(node: Node, farewell: str):
    node.engine.ports = {80: waits}
    async with node.spdy(TARGET, PROTOCOL) as client:
        _, data = connect(client, 80, "1")
        await client.see(lambda: node.engine.processes)
        if farewell == "reset":
            client.send(RstStream(data, 5))
        else:
            client.writer.close()
        await asyncio.wait_for(node.engine.processes[0].left.wait(), PATIENCE)


async def test_a_client_that_does_not_number_its_requests(node: Node):
    node.engine.ports = {80: says(("stdout", b"old"))}
    async with node.spdy(TARGET, PROTOCOL) as client:
        error = client.open(streamType="error", port="80")
        data = client.open(streamType="data", port="80")
        await client.until(error, data)
    assert client.heard[data] == b"old"


@pytest.mark.parametrize(
    "headers",
    [
        {"streamType": "data"},
        {"streamType": "data", "port": "0"},
        {"streamType": "data", "port": "65536"},
        {"streamType": "data", "port": "http"},
        {"streamType": "stdin", "port": "80"},
        {"port": "80"},
    ],
)
async def test_streams_that_say_too_little_are_refused(node: Node, headers: dict[str, str]):
    async with node.spdy(TARGET, PROTOCOL) as client:
        refused = client.open(**headers)
        await client.until(refused)
        assert client.accepted == set()


async def test_the_same_stream_twice_is_refused(node: Node):
    node.engine.ports = {80: says(("stdout", b"x"))}
    async with node.spdy(TARGET, PROTOCOL) as client:
        first, second = (client.open(streamType="data", port="80", requestID="1") for _ in range(2))
        await client.until(second)
        error = client.open(streamType="error", port="80", requestID="1")
        await client.until(first, error)
    assert client.heard[first] == b"x"


async def test_a_pod_without_a_sandbox_or_none_at_all(node: Node):
    for target, status, text in (
        ("/portForward/default/absent", 404, "pod does not exist"),
        ("/portForward/default/web/other-uid", 404, "pod not found"),
    ):
        with pytest.raises(Refusal, match=text) as refusal:
            async with node.spdy(target, PROTOCOL):
                pass
        assert refusal.value.status == status
    node.engine.kill_sandbox(node.pod.uid)
    with pytest.raises(Refusal, match=r'pod not found \("web_default"\)'):
        async with node.spdy(TARGET, PROTOCOL):
            pass


# --- over WebSockets --------------------------------------------------------------------------------------------


async def test_channels(node: Node, http: aiohttp.ClientSession):
    node.engine.ports = {80: says(("stdout", b"eighty"))}
    async with http.ws_connect(f"{TARGET}?port=80,81", protocols=[channels.V4]) as socket:
        heard = {number: b"" for number in range(4)}
        async for message in socket:
            heard[message.data[0]] += message.data[1:]
    assert socket.protocol == channels.V4
    assert heard == {0: b"P\0eighty", 1: b"P\0", 2: b"Q\0", 3: b"Q\0" + REFUSED.format(node.sandbox_id).encode()}


async def test_channels_in_base64(node: Node, http: aiohttp.ClientSession):
    node.engine.ports = {80: echoes}
    async with http.ws_connect(f"{TARGET}?port=80", protocols=[channels.V4_BASE64]) as socket:
        assert [await socket.receive_str() for _ in range(2)] == ["0UAA=", "1UAA="]
        await socket.send_str("0" + base64.b64encode(b"hello").decode())
        assert base64.b64decode((await socket.receive_str())[1:]) == b"hello"


async def test_a_tunnel(node: Node, http: aiohttp.ClientSession):
    """SPDY within a WebSocket: what kubectl 1.31 and later ask of whoever answers."""
    node.engine.ports = {80: echoes}
    async with http.ws_connect(TARGET, protocols=[channels.TUNNELLED_PORTS]) as socket:
        writer, reader = FrameWriter(), FrameReader()
        for frame in (
            SynStream(1, {"streamtype": "error", "port": "80", "requestid": "0"}),
            SynStream(3, {"streamtype": "data", "port": "80", "requestid": "0"}),
            Data(3, b"through", fin=True),
        ):
            for byte in writer.write(frame):
                await socket.send_bytes(bytes([byte]))
        frames = []
        while Data(3, b"", fin=True) not in frames:
            message = await socket.receive(PATIENCE)
            assert message.type is WSMsgType.BINARY
            frames += reader.feed(message.data)
    assert frames == [SynReply(1, {}), SynReply(3, {}), Data(3, b"through"), Data(3, b"", fin=True)]


@pytest.mark.parametrize(
    ("query", "text"),
    [("", 'query parameter "port" is required'), ("port=x", 'unable to parse "x"'), ("port=0", 'port "0" must be > 0')],
)
async def test_ports_that_are_none(node: Node, http: aiohttp.ClientSession, query: str, text: str):
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Protocol": channels.V4}
    async with http.get(f"{TARGET}?{query}", headers=headers) as answer:
        assert answer.status == 400
        assert text in await answer.text()
