"""Clients other than kubectl: WebSockets that the API server passes on to the node as they are, or translates."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import pytest

from vkprovider.wire import channels
from vkprovider.wire.channels import ChannelCodec, Message

from .clients import Cluster
from .nodes import NodeProcess, on, shell
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

LISTENS = "nc -ll -p 8080 -e cat & exec sleep 100000"
CRASHES = "test -e /kept/once || { touch /kept/once; echo in vain; exit 4; }; echo again; exec sleep 100000"
PATIENCE = 30


@pytest.fixture(scope="module")
def pod(cluster: Cluster, node: NodeProcess) -> Iterator[str]:
    """The name of a pod, one container of which has been restarted."""
    kept = {"volumeMounts": [{"name": "kept", "mountPath": "/kept"}]}
    spec = on(
        node.name,
        shell("app", LISTENS),
        shell("crashes", CRASHES, **kept),
        restartPolicy="OnFailure",
        volumes=[{"name": "kept", "emptyDir": {}}],
        automountServiceAccountToken=False,
    )
    name = f"clients-{node.name}"
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))

    def restarted() -> bool:
        statuses = cluster.get("pod", name)["status"].get("containerStatuses", [])
        return bool(statuses) and all(
            "running" in status["state"] and status["restartCount"] == (status["name"] == "crashes")
            for status in statuses
        )

    eventually(restarted, 90)
    yield name
    cluster.kubectl("delete", "pod", name, "--wait=false")


@pytest.fixture
async def http(cluster: Cluster, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """An administrator's session with the API server."""
    config = json.loads(cluster.kubectl("config", "view", "--minify", "--flatten", "--raw", "--output=json"))
    user = config["users"][0]["user"]
    pair = tmp_path / "admin.pem"
    pair.write_bytes(b64decode(user["client-certificate-data"]) + b64decode(user["client-key-data"]))
    os.chmod(pair, 0o600)
    context = ssl.create_default_context(cadata=cluster.ca.decode())
    context.load_cert_chain(pair)
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(cluster.url, connector=connector) as session:
        yield session


async def heard(socket: aiohttp.ClientWebSocketResponse) -> dict[int, bytes]:
    """All that comes, by channel."""
    codec, by_channel = ChannelCodec(socket.protocol or ""), dict[int, bytes]()
    async with asyncio.timeout(PATIENCE):
        async for message in socket:
            decoded = codec.decode(message.data)
            if isinstance(decoded, Message):
                by_channel[decoded.channel] = by_channel.get(decoded.channel, b"") + decoded.data
    return by_channel


@pytest.mark.parametrize("protocol", [channels.V4, channels.V4_BASE64, channels.V5])
async def test_a_command_over_a_websocket(http: aiohttp.ClientSession, pod: str, protocol: str) -> None:
    words = ["sh", "-c", "head -c 5; echo err >&2; exit 9"]
    query = {"container": "app", "stdin": 1, "stdout": 1, "stderr": 1, "command": words}
    path = f"/api/v1/namespaces/default/pods/{pod}/exec?{urlencode(query, doseq=True)}"
    async with http.ws_connect(path, protocols=[protocol]) as socket:
        message = ChannelCodec(protocol).encode(channels.STDIN, b"hello")
        await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))
        by_channel = await heard(socket)
    assert (by_channel[channels.STDOUT], by_channel[channels.STDERR]) == (b"hello", b"err\n")
    assert json.loads(by_channel[channels.ERROR])["details"]["causes"] == [{"reason": "ExitCode", "message": "9"}]


async def test_a_port_over_a_websocket(http: aiohttp.ClientSession, pod: str) -> None:
    path = f"/api/v1/namespaces/default/pods/{pod}/portforward?ports=8080"
    async with http.ws_connect(path, protocols=[channels.V4]) as socket:
        greetings = {await socket.receive_bytes(timeout=PATIENCE) for _ in range(2)}
        assert greetings == {bytes([channel]) + channels.port_greeting(8080) for channel in (0, 1)}
        await socket.send_bytes(b"\0through")
        assert await socket.receive_bytes(timeout=PATIENCE) == b"\0through"


async def test_the_log_of_the_instance_before(cluster: Cluster, pod: str) -> None:
    async def logs(*flags: str) -> str:
        return await asyncio.to_thread(cluster.kubectl, "logs", pod, "--container=crashes", *flags)

    assert (await logs("--previous"), await logs()) == ("in vain\n", "again\n")
