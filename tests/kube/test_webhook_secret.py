"""The authorities in their Secret: made once, read by everybody, followed in time."""

from __future__ import annotations

from base64 import b64decode
from datetime import timedelta

import pytest

from tests.fakes.api_server import FakeApiServer
from tests.kube.quick_clock import QuickClock
from vkprovider.errors import ApiConflict, ApiForbidden
from vkprovider.kube.client import ApiClient
from vkprovider.kube.webhook.secret import CERTIFICATES, NAME, AuthoritySecret

LIFE = timedelta(seconds=100)


@pytest.fixture
def secret(api: ApiClient, clock: QuickClock) -> AuthoritySecret:
    return AuthoritySecret(api, "tools", LIFE, clock)


@pytest.fixture(params=["absent", "empty", "garbage"])
def before(request: pytest.FixtureRequest, server: FakeApiServer) -> None:
    if request.param != "absent":
        data = {} if request.param == "empty" else {CERTIFICATES: "Z2FyYmFnZQ=="}
        server.store.put("secrets", {"metadata": {"name": NAME, "namespace": "tools"}, "data": data})


def stored(server: FakeApiServer) -> bytes:
    found = server.store.get("secrets", "tools", NAME)
    assert found is not None
    return b64decode(found["data"][CERTIFICATES])


@pytest.mark.usefixtures("before")
async def test_the_first_one_makes_an_authority_and_others_read_it(
    secret: AuthoritySecret, api: ApiClient, server: FakeApiServer, clock: QuickClock
) -> None:
    (made,) = await secret.authorities()
    assert stored(server) == made.certificate
    assert made.ends - made.made == LIFE
    assert await secret.authorities() == (made,)
    assert await AuthoritySecret(api, "tools", LIFE, clock).authorities() == (made,)


async def test_the_next_one_is_made_at_half_time_and_the_old_one_goes_at_its_end(
    secret: AuthoritySecret, server: FakeApiServer, clock: QuickClock
) -> None:
    (first,) = await secret.authorities()
    clock.elapsed = 50
    old, new = await secret.authorities()
    assert (old, stored(server)) == (first, first.certificate + new.certificate)
    clock.elapsed = 99
    assert await secret.authorities() == (old, new)
    clock.elapsed = 100
    stand = await secret.authorities()
    assert stand[0] == new
    assert old not in stand


async def test_who_comes_second_comes_again(secret: AuthoritySecret, server: FakeApiServer) -> None:
    server.fail("create", "secrets", 409)
    with pytest.raises(ApiConflict):
        await secret.authorities()
    assert len(await secret.authorities()) == 1


async def test_a_namespace_that_is_not_there_is_made(secret: AuthoritySecret, server: FakeApiServer) -> None:
    server.fail("create", "secrets", 404)
    await secret.authorities()
    assert server.store.get("namespaces", "", "tools") is not None
    assert stored(server)


async def test_what_it_may_not_do_is_said(secret: AuthoritySecret, server: FakeApiServer) -> None:
    for verb, plural in (("get", "secrets"), ("create", "secrets"), ("create", "namespaces")):
        if plural == "namespaces":
            server.fail("create", "secrets", 404)
        server.fail(verb, plural, 403)
        with pytest.raises(ApiForbidden, match=f"may not {verb} {plural}"):
            await secret.authorities()
