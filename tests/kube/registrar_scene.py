"""A registrar of a node at work, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from tests.kube.machines import machine, node_settings
from tests.kube.node_api import FakeNodeApi, Json
from tests.node.virtual_clock import PATIENCE, VirtualClock
from vkprovider.core.actions import PodEvent
from vkprovider.errors import EngineUnavailable
from vkprovider.kube.node.object import MachineFacts, build_node
from vkprovider.kube.node.registrar import NodeRegistrar
from vkprovider.kube.node.settings import NodeSettings
from vkprovider.kube.reflector import Update
from vkprovider.kube.resources import NODES, ResourcePath

NODE = NODES.at(name="vk")
STATUS = NODES.at(name="vk", subresource="status")


class Scene:
    """A registrar at work, and a test's hands on the machine, the API server, the watch and the clock."""

    def __init__(self, settings: NodeSettings | None = None) -> None:
        self.api = FakeNodeApi()
        self.clock = VirtualClock()
        self.facts: MachineFacts | None = machine()
        self.problems: tuple[str, ...] = ()
        self.events: list[PodEvent] = []
        self.watch: asyncio.Queue[Update] = asyncio.Queue()
        self.registrar = NodeRegistrar(
            self.api,
            settings or node_settings(),
            self._look,
            self.clock,
            self.events.append,
            lambda: self.problems,
        )

    async def _look(self) -> MachineFacts:
        if self.facts is None:
            raise EngineUnavailable("the Docker engine does not answer")
        return self.facts

    async def updates(self) -> AsyncIterator[Update]:
        while True:
            yield await self.watch.get()
            self.watch.task_done()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Until the registrar has nothing more to do at the moment."""
        tasks = [asyncio.ensure_future(self.registrar.run()), asyncio.ensure_future(self._follow())]
        try:
            await self.clock.settle()
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self) -> None:
        await self.registrar.follow(self.updates())

    async def wait(self, seconds: float = 10) -> None:
        """Let time pass in one step."""
        self.clock.advance(seconds)
        await self.clock.settle()

    async def show(self, update: Update) -> None:
        """Let the watch show something, and all that follows from it."""
        self.watch.put_nowait(update)
        await self.watch.join()
        await self.until(lambda: self.registrar.node is not None)
        await self.clock.settle()

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait for something that needs no time to pass."""
        async with asyncio.timeout(PATIENCE):
            while not done():  # noqa: ASYNC110  the registrar has no word for it
                await asyncio.sleep(0)

    @property
    def node(self) -> Json:
        return self.api.objects[NODE]

    def condition(self, kind: str = "Ready") -> dict[str, str]:
        return next(one for one in self.node["status"]["conditions"] if one["type"] == kind)

    def written(self) -> list[tuple[str, ResourcePath]]:
        return [(request.verb, request.place) for request in self.api.asked("create", "patch")]

    def told(self) -> list[str]:
        return [event.reason for event in self.events]


def earlier(settings: NodeSettings | None = None, conditions: tuple[Json, ...] = (), **facts: Any) -> Json:
    """The Node as an earlier start has left it."""
    return build_node(machine(**facts), settings or node_settings(), [*conditions])
