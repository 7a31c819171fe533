"""A node's API with TLS, and a cluster that knows users and what they may do."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp

from tests.server.certificates import Authority
from tests.server.conftest import Node
from vkprovider.model.access import User
from vkprovider.node.clock import SystemClock
from vkprovider.server.access import Admission
from vkprovider.server.certificates import Pair, write_self_signed
from vkprovider.server.kubelet_api import KubeletApi
from vkprovider.server.reception import Limits
from vkprovider.server.serving import listen, serve
from vkprovider.server.tls import ServerTls


class Reviews:
    """``users`` by their tokens. ``failure`` is what becomes of each question; tokens wait for ``answering``."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.tokens: list[str] = []
        self.asked: list[tuple[User, str, str]] = []
        self.failure: Exception | None = None
        self.answering = asyncio.Event()
        self.answering.set()
        self._allowed: set[tuple[str, str, str]] = set()

    def may(self, name: str, verb: str, subresource: str) -> None:
        self._allowed.add((name, verb, subresource))

    async def user(self, token: str) -> User | None:
        self.tokens.append(token)
        await self.answering.wait()
        if self.failure is not None:
            raise self.failure
        return self.users.get(token)

    async def allows(self, user: User, verb: str, subresource: str) -> bool:
        self.asked.append((user, verb, subresource))
        if self.failure is not None:
            raise self.failure
        return (user.name, verb, subresource) in self._allowed


class AheadClock(SystemClock):
    """Real time, and some more."""

    ahead = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class Secured:
    """``pair`` and ``authorities`` are the files that its TLS goes by."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.reviews = Reviews()
        self.clock = AheadClock()
        self.pair = folder / "server.pem"
        self.authorities = folder / "authorities.pem"
        self.port = 0

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def serving(self, node: Node, limits: Limits) -> AsyncIterator[None]:
        tls = await asyncio.to_thread(self._tls)
        api = KubeletApi(node.pods, node.engine, node.clock, Admission(self.reviews, self.clock))
        with listen(0) as listener:
            self.port = listener.getsockname()[1]
            task = asyncio.create_task(serve(api.application(), listener, tls, limits))
            try:
                yield
            finally:
                task.cancel()
                await asyncio.wait((task,))
        assert task.cancelled()

    async def ask(self, context: ssl.SSLContext, path: str = "/healthz", token: str = "") -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with (
            aiohttp.ClientSession(self.url, headers=headers) as session,
            session.get(path, ssl=context) as answer,
        ):
            return answer.status, await answer.text()

    def _tls(self) -> ServerTls:
        write_self_signed(self.pair, ["node", "127.0.0.1"], self.clock.now())
        self.authorities.write_text(self.authority.pem)
        return ServerTls([Pair(self.pair, self.pair)], self.authorities, self.clock)
