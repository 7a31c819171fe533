"""Access to the API server, as requests are made with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import msgspec


class Rest(Protocol):
    """``kubernetes.aio.client.rest.RESTClientObject``: a connection pool with TLS and proxy set up."""

    async def request(self, method: str, url: str, *, headers: Any, body: Any, _request_timeout: Any) -> Any: ...

    async def close(self) -> None: ...


class Connections:
    """The connections that bear one identity. Once retired they last as long as what they carry: a watch goes on."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._carried = 0
        self._retired = False

    @asynccontextmanager
    async def carrying(self) -> AsyncIterator[Rest]:
        """Meanwhile they stay open."""
        self._carried += 1
        try:
            yield self._rest
        finally:
            self._carried -= 1
            await self._close_if_done()

    async def retire(self) -> None:
        """Close them when the last answer has come to its end."""
        self._retired = True
        await self._close_if_done()

    async def _close_if_done(self) -> None:
        if self._retired and not self._carried:
            await self._rest.close()


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What a request needs. ``authorization`` is the header's value, "" where a client certificate says who we are."""

    rest: Connections
    server: str
    authorization: str
    trust: str  # a digest of certificates and proxy: where it differs, so must the connections
