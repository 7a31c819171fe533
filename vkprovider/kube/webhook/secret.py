"""The authorities of the webhook, in a Secret, so that all who serve it sign by the same ones."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from datetime import timedelta

import structlog

from vkprovider.errors import ApiNotFound
from vkprovider.kube.certificates.authorities import Authority, next_is_due, standing
from vkprovider.kube.client import MERGE, ApiClient, Json
from vkprovider.kube.resources import NAMESPACES, SECRETS
from vkprovider.ports import Clock

NAME = "vkprovider-webhook-authority"
CERTIFICATES, KEYS = "ca.crt", "ca.key"
COMMON_NAME = "vkprovider webhook"
log = structlog.get_logger()


class AuthoritySecret:
    """The Secret in ``namespace``; an authority in it lives for ``life``."""

    def __init__(self, api: ApiClient, namespace: str, life: timedelta, clock: Clock) -> None:
        self._api = api
        self._namespace = namespace
        self._place = SECRETS.at(namespace, NAME)
        self._life = life
        self._clock = clock

    async def authorities(self) -> tuple[Authority, ...]:
        """Those that stand now, the oldest first, with one more from now on where that is due.

        Raises ApiError, ApiConflict where another process was faster: then come again.
        """
        from vkprovider.kube.certificates.own_authority import new_authority  # noqa: PLC0415

        secret = await self._find()
        now = self._clock.now()
        stand = standing(await asyncio.to_thread(_read, secret), now)
        if not next_is_due(stand, now):
            return stand
        stand = (*stand, await asyncio.to_thread(new_authority, COMMON_NAME, now, self._life))
        await self._write(secret, stand)
        log.info("a new authority signs the webhook's certificates", secret=str(self._place), ends=f"{stand[-1].ends}")
        return stand

    async def _find(self) -> Json | None:
        try:
            return await self._api.get(self._place)
        except ApiNotFound:
            return None

    async def _write(self, secret: Json | None, authorities: Sequence[Authority]) -> None:
        """Bound to the version that was read."""
        data = {
            CERTIFICATES: _encoded(each.certificate for each in authorities),
            KEYS: _encoded(each.key for each in authorities),
        }
        if secret is not None:
            version = {"resourceVersion": secret["metadata"]["resourceVersion"]}
            await self._api.patch(self._place, {"metadata": version, "data": data}, MERGE)
            return
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME}, "type": "Opaque", "data": data}
        try:
            await self._api.create(SECRETS.at(self._namespace), body)
        except ApiNotFound:
            await self._api.create(NAMESPACES.at(), {"metadata": {"name": self._namespace}})
            await self._api.create(SECRETS.at(self._namespace), body)


def _encoded(blocks: Iterable[bytes]) -> str:
    return b64encode(b"".join(blocks)).decode()


def _read(secret: Json | None) -> tuple[Authority, ...]:
    """Those in the Secret; none where it has none, or has something else."""
    from vkprovider.kube.certificates.own_authority import read_authorities  # noqa: PLC0415

    data = (secret or {}).get("data") or {}
    if not data.get(CERTIFICATES):
        return ()
    try:
        return read_authorities(b64decode(data[CERTIFICATES]), b64decode(data.get(KEYS, "")))
    except ValueError as exc:
        log.warning("the webhook's authorities cannot be read; making new ones", secret=NAME, error=str(exc))
        return ()
