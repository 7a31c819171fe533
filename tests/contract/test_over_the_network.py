"""An engine that is reached over the network, with and without TLS: here through a relay to the real one."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import docker
import pytest

from tests.contract.benches import PATIENCE, DockerBench
from tests.node.servers import CERTIFICATE, server_tls
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.engine.endpoint import find_endpoint

pytestmark = [
    pytest.mark.docker,
    # The certificate at hand is nobody's, so it is not verified, which is the user's choice.
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request"),
]


@asynccontextmanager
async def relay(socket_path: str, tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Passes all bytes on to a socket, in both directions; gives its port."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            return
        finally:
            writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_engine, from_engine = await asyncio.open_unix_connection(socket_path)
        await asyncio.gather(pump(reader, from_engine), pump(to_engine, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext | None:
    if request.param == "plain":
        return None
    key, mark, certificate = CERTIFICATE.partition("-----BEGIN CERTIFICATE-----")
    (tmp_path / "key.pem").write_text(key)
    for name in ("cert.pem", "ca.pem"):
        (tmp_path / name).write_text(mark + certificate)
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "")
    return server_tls(tmp_path)


@pytest.fixture
async def bench(
    client: docker.APIClient, images: tuple[str, str], tls: ssl.SSLContext | None
) -> AsyncIterator[DockerBench]:
    near = find_endpoint().socket_path
    if not near:
        pytest.skip("the engine is reached over the network anyhow")
    async with relay(near, tls) as port:
        bench = DockerBench(client, *images, f"{'https' if tls else 'tcp'}://127.0.0.1:{port}")
        yield bench
        await bench.clean()


async def test_everything_goes_the_same_way(bench: DockerBench):
    engine = bench.engine
    async with aclosing(engine.changes()) as changes, asyncio.timeout(PATIENCE):
        assert await anext(changes) is None
        container_id = await bench.run("app", "echo hello; sleep 1000")
        assert await anext(changes) == bench.uid
        follower = engine.logs(container_id, follow=True)
        assert (await anext(follower)).data == b"hello\n"
        assert (await engine.exec(container_id, ["sh", "-c", "echo there; exit 4"], 10)).output == b"there\n"
        assert (await engine.exec(container_id, ["sleep", "1000"], 0.5)).exit_code is None
        await engine.remove(container_id)
        assert [line async for line in follower] == []


async def test_an_engine_out_of_sight_has_the_same_limits(bench: DockerBench):
    """Over the network there is no process to look at, and a container is tried."""
    near = DockerEngine(f"contract-{uuid.uuid4().hex[:12]}")
    await near.info()
    await bench.engine.info()
    assert bench.docker.limitations == near.limitations
    assert await asyncio.to_thread(bench.leftovers) == []
    await near.close()
