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

from vkprovider.engine.endpoint import Endpoint
from vkprovider.engine.refusals import FAILURES, engine_error, refused
from vkprovider.errors import EngineUnavailable

Params = Mapping[str, str | int]
T = TypeVar("T")


class Unary:
    """The engine's JSON calls. The API version is the engine's own, asked once."""

    def __init__(self, endpoint: Endpoint, threads: int, timeout: float) -> None:
        self._endpoint = endpoint
        self._timeout = timeout
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="docker")
        self._local = threading.local()
        self._lock = threading.Lock()
        self._clients: list[docker.APIClient] = []
        self._version = ""
        self._closed = False

    async def call(self, method: str, path: str, *, params: Params | None = None, body: Any = None) -> Any:
        """The JSON answer, or None where there is none.

        Raises EngineNotFound, EngineConflict, EngineUnavailable or EngineError.
        """
        content = None if body is None else msgspec.json.encode(body)
        return await self._in_thread(partial(self._call, method, path, params, content))

    async def upload(self, path: str, tar: bytes) -> bytes:
        """Post a tar; what the engine says to it. Raises as ``call`` does."""
        return await self._in_thread(partial(self._send, "POST", path, None, tar, "application/x-tar"))

    async def version(self) -> str:
        """The API version spoken, as "1.45"."""
        return self._version or await self._in_thread(lambda: str(self._client().api_version))

    async def close(self) -> None:
        """Wait for the calls under way, then hang up."""
        self._closed = True
        await asyncio.to_thread(self._executor.shutdown)
        for client in self._clients:
            client.close()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise EngineUnavailable("the connection to the Docker engine has been closed")
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _call(self, method: str, path: str, params: Params | None, content: bytes | None) -> Any:
        answer = self._send(method, path, params, content, "application/json")
        try:
            return msgspec.json.decode(answer) if answer else None
        except FAILURES as exc:
            raise engine_error(exc) from exc

    def _send(self, method: str, path: str, params: Params | None, content: bytes | None, kind: str) -> bytes:
        try:
            client = self._client()
            response = client.request(
                method,
                f"{client.base_url}/v{client.api_version}{path}",
                params=params,
                data=content,
                headers={"Content-Type": kind},
                timeout=self._timeout,
            )
            if response.status_code >= 400:
                raise refused(response.status_code, response.content)
            return response.content
        except FAILURES as exc:
            raise engine_error(exc) from exc

    def _client(self) -> docker.APIClient:
        client: docker.APIClient | None = getattr(self._local, "client", None)
        if client is not None:
            return client
        with self._lock:  # only one asks for the version
            try:
                client = self._endpoint.client(self._version or "auto", self._timeout)
            except FAILURES as exc:
                raise engine_error(exc) from exc
            self._version = client.api_version
            self._clients.append(client)
        self._local.client = client
        return client
