"""The API on the network: TLS, and who is let in."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from structlog.testing import capture_logs

from tests.server.certificates import Authority, anonymous
from tests.server.conftest import Node
from tests.server.secured import Secured
from vkprovider.errors import ApiForbidden
from vkprovider.model.access import User
from vkprovider.node.clock import SystemClock
from vkprovider.server.access import ALLOWED_SECONDS, DENIED_SECONDS, TOKEN_SECONDS
from vkprovider.server.certificates import Pair, server_context, write_self_signed
from vkprovider.server.reception import Limits
from vkprovider.server.refusals import Refused, ServerError
from vkprovider.server.serving import KUBELET_PORT, listen

API_SERVER = "CN=kube-apiserver-kubelet-client"


@pytest.fixture
async def secured(node: Node, tmp_path: Path) -> AsyncIterator[Secured]:
    secured = Secured(tmp_path)
    async with secured.serving(node, Limits()):
        yield secured


async def test_whom_the_cluster_allows_it_is_let_in(secured: Secured):
    secured.reviews.may("kube-apiserver-kubelet-client", "get", "proxy")
    assert await secured.ask(secured.authority.client(API_SERVER)) == (200, "ok")
    assert await secured.ask(secured.authority.client(API_SERVER), "/healthz/ping") == (200, "ok")


async def test_a_certificate_names_user_and_groups(secured: Secured):
    secured.reviews.may("system:node:other", "get", "proxy")
    subject = "CN=system:node:other,O=system:nodes"
    assert (await secured.ask(secured.authority.client(subject)))[0] == 200
    assert {user.groups for user, _, _ in secured.reviews.asked} == {("system:nodes", "system:authenticated")}


async def test_the_narrow_permission_is_enough_and_asked_for_first(secured: Secured):
    secured.reviews.may("monitor", "get", "healthz")
    assert (await secured.ask(secured.authority.client("CN=monitor")))[0] == 200
    assert [place for _, _, place in secured.reviews.asked] == ["healthz"]
    status, told = await secured.ask(secured.authority.client("CN=monitor"), "/exec/default/web/app")
    assert (status, told) == (403, "Forbidden (user=monitor, verb=get, resource=nodes, subresource(s)=[proxy])\n")


async def test_others_of_the_cluster_are_not(secured: Secured):
    told = "Forbidden (user=other, verb=get, resource=nodes, subresource(s)=[healthz proxy])\n"
    assert await secured.ask(secured.authority.client("CN=other")) == (403, told)


async def test_who_shows_nothing_is_not(secured: Secured):
    for path in ("/healthz", "/containerLogs/default/web/app", "/no/such/path"):
        assert await secured.ask(anonymous(), path) == (401, "Unauthorized")
    assert secured.reviews.asked == []


async def test_a_token_says_who_it_is_that_asks(secured: Secured):
    secured.reviews.users["s3cret"] = User(name="prometheus", groups=("system:authenticated",))
    secured.reviews.may("prometheus", "get", "healthz")
    assert await secured.ask(anonymous(), token="s3cret") == (200, "ok")
    assert await secured.ask(anonymous(), token="wrong") == (401, "Unauthorized")
    assert (await secured.ask(anonymous(), "/exec/default/web/app", "s3cret"))[0] == 403


async def test_a_certificate_without_a_name_leaves_it_to_the_token(secured: Secured):
    secured.reviews.users["s3cret"] = User(name="prometheus")
    secured.reviews.may("prometheus", "get", "healthz")
    nameless = secured.authority.client("O=system:masters")
    assert await secured.ask(nameless, token="s3cret") == (200, "ok")
    assert await secured.ask(nameless) == (401, "Unauthorized")


async def test_answers_are_kept_for_their_time(secured: Secured):
    secured.reviews.users["s3cret"] = User(name="prometheus")
    secured.reviews.may("prometheus", "get", "healthz")
    for _ in range(3):
        await secured.ask(anonymous(), token="s3cret")
        await secured.ask(anonymous(), "/no/such/path", token="s3cret")
    assert secured.reviews.tokens == ["s3cret"]
    assert [place for _, _, place in secured.reviews.asked] == ["healthz", "proxy"]
    secured.clock.ahead += DENIED_SECONDS + 1
    await secured.ask(anonymous(), token="s3cret")
    await secured.ask(anonymous(), "/no/such/path", token="s3cret")
    assert [place for _, _, place in secured.reviews.asked] == ["healthz", "proxy", "proxy"]
    secured.clock.ahead += TOKEN_SECONDS
    await secured.ask(anonymous(), token="s3cret")
    assert secured.reviews.tokens == ["s3cret", "s3cret"]
    secured.clock.ahead += ALLOWED_SECONDS
    await secured.ask(anonymous(), token="s3cret")
    assert [place for _, _, place in secured.reviews.asked][3:] == ["healthz"]


async def test_a_cluster_that_does_not_answer_lets_nobody_in(secured: Secured):
    secured.reviews.users["s3cret"] = User(name="prometheus")
    secured.reviews.may("prometheus", "get", "healthz")
    secured.reviews.failure = ApiForbidden("may not create tokenreviews: grant it")
    client = secured.authority.client("CN=me")
    with capture_logs() as logs:
        for _ in range(2):
            assert await secured.ask(anonymous(), token="s3cret") == (401, "Unauthorized")
        told = "Authorization error (user=me, verb=get, resource=nodes, subresource=healthz)"
        assert await secured.ask(client) == (500, told)
    assert [line["error"] for line in logs] == ["may not create tokenreviews: grant it"]
    secured.reviews.failure = None
    assert await secured.ask(anonymous(), token="s3cret") == (200, "ok")


@pytest.mark.parametrize("kind", ["stranger", "expired"])
async def test_whose_certificate_is_none_of_the_clusters_is_not(secured: Secured, tmp_path: Path, kind: str):
    secured.reviews.may("kube-apiserver-kubelet-client", "get", "proxy")
    stranger = Authority(tmp_path).client(API_SERVER)
    expired = secured.authority.client(API_SERVER, timedelta(minutes=-1))
    with pytest.raises(aiohttp.ClientError):
        await secured.ask(stranger if kind == "stranger" else expired)
    assert secured.reviews.asked == []


async def test_a_certificate_that_ends_while_its_connection_goes_on(secured: Secured):
    secured.reviews.may("kube-apiserver-kubelet-client", "get", "proxy")
    context = secured.authority.client(API_SERVER)
    async with aiohttp.ClientSession() as session:
        for hours, status in ((0, 200), (2, 401)):
            secured.clock.ahead = 3600 * hours
            async with session.get(f"{secured.url}/healthz", ssl=context) as answer:
                assert answer.status == status


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


def test_files_that_cannot_be_used(tmp_path: Path):
    pair, other = tmp_path / "pair.pem", tmp_path / "other.pem"
    write_self_signed(pair, ["node"], SystemClock().now())
    write_self_signed(other, ["node"], SystemClock().now())
    with pytest.raises(ServerError, match="authority of client certificates"):
        server_context(Pair(pair, pair), "nonsense")
    for certificate, key, why in ((pair, other, "KEY_VALUES_MISMATCH"), (pair, tmp_path / "absent", "No such file")):
        with pytest.raises(ServerError, match=f"{certificate} with key {key} cannot be used: {why}"):
            server_context(Pair(certificate, key), "")


def test_a_port_that_was_asked_for_must_be_had():
    with listen(0) as taken, pytest.raises(ServerError, match="give another with --port"):
        listen(taken.getsockname()[1])


def test_the_usual_port_gives_way():
    with listen(KUBELET_PORT) as one, listen(KUBELET_PORT) as other:
        assert one.getsockname()[1] != other.getsockname()[1]
