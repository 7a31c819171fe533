"""Requests to the API server: raw JSON in and out, and every failure one of vkprovider's errors."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
import msgspec

from vkprovider import __version__
from vkprovider.kube.access import Access
from vkprovider.kube.credentials import Credentials
from vkprovider.kube.refusals import FAILURES, refused, refused_in_stream, unreachable
from vkprovider.kube.resources import ResourcePath
from vkprovider.ports import Clock
from vkprovider.wire.lines import LineSplitter

Json = dict[str, Any]

STRATEGIC_MERGE = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"
JSON = "application/json"

CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 30.0
_METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}


class WatchEvent(msgspec.Struct, frozen=True):
    """One line of a watch. ``type`` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Json


_decode = msgspec.json.Decoder(Json).decode
_decode_event = msgspec.json.Decoder(WatchEvent).decode


class _Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request, whoever it is made by. Where ``silence_seconds`` is None, the whole answer must come in time."""

    verb: str
    place: ResourcePath
    query: Mapping[str, str] = {}
    body: Any = None
    content_type: str = JSON
    silence_seconds: float | None = None


Answered = Callable[[str, str, str, float], None]
"""Is told of a request: its HTTP method, the server's host and port, the code of the answer, and after how many
seconds that began. Must not block or raise.
"""
NO_ANSWER = "<error>"  # in place of a code, as client-go words it


class ApiClient:
    """One identity's requests to one API server. See ``Credentials`` for which; they are loaded with the first one.

    Every method raises ApiError or one of its kinds, and nothing else. ``answered`` is told of every request.
    """

    def __init__(self, clock: Clock, kubeconfig: str = "", context: str = "", answered: Answered | None = None) -> None:
        self._credentials = Credentials(clock, kubeconfig, context)
        self._clock = clock
        self._answered = answered

    async def get(self, place: ResourcePath) -> Json:
        return await self._ask(_Call(verb="get", place=place))

    async def list(self, place: ResourcePath, query: Mapping[str, str] | None = None) -> Json:
        """The whole list object: ``items``, and in ``metadata`` the resource version they were all of."""
        return await self._ask(_Call(verb="list", place=place, query=query or {}))

    async def create(self, place: ResourcePath, body: Mapping[str, Any]) -> Json:
        return await self._ask(_Call(verb="create", place=place, body=body))

    async def replace(self, place: ResourcePath, body: Mapping[str, Any]) -> Json:
        """The object as it is afterwards. Raises ApiConflict where it is no longer of the version that ``body`` has."""
        return await self._ask(_Call(verb="update", place=place, body=body))

    async def patch(self, place: ResourcePath, body: Mapping[str, Any], content_type: str = STRATEGIC_MERGE) -> Json:
        """The object as it is afterwards."""
        return await self._ask(_Call(verb="patch", place=place, body=body, content_type=content_type))

    async def delete(self, place: ResourcePath, options: Mapping[str, Any] | None = None) -> Json:
        """``options`` are those of meta/v1 DeleteOptions. The answer is a Status, or the object if it stays."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", **(options or {})}
        return await self._ask(_Call(verb="delete", place=place, body=body))

    async def watch(
        self, place: ResourcePath, query: Mapping[str, str], silence_seconds: float
    ) -> AsyncGenerator[WatchEvent]:
        """The events of a watch, as they come. It ends when the server ends it, and after so many silent seconds.

        Raises ApiGone also for an event that says so.
        """
        query = {**query, "watch": "true"}
        call = _Call(verb="watch", place=place, query=query, silence_seconds=silence_seconds)
        async with self._respond(call) as response:
            lines = LineSplitter()
            async for data in _until_silent(response.content):
                for line in lines.feed(data):
                    event = _decode_event(line)
                    if event.type == "ERROR":
                        raise refused_in_stream(place, event.object)
                    yield event

    async def server(self) -> str:
        """The URL of the API server that is spoken to. Raises ApiUnauthorized if none is configured."""
        return (await self._credentials.get()).server

    def credentials_renewed(self) -> None:
        """Have them read again with the next request; what goes on meanwhile is not disturbed."""
        self._credentials.renewed()

    async def aclose(self) -> None:
        await self._credentials.aclose()

    async def _ask(self, call: _Call) -> Json:
        async with self._respond(call) as response:
            return _decode(await response.read())

    @asynccontextmanager
    async def _respond(self, call: _Call) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is no error; leaving before its end hangs up. What goes wrong meanwhile is an ApiError."""
        access = await self._credentials.get()
        try:
            async with AsyncExitStack() as sent:
                response = await sent.enter_async_context(self._sent(access, call))
                if response.status == 401:
                    renewed = await self._credentials.get(refused=access)
                    if renewed is not access:
                        await sent.aclose()
                        response = await sent.enter_async_context(self._sent(renewed, call))
                if response.status >= 400:
                    raise refused(call.verb, call.place, response.status, await response.read())
                yield response
        except FAILURES as exc:
            raise unreachable(call.verb, call.place, access.server, exc) from exc

    @asynccontextmanager
    async def _sent(self, access: Access, call: _Call) -> AsyncIterator[aiohttp.ClientResponse]:
        begun = self._clock.monotonic()
        async with AsyncExitStack() as sent:
            try:
                response = await sent.enter_async_context(_sent(access, call))
            except FAILURES:
                self._tell(access, call, NO_ANSWER, begun)
                raise
            self._tell(access, call, str(response.status), begun)
            yield response

    def _tell(self, access: Access, call: _Call, code: str, begun: float) -> None:
        if self._answered is not None:
            seconds = self._clock.monotonic() - begun
            self._answered(_METHODS[call.verb], urlsplit(access.server).netloc, code, seconds)


@asynccontextmanager
async def _sent(access: Access, call: _Call) -> AsyncIterator[aiohttp.ClientResponse]:
    headers = {"Accept": JSON, "Content-Type": call.content_type, "User-Agent": f"vkprovider/{__version__}"}
    if access.authorization:
        headers["Authorization"] = access.authorization
    url = access.server + call.place.path + (f"?{urlencode(call.query)}" if call.query else "")
    timeout = aiohttp.ClientTimeout(
        total=None if call.silence_seconds is not None else REQUEST_SECONDS,
        sock_connect=CONNECT_SECONDS,
        sock_read=call.silence_seconds,
    )
    method = _METHODS[call.verb]
    async with access.rest.carrying() as rest:
        answer = await rest.request(method, url, headers=headers, body=call.body, _request_timeout=timeout)
        async with answer.response as response:
            yield response


async def _until_silent(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """What comes. Silence is no error: a watch where nothing happens looks like one whose server is cut off."""
    while True:
        try:
            data = await content.readany()
        except TimeoutError:
            return
        if not data:
            return
        yield data
