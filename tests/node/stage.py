"""One pod and the performer of a node, to carry out actions one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.core.given import container, pod
from tests.fakes.node import LivingNode
from vkprovider.core.actions import Action, ContainerStarted, CreateSandbox, News, StartContainer
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ContainerID

POD = pod(container("app"))
IP = ("10.88.0.2",)


class Stage:
    """``heard`` is what the performer told before it was done."""

    def __init__(self, node: LivingNode, of: Pod) -> None:
        self.node = node
        self.engine = node.engine
        self.pod = of
        self.heard: list[News] = []
        self._performer = node.around().performer

    @classmethod
    async def on(cls, directory: Path, of: Pod = POD) -> Stage:
        return cls(await LivingNode.on(directory), of)

    async def do(self, action: Action, ips: tuple[str, ...] = IP) -> tuple[News, ...]:
        return await self._performer.perform(self.pod, action, ips, self.heard.append)

    async def sandbox(self, attempt: int = 0) -> ContainerID:
        """Make a sandbox."""
        assert await self.do(CreateSandbox(attempt=attempt)) == ()
        seen = await self.engine.observe(self.pod.uid)
        return seen.sandboxes[0].id

    def starting(self, sandbox_id: ContainerID, name: str = "app", **fields: Any) -> StartContainer:
        image = self.engine.images["busybox:1.28"].id
        wanted = {"key": name, "attempt": 0, "sandbox_id": sandbox_id, "image_id": image, "backoff_seconds": 0}
        return StartContainer(**(wanted | fields))

    async def started(self, name: str = "app") -> ContainerID:
        """Make a sandbox and start a container."""
        news = await self.do(self.starting(await self.sandbox(), name))
        assert isinstance(news[-1], ContainerStarted)
        return news[-1].container_id
