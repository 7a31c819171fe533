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
from typing import Protocol

import structlog

from vkprovider.kube.backoff import BackOff
from vkprovider.kube.certificates.authorities import Authority, signer
from vkprovider.kube.client import ApiClient
from vkprovider.kube.insistence import insist
from vkprovider.kube.webhook.kept_configuration import MUTATING, VALIDATING, KeptConfiguration
from vkprovider.kube.webhook.pulse import BEAT_SECONDS, Pulse
from vkprovider.kube.webhook.settings import WebhookSettings
from vkprovider.ports import WaitingClock
from vkprovider.sidecarset.destination import DestinationSettings
from vkprovider.sidecarset.webhook_configuration import NAME, PODS_PATH, SETS_PATH, set_webhooks, webhooks

LOOK_SECONDS = 60.0  # between looks when nothing happens
PAUSE_SECONDS = 1.0  # between looks at the most: another version of vkprovider may want it otherwise
LONGEST_PAUSE = 10.0
_LOOKS = 40  # in an authority's life, at the least
Destination = Callable[[], DestinationSettings]
Use = Callable[[bytes], Awaitable[None]]

log = structlog.get_logger()


class Secret(Protocol):
    """Where the authorities are: ``AuthoritySecret``."""

    async def authorities(self) -> tuple[Authority, ...]: ...


class Registration:
    """Keeps the webhook registered: ``run`` it, and ``attend``."""

    def __init__(self, api: ApiClient, settings: WebhookSettings, secret: Secret, clock: WaitingClock) -> None:
        self.registered = asyncio.Event()
        self._settings = settings
        self._secret = secret
        self._clock = clock
        self._by: Authority | None = None  # who signed the certificate that is shown
        self._again = asyncio.Event()
        self._mutating = KeptConfiguration(api, MUTATING)
        self._validating = KeptConfiguration(api, VALIDATING)
        self._pulse = Pulse(api, settings.namespace, ",".join(settings.hosts), clock)
        self._steps_in = False  # with the next look

    def look_again(self) -> None:
        """Something has changed that the configuration depends on, or the configuration itself."""
        self._again.set()

    async def run(self, destination: Destination, use: Use, known: Callable[[], Awaitable[None]]) -> None:
        """Keep it so, for ever. ``destination`` gives what is known of the virtual nodes now, ``use`` has the server
        show another certificate. Nothing is registered before enough of the cluster is ``known`` to answer.
        """

        async def look() -> None:
            authorities = await self._secret.authorities()
            await self._certify(authorities, use)
            await known()
            await self._register(authorities, destination())

        backoff = BackOff("registration of the webhook", self._clock, LONGEST_PAUSE)
        while True:
            self._again.clear()
            await insist(look, backoff)
            await self._clock.sleep(min(PAUSE_SECONDS, self._pause))
            try:
                await asyncio.wait_for(self._again.wait(), self._pause)
            except TimeoutError:
                continue

    async def attend(self) -> None:
        """While it is this process that is asked, let others know that it is alive; else see whether they are, and step
        in where they are not. For ever, once registered.
        """
        await self.registered.wait()
        backoff = BackOff("sign of life of the webhook", self._clock, LONGEST_PAUSE)
        while True:
            await insist(self._sign, backoff)
            await self._clock.sleep(BEAT_SECONDS)

    async def _sign(self) -> None:
        await (self._stand_by() if self._mutating.stands_by else self._pulse.beat())

    async def _stand_by(self) -> None:
        if await self._pulse.has_stopped():
            log.warning("the process that served the webhook gives no sign of life: this one serves it from now on")
            self._steps_in = True
            self.look_again()

    @property
    def _pause(self) -> float:
        return min(LOOK_SECONDS, self._settings.authority_life / timedelta(seconds=_LOOKS))

    async def _certify(self, authorities: tuple[Authority, ...], use: Use) -> None:
        from vkprovider.kube.certificates.own_authority import issue  # noqa: PLC0415

        by = signer(authorities, self._clock.now())
        if by != self._by:
            await use(await asyncio.to_thread(issue, by, self._settings.hosts, self._clock.now()))
            self._by = by
            log.info("the webhook has a new certificate", hosts=self._settings.hosts, ends=by.ends.isoformat())

    async def _register(self, authorities: tuple[Authority, ...], destination: DestinationSettings) -> None:
        from vkprovider.kube.certificates.own_authority import bundle  # noqa: PLC0415

        trust = {"caBundle": b64encode(bundle(authorities)).decode()}
        spared = (self._settings.namespace,) if self._settings.service is not None else ()
        pods = webhooks(destination, self._settings.client(PODS_PATH) | trust, spared)
        if await self._mutating.keep(pods, steps_in=self._steps_in) and not self.registered.is_set():
            log.info("the webhook is registered", configuration=NAME)
            self.registered.set()
        await self._validating.keep(set_webhooks(self._settings.client(SETS_PATH) | trust), steps_in=self._steps_in)
        self._steps_in = False
