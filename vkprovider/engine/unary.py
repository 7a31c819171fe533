"""Calls that answer at once, made with the Docker SDK in threads of their own.

docker-py blocks, and does not say whether its clients may be shared: so each thread has its own, and nothing but
values goes in or comes out.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import docker
import msgspec

from vkprovider.engine.endpoint import Endpoint
from vkprovider.engine.refusals import FAILURES, engine_error, refused
from vkprovider.errors import EngineUnavailable

Params = Mapping[str, str | int]


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

    async def call(
        self, method: str, path: str, *, params: Params | None = None, body: Any = None, content: bytes | None = None
    ) -> Any:
        """The JSON answer, or None where there is none. ``content`` is a body that is not JSON, a tar.

        Raises EngineNotFound, EngineConflict, EngineUnavailable or EngineError.
        """
        send = partial(self._send, method, path, params, body, content)
        return await self._in_thread(send)

    async def version(self) -> str:
        """The API version spoken, as "1.45"."""
        return self._version or await self._in_thread(lambda: str(self._client().api_version))

    async def close(self) -> None:
        """Wait for the calls under way, then hang up."""
        self._closed = True
        await asyncio.to_thread(self._executor.shutdown)
        for client in self._clients:
            client.close()

    async def _in_thread(self, work: Any) -> Any:
        if self._closed:
            raise EngineUnavailable("the connection to the Docker engine has been closed")
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _send(self, method: str, path: str, params: Params | None, body: Any, content: bytes | None) -> Any:
        try:
            client = self._client()
            response = client.request(
                method,
                f"{client.base_url}/v{client.api_version}{path}",
                params=params,
                data=msgspec.json.encode(body) if body is not None else content,
                headers={"Content-Type": "application/json" if content is None else "application/x-tar"},
                timeout=self._timeout,
            )
            if response.status_code >= 400:
                raise refused(response.status_code, response.content)
            is_json = response.headers.get("Content-Type", "").startswith("application/json")
            return msgspec.json.decode(response.content) if is_json and response.content else None
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
