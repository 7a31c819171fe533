"""How the API server is reached and who we are to it, renewed as tokens and certificates are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from vkprovider.config import BRINGS_CLUSTER
from vkprovider.errors import ApiUnauthorized
from vkprovider.kube.access import Access
from vkprovider.ports import Clock

if TYPE_CHECKING:
    from vkprovider.kube.access_source import Source

RELOAD_SECONDS = 60.0  # service account tokens and certificates change on disk (client-go rest/token_source.go)
LEAST_SECONDS = 5.0  # between two loads from scratch, however many requests are refused

log = structlog.get_logger()


class Credentials:
    """Loads access when it is first needed, and again as tokens and certificates are renewed.

    ``kubeconfig`` may list several files, as the variable KUBECONFIG does. "" is the service account of the pod that
    this process runs in, or outside of a cluster ``~/.kube/config``.
    """

    def __init__(self, clock: Clock, kubeconfig: str = "", context: str = "") -> None:
        self._clock = clock
        self._wanted = (kubeconfig, context)
        self._source: Source | None = None
        self._access: Access | None = None
        self._loaded_at = 0.0
        self._fresh_at = 0.0
        self._failure = ""
        self._lock = asyncio.Lock()

    async def get(self, refused: Access | None = None) -> Access:
        """Present access. ``refused`` is what the API server has just not accepted: other access is wanted.

        Raises ApiUnauthorized if there is none to be had; the message says why.
        """
        async with self._lock:
            access, now = self._access, self._clock.monotonic()
            recently = now - self._fresh_at < LEAST_SECONDS
            if access is None and self._failure and recently:
                raise ApiUnauthorized(self._failure)
            if access is None or (access is refused and not recently):
                self._fresh_at = now
                return await self._load(fresh=True)
            if now - self._loaded_at >= RELOAD_SECONDS:
                return await self._load(fresh=False)
            return access

    def renewed(self) -> None:
        """Somebody has changed what is read: read it with the next request."""
        self._loaded_at = -RELOAD_SECONDS

    async def aclose(self) -> None:
        if self._access is not None:
            await self._access.rest.retire()

    async def _load(self, *, fresh: bool) -> Access:
        self._loaded_at = self._clock.monotonic()
        before = self._access
        try:
            access = await asyncio.to_thread(self._read, before, fresh)
        except Exception as exc:  # whatever the package and the plugins may raise
            why = _words(exc)
            if before is not None and not fresh:
                log.warning("credentials cannot be read again; the old ones go on", error=why)
                return before
            self._failure = why
            raise ApiUnauthorized(why) from exc
        self._access = access
        if before is not None and before.rest is not access.rest:
            await before.rest.retire()  # its connections bear the old certificate
        return access

    def _read(self, before: Access | None, fresh: bool) -> Access:
        """In a thread: the package takes a third of a second to import, and then reads files and runs plugins."""
        from vkprovider.kube.access_source import Source  # noqa: PLC0415

        if self._source is None:
            self._source = Source(*self._wanted)
        return self._source.load(before, fresh)


def _words(exc: Exception) -> str:
    if isinstance(exc, ImportError):
        return f"{exc}: {BRINGS_CLUSTER}"
    return str(exc)
