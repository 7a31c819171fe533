"""What pods refer to: ConfigMaps, Secrets and ClusterTrustBundles, followed by one watch for each, claims, and service
accounts' tokens.

A watch of a single object is what a node may have (plugin/pkg/auth/authorizer/node), and all that a kubelet keeps
(pkg/kubelet/util/manager/watch_based_manager.go): pods that refer to the same object share it. While the API server
cannot be reached, what was seen last holds, so that containers can be restarted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog

from vkprovider.core.services import Service
from vkprovider.core.tokens import Token, renewal
from vkprovider.core.trust_anchors import BUNDLE, BUNDLES_OF_SIGNER
from vkprovider.errors import ApiError, ApiInvalid, ApiNotFound
from vkprovider.kube.backoff import share
from vkprovider.kube.client import ApiClient, Json
from vkprovider.kube.references.followed import Followed, Watching, selectors
from vkprovider.kube.references.services import Services
from vkprovider.kube.resources import (
    CONFIG_MAPS,
    RUNTIME_CLASSES,
    SECRETS,
    SERVICE_ACCOUNTS,
    VOLUME_CLAIMS,
    VOLUMES,
    Resource,
)
from vkprovider.kube.served import TRUST_BUNDLES, served
from vkprovider.model.refs import ObjectRef, PodUID, TokenRef
from vkprovider.ports import WaitingClock

_RESOURCES = {
    "ConfigMap": CONFIG_MAPS,
    "Secret": SECRETS,
    "PersistentVolumeClaim": VOLUME_CLAIMS,
    "PersistentVolume": VOLUMES,
    "RuntimeClass": RUNTIME_CLASSES,
}
_RETRY = timedelta(minutes=1)  # of a renewal that failed, while the old token still holds

log = structlog.get_logger()


class KubeObjects:
    """What the cluster has, whoever it is for: ``GrantedObjects`` gives pods what they may have."""

    def __init__(self, api: ApiClient, clock: WaitingClock, services: Services) -> None:
        self._api = api
        self._clock = clock
        self._services = services
        self._watching = Watching(api, clock, self._kind)
        self._followed: dict[ObjectRef, Followed] = {}
        self._refs: dict[PodUID, frozenset[ObjectRef]] = {}
        self._tokens: dict[TokenRef, _Held] = {}

    async def get(self, ref: ObjectRef) -> Mapping[str, Any] | None:
        """The raw object, or None if it does not exist. Raises ApiError if that cannot be known now."""
        followed = self._followed.get(ref)
        if followed is not None and followed.known:
            return followed.raw
        try:
            kind = await self._kind(ref)
            if ref.kind == BUNDLES_OF_SIGNER:
                return await self._api.list(kind.at(), selectors(ref))
            return await self._api.get(kind.at(ref.namespace, ref.name))
        except ApiNotFound:
            return None

    def follow(self, uid: PodUID, refs: frozenset[ObjectRef], changed: Callable[[ObjectRef], None]) -> None:
        before = self._refs.get(uid, frozenset())
        for ref in before - refs:
            followed = self._followed[ref]
            del followed.listeners[uid]
            if not followed.listeners:
                self._followed.pop(ref).task.cancel()
        for ref in refs:
            if ref not in self._followed:
                self._followed[ref] = Followed(ref, self._watching)
            self._followed[ref].listeners[uid] = changed
        if refs:
            self._refs[uid] = refs
        else:
            self._refs.pop(uid, None)

    async def token(self, ref: TokenRef) -> Token:
        """The token at hand until it is due, then another one; the old one as long as it holds if none can be had.

        Raises ApiError.
        """
        now = self._clock.now()
        held = self._tokens.get(ref)
        if held is not None and now < held.token.renew_at:
            return held.token
        try:
            fresh = await self._request(ref)
        except ApiError as exc:
            if held is None or held.expires_at <= now:
                raise
            log.warning("a token cannot be renewed; the old one goes on", pod=ref.pod, error=str(exc))
            return msgspec.structs.replace(held.token, renew_at=now + _RETRY)
        self._tokens = {other: held for other, held in self._tokens.items() if held.expires_at > now} | {ref: fresh}
        return fresh.token

    async def services(self) -> tuple[Service, ...]:
        return await self._services.all()

    async def aclose(self) -> None:
        """Follow nothing any more."""
        tasks = [followed.task for followed in self._followed.values()]
        self._followed.clear()
        self._refs.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _kind(self, ref: ObjectRef) -> Resource:
        if ref.kind in (BUNDLE, BUNDLES_OF_SIGNER):
            return await served(self._api, TRUST_BUNDLES)
        return _RESOURCES[ref.kind]

    async def _request(self, ref: TokenRef) -> _Held:
        place = SERVICE_ACCOUNTS.at(ref.namespace, ref.service_account, "token")
        answer = await self._api.create(place, _token_request(ref))
        try:
            answered = msgspec.convert(answer, _TokenAnswer)
        except msgspec.ValidationError as exc:
            raise ApiInvalid(f"cannot create {place}: the API server's answer has no token: {exc}") from exc
        expires_at = answered.status.expiration_timestamp
        renew_at = renewal(expires_at, answered.spec.expiration_seconds or ref.seconds, share(str(ref)))
        return _Held(token=Token(value=answered.status.token, renew_at=renew_at), expires_at=expires_at)


class _Held(msgspec.Struct, frozen=True, kw_only=True):
    token: Token
    expires_at: datetime


class _Asked(msgspec.Struct, rename="camel"):
    expiration_seconds: int | None = None


class _Given(msgspec.Struct, rename="camel"):
    token: str
    expiration_timestamp: datetime


class _TokenAnswer(msgspec.Struct):
    """The part of authentication/v1 TokenRequest that is read."""

    spec: _Asked
    status: _Given


def _token_request(ref: TokenRef) -> Json:
    bound = {"apiVersion": "v1", "kind": "Pod", "name": ref.pod, "uid": ref.pod_uid}
    audiences = [ref.audience] if ref.audience else []
    spec = {"audiences": audiences, "expirationSeconds": ref.seconds, "boundObjectRef": bound}
    return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
