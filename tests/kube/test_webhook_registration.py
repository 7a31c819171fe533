"""The webhook as the API server is told of it."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes.api_server import FakeApiServer
from tests.kube.quick_clock import QuickClock
from vkprovider.errors import ApiUnavailable
from vkprovider.kube.certificates.own_authority import bundle
from vkprovider.kube.client import ApiClient
from vkprovider.kube.webhook.pulse import SILENT_SECONDS, Pulse
from vkprovider.kube.webhook.registration import Registration
from vkprovider.kube.webhook.secret import AuthoritySecret
from vkprovider.kube.webhook.settings import WebhookSettings
from vkprovider.sidecarset.destination import DestinationSettings
from vkprovider.sidecarset.webhook_configuration import NAME

HERE = WebhookSettings(address="10.0.0.7", namespace="tools", authority_life=timedelta(hours=100))
KIND = "mutatingwebhookconfigurations"


class Process:
    """One that serves, on a clock whose waits are over when the test says so."""

    def __init__(self, api: ApiClient, clock: QuickClock, settings: WebhookSettings = HERE) -> None:
        self.nodes: frozenset[str] = frozenset()
        self.shown: list[bytes] = []
        self.has_one = asyncio.Event()
        self.known = asyncio.Event()
        self.secret = AuthoritySecret(api, settings.namespace, settings.authority_life, clock)
        self.registration = Registration(api, settings, self.secret, clock)
        self.task = asyncio.create_task(self.registration.run(self._destination, self._use, self._wait))

    async def registered(self) -> None:
        self.known.set()
        async with asyncio.timeout(10):
            await self.registration.registered.wait()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def _destination(self) -> DestinationSettings:
        return DestinationSettings(nodes=self.nodes)

    async def _use(self, pem: bytes) -> None:
        self.shown.append(pem)
        self.has_one.set()

    async def _wait(self) -> None:
        await self.known.wait()


@pytest.fixture
async def process(api: ApiClient, clock: QuickClock) -> AsyncIterator[Process]:
    process = Process(api, clock)
    yield process
    await process.stop()


def webhooks(server: FakeApiServer) -> list[dict[str, Any]]:
    found = server.store.get(KIND, "", NAME)
    return found.get("webhooks") or [] if found is not None else []


async def test_nobody_is_asked_before_it_can_answer(server: FakeApiServer, process: Process) -> None:
    await server.until(lambda: any(key.plural == "secrets" for key in server.store.objects))
    async with asyncio.timeout(10):
        await process.has_one.wait()
    assert server.store.get(KIND, "", NAME) is None
    await process.registered()
    client = webhooks(server)[0]["clientConfig"]
    assert client["url"] == "https://10.0.0.7:10260/pods"
    assert b64decode(client["caBundle"]) == bundle(await process.secret.authorities())


async def test_sets_are_asked_about_too(server: FakeApiServer, process: Process) -> None:
    await process.registered()
    await server.until(lambda: server.store.get("validatingwebhookconfigurations", "", NAME))
    found = server.store.get("validatingwebhookconfigurations", "", NAME)
    assert found is not None
    (webhook,) = found["webhooks"]
    assert webhook["clientConfig"]["url"] == "https://10.0.0.7:10260/sidecarsets"
    assert webhook["failurePolicy"] == "Ignore"


async def test_an_empty_configuration_is_filled(server: FakeApiServer, process: Process) -> None:
    server.store.put(KIND, {"metadata": {"name": NAME, "labels": {"owner": "me"}}})
    await process.registered()
    found = server.store.get(KIND, "", NAME)
    assert found is not None
    assert found["metadata"]["labels"] == {"owner": "me"}
    assert len(found["webhooks"]) == 3


async def test_it_follows_the_nodes_and_what_others_do_to_it(server: FakeApiServer, process: Process) -> None:
    await process.registered()
    process.nodes = frozenset({"virtual-7"})
    process.registration.look_again()
    await server.until(lambda: "virtual-7" in str(webhooks(server)))
    server.store.edit(KIND, "", NAME, webhooks=[])
    process.registration.look_again()
    await server.until(lambda: len(webhooks(server)) == 3)
    server.store.vanish(KIND, "", NAME)
    process.registration.look_again()
    await server.until(lambda: len(webhooks(server)) == 3)


async def test_the_one_that_registered_last_is_asked(
    api: ApiClient, server: FakeApiServer, clock: QuickClock, process: Process
) -> None:
    """The one before does not take it back, but looks after it again when it is gone."""
    await process.registered()
    second = Process(api, clock, WebhookSettings(address="10.0.0.8", namespace="tools"))
    await second.registered()
    assert "10.0.0.8" in str(webhooks(server))
    asked = server.count(f"get {KIND} {NAME}")
    process.registration.look_again()
    await server.until(lambda: server.count(f"get {KIND} {NAME}") > asked)
    await second.stop()
    assert "10.0.0.8" in str(webhooks(server))
    server.store.vanish(KIND, "", NAME)
    process.registration.look_again()
    await server.until(lambda: "10.0.0.7" in str(webhooks(server)))


async def test_another_authority_another_certificate(
    server: FakeApiServer, clock: QuickClock, process: Process
) -> None:
    await process.registered()
    for hours, certificates, authorities in ((50, 1, 2), (76, 2, 2)):
        clock.elapsed = hours * 3600
        process.registration.look_again()
        await server.until(lambda: len(process.shown) == certificates and _bundled(server) == authorities)  # noqa: B023


def _bundled(server: FakeApiServer) -> int:
    return b64decode(webhooks(server)[0]["clientConfig"]["caBundle"]).count(b"BEGIN CERTIFICATE")


async def test_one_that_stands_by_steps_in_when_the_other_gives_no_sign_of_life(
    api: ApiClient, server: FakeApiServer, clock: QuickClock, process: Process
) -> None:
    await process.registered()
    second = Process(api, clock, WebhookSettings(address="10.0.0.8", namespace="tools"))
    await second.registered()
    process.registration.look_again()
    beats = asyncio.create_task(second.registration.attend())
    await server.until(lambda: _holder(server) == "10.0.0.8")
    beats.cancel()
    await second.stop()
    assert "10.0.0.8" in str(webhooks(server))
    waits = asyncio.create_task(process.registration.attend())
    await server.until(lambda: "10.0.0.7" in str(webhooks(server)))
    await server.until(lambda: _holder(server) == "10.0.0.7")
    waits.cancel()
    await asyncio.gather(beats, waits, return_exceptions=True)


async def test_who_gives_signs_of_life_is_alive(api: ApiClient, server: FakeApiServer, clock: QuickClock) -> None:
    one, other = (Pulse(api, "tools", name, clock) for name in ("one", "other"))
    for _ in range(3):
        await one.beat()
        assert not await other.has_stopped()
        clock.elapsed += SILENT_SECONDS - 1
        assert not await other.has_stopped()
    clock.elapsed += 1
    assert await other.has_stopped()
    await other.beat()
    assert not await one.has_stopped()
    server.store.vanish("leases", "tools", "vkprovider-webhook")  # which is a sign of nothing
    assert not await one.has_stopped()
    clock.elapsed += SILENT_SECONDS
    assert not await one.has_stopped()


async def test_during_an_outage_nobody_can_give_signs_of_life(
    api: ApiClient, server: FakeApiServer, clock: QuickClock
) -> None:
    one, other = (Pulse(api, "tools", name, clock) for name in ("one", "other"))
    await one.beat()
    assert not await other.has_stopped()
    server.fail("get", "leases", 503)
    with pytest.raises(ApiUnavailable):
        await other.has_stopped()
    clock.elapsed += SILENT_SECONDS
    assert not await other.has_stopped()
    clock.elapsed += SILENT_SECONDS
    assert await other.has_stopped()


async def test_a_lease_that_nobody_ever_renewed_says_nothing(
    api: ApiClient, server: FakeApiServer, clock: QuickClock
) -> None:
    server.store.put("leases", {"metadata": {"name": "vkprovider-webhook", "namespace": "tools"}})
    pulse = Pulse(api, "tools", "one", clock)
    for _ in range(2):
        assert not await pulse.has_stopped()
        clock.elapsed += SILENT_SECONDS


async def test_one_that_can_give_no_sign_of_life_still_steps_in(
    api: ApiClient, server: FakeApiServer, clock: QuickClock, process: Process
) -> None:
    await process.registered()
    server.fail("patch", "leases", 403, times=1 << 30)
    lease = {"metadata": {"name": "vkprovider-webhook", "namespace": "tools"}, "spec": {"renewTime": "of the other"}}
    server.store.put("leases", lease)
    attends = asyncio.create_task(process.registration.attend())
    await server.until(lambda: server.count("patch leases vkprovider-webhook") > 1)
    second = Process(api, clock, WebhookSettings(address="10.0.0.8", namespace="tools"))
    await second.registered()
    await second.stop()
    process.registration.look_again()
    await server.until(lambda: "10.0.0.7" in str(webhooks(server)))
    attends.cancel()
    await asyncio.gather(attends, return_exceptions=True)


def _holder(server: FakeApiServer) -> str:
    found = server.store.get("leases", "tools", "vkprovider-webhook")
    return str(found["spec"]["holderIdentity"]) if found is not None else ""
