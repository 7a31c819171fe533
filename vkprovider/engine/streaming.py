"""Calls whose answer is a stream of any length. They hold a connection, and no thread."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from vkprovider.engine.endpoint import Endpoint
from vkprovider.engine.hijack import Hijacked, hijacked
from vkprovider.engine.refusals import FAILURES, engine_error, refused
from vkprovider.engine.unary import Params, Unary


class Streaming:
    """The engine's streams, over the same address and API version as its other calls."""

    def __init__(self, endpoint: Endpoint, unary: Unary) -> None:
        self._endpoint = endpoint
        self._unary = unary
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        pulling: bool = False,
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """The body of the answer, as it comes. Leaving early hangs up.

        Raises EngineNotFound, EngineConflict, EngineUnavailable or EngineError, also for what goes wrong meanwhile;
        while ``pulling`` ImagePullError and EngineUnavailable.
        """
        try:
            async with self._respond(method, path, params=params, json=body, headers=headers) as response:
                yield response.content
        except FAILURES as exc:
            raise engine_error(exc, pulling=pulling) from exc

    @asynccontextmanager
    async def hijack(self, path: str, *, params: Params | None = None, body: Any = None) -> AsyncIterator[Hijacked]:
        """The bytes both ways of what is behind a path. Leaving hangs up. Raises as ``open`` does."""
        version = await self._unary.version()
        async with hijacked(self._endpoint, f"/v{version.api_version}{path}", params=params, body=body) as connection:
            yield connection

    async def date(self) -> str:
        """The engine's clock, as HTTP writes it. Raises EngineUnavailable or EngineError."""
        try:
            async with self._respond("GET", "/_ping") as response:
                return response.headers["Date"]
        except FAILURES as exc:
            raise engine_error(exc) from exc

    @asynccontextmanager
    async def _respond(self, method: str, path: str, **request: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        version = await self._unary.version()
        if self._session is None:
            self._session = self._endpoint.session()
        async with self._session.request(method, f"/v{version.api_version}{path}", **request) as response:
            if response.status >= 400:
                raise refused(response.status, await response.read())
            yield response

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
