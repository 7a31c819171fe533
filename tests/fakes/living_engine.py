"""A fake engine that lives with the event loop: what is due happens by itself, and whoever listens hears of it."""

from __future__ import annotations

import asyncio

from tests.fakes.containers import FakeContainer
from tests.fakes.engine import FakeEngine
from tests.fakes.virtual_time import LoopClock
from vkprovider.model.create import ContainerCreate
from vkprovider.model.refs import ContainerID

IMAGE = "busybox:1.28"


class LivingEngine(FakeEngine):
    """It has one image from the start. ``ever`` are all containers it ever had, removed ones too, oldest first."""

    def __init__(self, node: str = "node") -> None:
        self._wall = LoopClock()
        self._timer: asyncio.TimerHandle | None = None
        self.ever: dict[ContainerID, FakeContainer] = {}
        super().__init__(self._wall, node)
        self.add_image(IMAGE)

    async def create(self, spec: ContainerCreate) -> ContainerID:
        container_id = await super().create(spec)
        self.ever[container_id] = self.containers[container_id]
        return container_id

    def settle(self) -> None:
        super().settle()
        if self._timer is not None:
            self._timer.cancel()
        due = self.next_due()
        if due is not None:
            seconds = (due - self._wall.now()).total_seconds()
            self._timer = asyncio.get_running_loop().call_later(max(0.0, seconds), self.settle)
