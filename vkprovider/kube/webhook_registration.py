"""The webhook as the API server is told of it: its configuration, and the certificate that goes with that.

Level-triggered: whatever happens only says "look again". A look has the authorities, then the certificate, then the
configuration as they are to be, in that order: nobody is told to trust what is not yet served, nor shown what nobody
trusts.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

import structlog

from vkprovider.errors import ApiNotFound
from vkprovider.kube.authorities import Authority, signer
from vkprovider.kube.backoff import BackOff
from vkprovider.kube.client import MERGE, ApiClient, Json
from vkprovider.kube.insistence import insist
from vkprovider.kube.resources import Resource
from vkprovider.kube.webhook_settings import WebhookSettings
from vkprovider.ports import WaitingClock
from vkprovider.sidecarset.destination import DestinationSettings
from vkprovider.sidecarset.webhook_configuration import NAME, webhooks

CONFIGURATIONS = Resource("mutatingwebhookconfigurations", "admissionregistration.k8s.io")
LOOK_SECONDS = 60.0  # between looks when nothing happens
PAUSE_SECONDS = 1.0  # between looks at the most: another version of vkprovider may want it otherwise
LONGEST_PAUSE = 10.0
_LOOKS = 40  # in an authority's life, at the least
log = structlog.get_logger()


class Secret(Protocol):
    """Where the authorities are: ``AuthoritySecret``."""

    async def authorities(self) -> tuple[Authority, ...]: ...


class Registration:
    """Keeps the webhook registered. ``use`` has the server show another certificate; ``path`` is where it answers.

    ``destination`` gives what is known of the virtual nodes now.
    """

    def __init__(
        self,
        api: ApiClient,
        settings: WebhookSettings,
        secret: Secret,
        destination: Callable[[], DestinationSettings],
        clock: WaitingClock,
    ) -> None:
        self.registered = asyncio.Event()
        self._api = api
        self._settings = settings
        self._secret = secret
        self._destination = destination
        self._clock = clock
        self._by: Authority | None = None  # who signed the certificate that is shown
        self._again = asyncio.Event()
        self._written: list[Json] = []

    def look_again(self) -> None:
        """Something has changed that the configuration depends on, or the configuration itself."""
        self._again.set()

    async def run(
        self, path: str, use: Callable[[bytes], Awaitable[None]], known: Callable[[], Awaitable[None]]
    ) -> None:
        """Keep it so, for ever. Nothing is registered before enough of the cluster is ``known`` to answer."""
        backoff = BackOff("registration of the webhook", self._clock, LONGEST_PAUSE)
        while True:
            self._again.clear()
            await insist(partial(self._look, path, use, known), backoff)
            await self._clock.sleep(min(PAUSE_SECONDS, self._pause))
            try:
                await asyncio.wait_for(self._again.wait(), self._pause)
            except TimeoutError:
                continue

    @property
    def _pause(self) -> float:
        return min(LOOK_SECONDS, self._settings.authority_life / timedelta(seconds=_LOOKS))

    async def _look(
        self, path: str, use: Callable[[bytes], Awaitable[None]], known: Callable[[], Awaitable[None]]
    ) -> None:
        from vkprovider.kube.own_authority import issue  # noqa: PLC0415

        authorities = await self._secret.authorities()
        by = signer(authorities, self._clock.now())
        if by != self._by:
            await use(await asyncio.to_thread(issue, by, self._settings.hosts, self._clock.now()))
            self._by = by
            log.info("the webhook has a new certificate", hosts=self._settings.hosts, ends=by.ends.isoformat())
        await known()
        await self._register(path, authorities)

    async def _register(self, path: str, authorities: tuple[Authority, ...]) -> None:
        from vkprovider.kube.own_authority import bundle  # noqa: PLC0415

        client = self._settings.client(path) | {"caBundle": b64encode(bundle(authorities)).decode()}
        spared = (self._settings.namespace,) if self._settings.service is not None else ()
        wanted = webhooks(self._destination(), client, spared)
        found = await self._find()
        if found is not None and (found.get("webhooks") or []) == wanted:
            self._done(wanted)
        elif found is not None and self._is_taken_over(found):
            log.warning("another process serves the webhook from now on", **_client(found))
        elif found is None:
            await self._api.create(CONFIGURATIONS.at(), _configuration(wanted))
            self._done(wanted)
        else:
            version = {"resourceVersion": found["metadata"]["resourceVersion"]}
            await self._api.patch(CONFIGURATIONS.at(name=NAME), {"metadata": version, "webhooks": wanted}, MERGE)
            self._done(wanted)

    async def _find(self) -> Json | None:
        try:
            return await self._api.get(CONFIGURATIONS.at(name=NAME))
        except ApiNotFound:
            return None

    def _done(self, wanted: list[Json]) -> None:
        if not self.registered.is_set():
            log.info("the webhook is registered", configuration=NAME)
        self.registered.set()
        self._written = wanted

    def _is_taken_over(self, found: Json) -> bool:
        """Whether somebody who is reached elsewhere has registered since we did: the last one to start serves."""
        there = _client(found)
        return bool(self._written and there) and there != _client({"webhooks": self._written})


def _client(configuration: Json) -> dict[str, Any]:
    """Where a configuration leads to."""
    for webhook in configuration.get("webhooks") or ():
        return {key: value for key, value in webhook["clientConfig"].items() if key != "caBundle"}
    return {}


def _configuration(wanted: list[Json]) -> Json:
    return {
        "apiVersion": f"{CONFIGURATIONS.group}/{CONFIGURATIONS.version}",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": wanted,
    }
