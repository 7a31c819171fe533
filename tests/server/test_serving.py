"""The API on the network: TLS, and who is let in."""

from __future__ import annotations

import asyncio
import ssl
import stat
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509

from tests.server.certificates import Authority, anonymous
from tests.server.conftest import Node
from vkprovider.node.clock import SystemClock
from vkprovider.server.admission import admit_api_server
from vkprovider.server.certificates import server_context, write_self_signed
from vkprovider.server.kubelet_api import KubeletApi
from vkprovider.server.refusals import Refused, ServerError
from vkprovider.server.serving import KUBELET_PORT, listen, serve

API_SERVER = "CN=kube-apiserver-kubelet-client"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def url(node: Node, authority: Authority, tmp_path: Path) -> AsyncIterator[str]:
    """Where the node's API is, with TLS."""
    pair = tmp_path / "server.pem"
    await asyncio.to_thread(write_self_signed, pair, ["node", "127.0.0.1"], node.now())
    context = await asyncio.to_thread(server_context, pair, authority.pem)
    api = KubeletApi(node.pods, node.engine, node.clock, admit_api_server)
    with listen(0) as listener:
        port = listener.getsockname()[1]
        serving = asyncio.create_task(serve(api.application(), listener, context))
        yield f"https://127.0.0.1:{port}"
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving


async def ask(url: str, context: ssl.SSLContext, path: str = "/healthz") -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url + path, ssl=context) as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize("subject", [API_SERVER, "CN=somebody,O=system:masters", f"O=other,{API_SERVER}"])
async def test_the_api_server_and_administrators_are_let_in(url: str, authority: Authority, subject: str):
    assert await ask(url, authority.client(subject)) == (200, "ok")
    assert await ask(url, authority.client(subject), "/healthz/ping") == (200, "ok")


async def test_others_of_the_cluster_are_not(url: str, authority: Authority):
    told = "Forbidden (user=system:node:other, verb=get, resource=nodes)"
    assert await ask(url, authority.client("CN=system:node:other,O=system:nodes"), "/healthz") == (403, told)


async def test_who_shows_nothing_is_not(url: str):
    for path in ("/healthz", "/containerLogs/default/web/app", "/no/such/path"):
        assert await ask(url, anonymous(), path) == (401, "Unauthorized")


@pytest.mark.parametrize("kind", ["stranger", "expired"])
async def test_whose_certificate_is_none_of_the_clusters_is_not(
    url: str, authority: Authority, tmp_path: Path, kind: str
):
    stranger = Authority(tmp_path).client(API_SERVER)
    expired = authority.client(API_SERVER, timedelta(minutes=-1))
    with pytest.raises(aiohttp.ClientError):
        await ask(url, stranger if kind == "stranger" else expired)


async def test_a_stranger_is_told_nothing_of_what_there_is(node: Node, http: aiohttp.ClientSession):
    node.refusal = Refused(401, "Unauthorized")
    for path in ("/exec/default/absent/app?output=1", "/no/such/path"):
        async with http.get(path) as answer:
            assert (answer.status, await answer.text()) == (401, "Unauthorized")


async def test_everybody_is_looked_at(node: Node, http: aiohttp.ClientSession):
    for path in ("/healthz", "/containerLogs/default/web/app"):
        await http.get(path)
    assert node.admitted == ["GET /healthz", "GET /containerLogs/default/web/app"]


def test_our_certificate_is_for_us_alone_to_read(tmp_path: Path):
    pair = tmp_path / "pair.pem"
    write_self_signed(pair, ["node", "192.0.2.1"], SystemClock().now())
    assert stat.S_IMODE(pair.stat().st_mode) == 0o600
    names = x509.load_pem_x509_certificate(pair.read_bytes()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert [str(name.value) for name in names.value] == ["node", "192.0.2.1"]


def test_authorities_that_are_none(tmp_path: Path):
    pair = tmp_path / "pair.pem"
    write_self_signed(pair, ["node"], SystemClock().now())
    with pytest.raises(ServerError, match="authority of client certificates"):
        server_context(pair, "nonsense")


def test_a_port_that_was_asked_for_must_be_had():
    with listen(0) as taken, pytest.raises(ServerError, match="give another with --port"):
        listen(taken.getsockname()[1])


def test_the_usual_port_gives_way():
    with listen(KUBELET_PORT) as one, listen(KUBELET_PORT) as other:
        assert one.getsockname()[1] != other.getsockname()[1]
