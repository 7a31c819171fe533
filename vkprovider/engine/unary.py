"""Calls that answer at once, made with the Docker SDK in threads of their own.

docker-py blocks, and does not say whether its clients may be shared: so each thread has its own, and nothing but
values goes in or comes out.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import docker
import msgspec
from docker.constants import DEFAULT_DOCKER_API_VERSION

from vkprovider.engine.endpoint import Endpoint
from vkprovider.engine.refusals import FAILURES, engine_error, refused
from vkprovider.errors import EngineUnavailable

Params = Mapping[str, str | int]
T = TypeVar("T")


class Version(msgspec.Struct, frozen=True, rename="pascal"):
    """``arch`` in Go's words, as amd64."""

    api_version: str
    arch: str


class Unary:
    """The engine's JSON calls. The API version is the engine's own, asked once.

    Calls that only look have threads of their own: while many containers start, which takes the engine long, an exit is
    still seen and reported at once.
    """

    def __init__(self, endpoint: Endpoint, threads: int, timeout: float) -> None:
        self._endpoint = endpoint
        self._timeout = timeout
        self._changing = ThreadPoolExecutor(threads, thread_name_prefix="docker")
        self._looking = ThreadPoolExecutor(threads, thread_name_prefix="docker-look")
        self._local = threading.local()
        self._lock = threading.Lock()
        self._clients: list[docker.APIClient] = []
        self._version: Version | None = None
        self._closed = False

    async def call(self, method: str, path: str, *, params: Params | None = None, body: Any = None) -> Any:
        """The JSON answer, or None where there is none.

        Raises EngineNotFound, EngineConflict, EngineUnavailable or EngineError.
        """
        content = None if body is None else msgspec.json.encode(body)
        executor = self._looking if method == "GET" else self._changing
        return await self._in_thread(executor, partial(self._call, method, path, params, content))

    async def upload(self, path: str, tar: bytes) -> bytes:
        """Post a tar; what the engine says to it. Raises as ``call`` does."""
        return await self._in_thread(self._changing, partial(self._send, "POST", path, None, tar, "application/x-tar"))

    async def version(self) -> Version:
        """What the engine says of itself before all else. Raises EngineUnavailable or EngineError."""
        return await self._in_thread(self._looking, self._negotiate) if self._version is None else self._version

    async def close(self) -> None:
        """Wait for the calls under way, then hang up."""
        self._closed = True
        for executor in (self._changing, self._looking):
            await asyncio.to_thread(executor.shutdown)
        for client in self._clients:
            client.close()

    async def _in_thread(self, executor: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if self._closed:
            raise EngineUnavailable("the connection to the Docker engine has been closed")
        return await asyncio.get_running_loop().run_in_executor(executor, work)

    def _call(self, method: str, path: str, params: Params | None, content: bytes | None) -> Any:
        answer = self._send(method, path, params, content, "application/json")
        try:
            return msgspec.json.decode(answer) if answer else None
        except FAILURES as exc:
            raise engine_error(exc) from exc

    def _send(self, method: str, path: str, params: Params | None, content: bytes | None, kind: str) -> bytes:
        version = self._version or self._negotiate()
        headers = {"Content-Type": kind}
        return self._exchange(method, f"/v{version.api_version}{path}", params=params, data=content, headers=headers)

    def _negotiate(self) -> Version:
        """Speak the engine's own version, as docker-py does with "auto". Only one thread asks."""
        with self._lock:
            if self._version is None:
                answer = self._exchange("GET", "/version")
                try:
                    self._version = msgspec.json.decode(answer, type=Version)
                except FAILURES as exc:
                    raise engine_error(exc) from exc
            return self._version

    def _exchange(self, method: str, path: str, **request: Any) -> bytes:
        try:
            client = self._client()
            response = client.request(method, f"{client.base_url}{path}", timeout=self._timeout, **request)
            if response.status_code >= 400:
                raise refused(response.status_code, response.content)
            return response.content
        except FAILURES as exc:
            raise engine_error(exc) from exc

    def _client(self) -> docker.APIClient:
        client: docker.APIClient | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self._endpoint.client(DEFAULT_DOCKER_API_VERSION, self._timeout)
            self._clients.append(client)
        return client
