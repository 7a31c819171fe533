"""The Services of the cluster, for the variables of containers. One watch for all of them, as a kubelet has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from vkprovider.core.services import NOT_READ, Service, read_service
from vkprovider.errors import ApiError
from vkprovider.kube.client import Json
from vkprovider.kube.reflector import Changed, Removed, Replaced, Update

PATIENCE_SECONDS = 5.0  # with the first list, before a container is held back and tried again


class Services:
    """Give ``run`` the updates of a ``Reflector`` of all Services.

    ``api_server`` is told in the place of the cluster's own ``kubernetes``, whose address only kube-proxy leads to.
    """

    def __init__(self, api_server: Service | None = None) -> None:
        self._api_server = api_server
        self._listed = asyncio.Event()
        self._known: dict[tuple[str, str], Service] = {}

    async def run(self, updates: AsyncIterator[Update]) -> None:
        async for update in updates:
            self.take(update)

    def take(self, update: Update) -> None:
        """Take one update in."""
        match update:
            case Replaced(objects):
                self._known.clear()
                for raw in objects:
                    self._keep(raw)
                self._listed.set()
            case Changed(raw):
                self._keep(raw)
            case Removed(raw):
                self._known.pop(_key(raw), None)

    async def all(self) -> tuple[Service, ...]:
        """As they are now. Raises ApiError where they could not be read since the start."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._listed.wait()
        except TimeoutError:
            raise ApiError(NOT_READ) from None
        if self._api_server is None:
            return tuple(self._known.values())
        return (self._api_server, *(service for service in self._known.values() if not service.is_api_server))

    def _keep(self, raw: Json) -> None:
        service = read_service(raw)
        if service is None:
            self._known.pop(_key(raw), None)
        else:
            self._known[_key(raw)] = service


def _key(raw: Json) -> tuple[str, str]:
    return raw["metadata"]["namespace"], raw["metadata"]["name"]
