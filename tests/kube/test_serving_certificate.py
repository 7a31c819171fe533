from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tests.fakes.api_server import FakeApiServer
from tests.kube.authority import Authority
from tests.kube.quick_clock import QuickClock
from vkprovider.kube.certificates.serving import LONGEST_PAUSE, ServingCertificate
from vkprovider.kube.client import ApiClient

LIFE = timedelta(days=1)
HOSTS = ("n1", "10.0.0.1")


class Given:
    def __init__(self, folder: Path, server: FakeApiServer, api: ApiClient, clock: QuickClock) -> None:
        self.pair = folder / "serving.pem"
        self.server = server
        self.authority = Authority(server)
        self._api = api
        self._clock = clock

    @asynccontextmanager
    async def keeping(self, *hosts: str) -> AsyncIterator[None]:
        certificate = ServingCertificate(self.pair, "n1", hosts or HOSTS, self._clock)
        task = asyncio.create_task(certificate.keep(self._api))
        yield
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled()

    async def issue(self) -> bytes:
        """The next one that is asked for, once it is in the file."""
        await self.server.until(lambda: self.authority.open)
        (request,) = self.authority.open
        certificate = self.authority.issue(request, self._clock.now() + LIFE)
        async with asyncio.timeout(10):
            while not await asyncio.to_thread(self._has, certificate):  # noqa: ASYNC110  files tell nobody
                await asyncio.sleep(0)
        return certificate

    def _has(self, certificate: bytes) -> bool:
        return self.pair.exists() and self.pair.read_bytes().startswith(certificate.rstrip())


@pytest.fixture
def given(tmp_path: Path, server: FakeApiServer, api: ApiClient, clock: QuickClock) -> Given:
    return Given(tmp_path, server, api, clock)


async def test_it_asks_for_what_a_kubelet_asks_for(given: Given):
    async with given.keeping():
        await given.server.until(lambda: given.authority.open)
    spec = given.authority.open[0]["spec"]
    assert spec["signerName"] == "kubernetes.io/kubelet-serving"
    assert spec["usages"] == ["digital signature", "server auth"]
    wanted = x509.load_pem_x509_csr(b64decode(spec["request"]))
    assert wanted.subject == x509.Name.from_rfc4514_string("CN=system:node:n1,O=system:nodes")
    names = wanted.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == list(HOSTS)
    assert names.get_values_for_type(x509.DNSName) == ["n1"]


async def test_it_is_renewed_in_time(given: Given):
    async with given.keeping():
        first, second = [x509.load_pem_x509_certificate(await given.issue()) for _ in range(2)]
        assert 0.7 * LIFE <= second.not_valid_after_utc - first.not_valid_after_utc <= LIFE


async def test_one_that_holds_is_kept_over_a_restart_but_not_over_a_move(given: Given, clock: QuickClock):
    async with given.keeping():
        await given.issue()
    async with given.keeping():
        await clock.until(clock.elapsed + 1)  # it waits
        assert given.pair.exists()
        assert given.authority.open == []
    async with given.keeping("n1", "10.0.0.2"):
        await given.server.until(lambda: given.authority.open)
        assert not given.pair.exists()


async def test_an_administrator_is_waited_for_without_hurry(given: Given, clock: QuickClock):
    async with given.keeping():
        await clock.until(100 * LONGEST_PAUSE)
        (request,) = given.authority.requests
        assert given.server.count(f"get certificatesigningrequests {request['metadata']['name']}") < 700
        await given.issue()
