"""The webhook, put together: what it knows of the cluster, its port, and its registration with the API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from vkprovider.kube.client import ApiClient
from vkprovider.kube.reflector import Reflector, Update
from vkprovider.kube.resources import PODS
from vkprovider.kube.webhook.admission_state import AdmissionState
from vkprovider.kube.webhook.definitions import define_sidecar_sets
from vkprovider.kube.webhook.registration import Registration
from vkprovider.kube.webhook.secret import AuthoritySecret
from vkprovider.kube.webhook.set_controller import SetController
from vkprovider.kube.webhook.settings import WebhookSettings
from vkprovider.ports import WaitingClock
from vkprovider.sidecarset.admission import allowed, answer, answer_on_set, read_review, sets_for
from vkprovider.sidecarset.destination import VIRTUAL_NODE
from vkprovider.sidecarset.webhook_configuration import PODS_PATH, SETS_PATH
from vkprovider.webhook.endpoint import application
from vkprovider.webhook.serving import ServingPair, listen, serve

Json = dict[str, Any]
OURS = {"labelSelector": f"{VIRTUAL_NODE}=true"}  # the pods that may have been injected


class Webhook:
    """Listens from the start, and serves once it has a certificate.

    Raises WebhookError where the port cannot be had.
    """

    def __init__(self, api: ApiClient, settings: WebhookSettings, clock: WaitingClock) -> None:
        self._api = api
        self._clock = clock
        self._pair = ServingPair()
        self._listener = listen(settings.port)
        settings = msgspec.structs.replace(settings, port=self._listener.getsockname()[1])
        secret = AuthoritySecret(api, settings.namespace, settings.authority_life, clock)
        self._registration = Registration(api, settings, secret, clock)
        self._controller = SetController(api, settings.namespace, clock)
        again = self._registration.look_again, self._controller.look_again
        self._state = AdmissionState(api, settings.destination, *again, clock)

    async def run(self) -> None:
        """Serve until cancelled."""
        reviews = {PODS_PATH: self._review_pod, SETS_PATH: self._review_set}
        app = application(reviews, self._registration.registered.is_set)
        with self._listener:
            async with asyncio.TaskGroup() as group:
                for part in self._state.watches():
                    group.create_task(part)
                group.create_task(define_sidecar_sets(self._api, self._clock))
                group.create_task(self._state.watch_sets())
                group.create_task(self._controller.follow(self._pods()))
                group.create_task(self._controller.events.run())
                group.create_task(self._controller.revisions.run())
                group.create_task(self._controller.run(self._state.own_sets, self._state.labels_of))
                group.create_task(serve(app, self._listener, self._pair))
                group.create_task(self._registration.attend())
                await self._registration.run(self._state.destination, self._pair.use, self._state.known)

    def _pods(self) -> AsyncIterator[Update]:
        return Reflector(self._api, PODS.at(), self._clock, selectors=OURS).updates()

    async def _review_pod(self, body: bytes) -> Json:
        request = read_review(body)
        cluster = await self._state.cluster(request.namespace)
        sets = sets_for(request.object, request.namespace, cluster)
        revisions = await self._controller.revisions.named_by(sets)
        return answer(request, msgspec.structs.replace(cluster, revisions=revisions), self._clock.now())

    async def _review_set(self, body: bytes) -> Json:
        """Where OpenKruise is, it has refused what is to be refused."""
        request = read_review(body)
        others = await self._state.sets()
        known = self._controller.revisions.known()
        return allowed(request) if others is None else answer_on_set(request, others, known)
