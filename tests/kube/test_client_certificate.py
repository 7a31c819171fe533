from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.fakes.api_server import FakeApiServer, write_kubeconfig
from tests.kube.authority import Authority
from tests.kube.quick_clock import QuickClock
from vkprovider.errors import ApiUnauthorized
from vkprovider.kube.certificates.client import ClientCertificate
from vkprovider.kube.client import ApiClient
from vkprovider.kube.resources import PODS

LIFE = timedelta(hours=1)
TOKEN = "bootstrap"


@pytest.fixture
def authority(server: FakeApiServer) -> Authority:
    return Authority(server)


@pytest.fixture
def bootstrap(tmp_path: Path, server: FakeApiServer) -> Path:
    return write_kubeconfig(tmp_path / "bootstrap", server.url, TOKEN)


@pytest.fixture
async def certificate(tmp_path: Path, bootstrap: Path, clock: QuickClock) -> AsyncIterator[ClientCertificate]:
    certificate = ClientCertificate(tmp_path / "pki", "n1", str(bootstrap), clock)
    yield certificate
    await certificate.aclose()


async def obtained(certificate: ClientCertificate, authority: Authority, server: FakeApiServer, ends: datetime) -> None:
    asking = asyncio.ensure_future(certificate.obtain())
    await server.until(lambda: authority.open)
    authority.issue(authority.open[0], ends)
    await asking


async def test_a_certificate_that_holds_is_not_asked_for_again(
    server: FakeApiServer, authority: Authority, certificate: ClientCertificate, bootstrap: Path, clock: QuickClock
) -> None:
    server.token = TOKEN
    await obtained(certificate, authority, server, clock.now() + LIFE)
    server.token = ""
    before = len(server.asked)
    await certificate.obtain()
    os.unlink(bootstrap)
    await certificate.obtain()
    assert len(server.asked) == before
    api = ApiClient(clock, certificate.kubeconfig)
    assert (await api.list(PODS.at()))["items"] == []
    await api.aclose()
    clock.elapsed += LIFE.total_seconds()
    with pytest.raises(ApiUnauthorized, match=f"^kubeconfig {bootstrap}: it does not exist"):
        await certificate.obtain()


async def test_the_administrator_is_told_once_and_the_request_goes_on(
    server: FakeApiServer, authority: Authority, certificate: ClientCertificate, clock: QuickClock
) -> None:
    with capture_logs() as logs:
        asking = asyncio.ensure_future(certificate.obtain())
        await clock.until(100)
        (request,) = authority.open
        authority.issue(request, clock.now() + LIFE)
        await asking
    warnings = [line["error"] for line in logs if line["log_level"] == "warning"]
    assert len(warnings) == 1
    assert warnings[0].endswith(f"kubectl certificate approve {request['metadata']['name']}")


async def test_a_certificate_of_another_cluster_is_dropped(
    server: FakeApiServer, authority: Authority, certificate: ClientCertificate, bootstrap: Path, clock: QuickClock
) -> None:
    await obtained(certificate, authority, server, clock.now() + LIFE)
    write_kubeconfig(bootstrap, server.url.replace("127.0.0.1", "localhost"), TOKEN)
    await obtained(certificate, authority, server, clock.now() + LIFE)
    assert len(authority.requests) == 2


async def test_a_certificate_that_is_of_no_use_is_not_taken(
    server: FakeApiServer, authority: Authority, certificate: ClientCertificate, clock: QuickClock
) -> None:
    with capture_logs() as logs:
        asking = asyncio.ensure_future(certificate.obtain())
        await server.until(lambda: authority.open)
        (request,) = authority.open
        authority.issue(request, clock.now() - LIFE)
        await clock.until(clock.elapsed + 60)
        authority.issue(request, clock.now() + LIFE)
        await asking
    assert "does this machine's clock go right" in next(line["error"] for line in logs if "error" in line)
    assert len(authority.requests) == 1
    assert certificate.store.failures > 0
    assert certificate.store.known_end is not None
    assert certificate.store.known_end > clock.now()


async def test_a_disk_that_fails_is_no_end(
    server: FakeApiServer, authority: Authority, certificate: ClientCertificate, clock: QuickClock, tmp_path: Path
) -> None:
    obstacle = tmp_path / "pki" / "client.next-key"
    os.makedirs(obstacle)
    with capture_logs() as logs:
        asking = asyncio.ensure_future(certificate.obtain())
        await clock.until(10)
        os.rmdir(obstacle)
        await server.until(lambda: authority.open)
        authority.issue(authority.open[0], clock.now() + LIFE)
        await asking
    assert "the certificate cannot be kept: " in logs[0]["error"]


class Keeping:
    """A certificate that is kept, by whom a client goes."""

    def __init__(self, certificate: ClientCertificate, clock: QuickClock) -> None:
        self.api = ApiClient(clock, certificate.kubeconfig)
        self._task = asyncio.ensure_future(certificate.keep(self.api))

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.wait((self._task,))
        await self.api.aclose()


async def test_it_is_renewed_in_time_and_without_the_token(
    server: FakeApiServer, authority: Authority, certificate: ClientCertificate, bootstrap: Path, clock: QuickClock
) -> None:
    begun = clock.now()
    await obtained(certificate, authority, server, begun + LIFE)
    os.unlink(bootstrap)
    keeping = Keeping(certificate, clock)
    for number in (2, 3):
        await server.until(lambda: authority.open)
        assert len(authority.requests) == number
        assert 0.7 * LIFE <= clock.now() - begun <= LIFE
        begun = clock.now()
        authority.issue(authority.open[0], begun + LIFE)
    await keeping.end()


async def test_one_that_has_ended_is_replaced_with_the_token(
    server: FakeApiServer, authority: Authority, certificate: ClientCertificate, clock: QuickClock
) -> None:
    """As after a machine's sleep."""
    await obtained(certificate, authority, server, clock.now() + LIFE)
    clock.elapsed += 2 * LIFE.total_seconds()
    server.token = TOKEN
    keeping = Keeping(certificate, clock)
    await server.until(lambda: authority.open)
    await keeping.end()
