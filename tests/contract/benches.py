"""An engine under test, and how to have things happen in it: the same words for the fake and for the real one."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import docker

from tests.fakes.engine import FakeEngine
from tests.fakes.programs import Program, Reaction
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.errors import EngineError
from vkprovider.model.create import ContainerCreate
from vkprovider.model.labels import CONTAINER_TYPE, NODE, SANDBOX_NAME, SANDBOX_TYPE, ContainerIdentity, encode
from vkprovider.model.observed import ContainerState
from vkprovider.model.refs import ContainerID, PodUID
from vkprovider.node.clock import SystemClock
from vkprovider.ports import ContainerEngine

PATIENCE = 20.0  # seconds after which something that should happen soon has not happened
T = TypeVar("T")

NOBODY = ContainerID("f" * 64)
TRAP = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done"
TRAPPED = Program(reactions={"TERM": Reaction(code=3)}, output=(("stdout", "ready"),))


async def eventually(look: Callable[[], Awaitable[T]]) -> T:
    """Look until what is seen is true of anything, and give it."""
    async with asyncio.timeout(PATIENCE):
        while not (seen := await look()):  # noqa: ASYNC110  only the engine knows, and it has to be asked
            await asyncio.sleep(0.02)
    return seen


class Bench(ABC):
    """One test's engine, node and pod. ``image`` has a shell; ``usr1_image`` wants to be stopped by USR1."""

    image: str
    usr1_image: str
    unpullable = "127.0.0.1:1/nothing/there:1"

    def __init__(self, engine: ContainerEngine) -> None:
        self.engine = engine
        self.uid = PodUID(str(uuid.uuid4()))

    def identity(self, name: str, attempt: int = 0, **more: Any) -> ContainerIdentity:
        fields: dict[str, Any] = {
            "node": self.engine.node,
            "type": SANDBOX_TYPE if name == SANDBOX_NAME else CONTAINER_TYPE,
            "pod_name": "pod",
            "pod_namespace": "test",
            "pod_uid": self.uid,
            "name": name,
            "attempt": attempt,
            "image": self.image,
        }
        return ContainerIdentity(**(fields | more))

    @abstractmethod
    def plan(self, identity: ContainerIdentity, script: str, program: Program, **spec: Any) -> ContainerCreate:
        """A container that runs a script of the shell, or in the fake what the script does."""

    async def create(
        self,
        container: str = "app",
        script: str = "sleep 1000",
        program: Program | None = None,
        *,
        attempt: int = 0,
        labels: Mapping[str, Any] | None = None,
        **spec: Any,
    ) -> ContainerID:
        identity = self.identity(container, attempt, **(labels or {}))
        ignores_all = Program(reactions={})
        return await self.engine.create(self.plan(identity, script, program or ignores_all, **spec))

    async def run(self, *args: Any, **kwargs: Any) -> ContainerID:
        container_id = await self.create(*args, **kwargs)
        await self.engine.start(container_id)
        return container_id

    async def run_sandbox(self, attempt: int = 0, **spec: Any) -> ContainerID:
        return await self.run(SANDBOX_NAME, attempt=attempt, **spec)

    async def see(self, container_id: ContainerID) -> ContainerState | None:
        return (await self.engine.observe(self.uid)).by_id(container_id)

    async def ended(self, container_id: ContainerID) -> ContainerState:
        """The state of a container once it has ended."""

        async def look() -> ContainerState | None:
            state = await self.see(container_id)
            return state if state is not None and state.run == "exited" else None

        state = await eventually(look)
        assert state is not None
        return state

    @abstractmethod
    async def clean(self) -> None:
        """Leave nothing behind."""

    @abstractmethod
    def another_node(self) -> Bench:
        """The same engine as another node sees it."""

    @abstractmethod
    def let_tools_fail(self) -> None:
        """From now on, the tool that the suite runs fails with "No such file or directory"."""


async def said(bench: Bench, container_id: ContainerID, count: int = 1) -> list[bytes]:
    """What a container has said, once it has said so much."""

    async def look() -> list[bytes]:
        lines = [line.data async for line in bench.engine.logs(container_id)]
        return lines if len(lines) >= count else []

    return await eventually(look)


class FakeBench(Bench):
    image = "busybox:1.28"
    usr1_image = "usr1:1"

    def __init__(self, engine: FakeEngine | None = None) -> None:
        self.fake = engine or FakeEngine(SystemClock(), node="contract")
        super().__init__(self.fake)
        self.fake.add_image(self.image)
        self.fake.add_image(self.usr1_image, stop_signal="USR1")
        self.fake.pull_errors[self.unpullable] = "connection refused"

    def plan(self, identity: ContainerIdentity, script: str, program: Program, **spec: Any) -> ContainerCreate:
        attempts = self.fake.programs.get(identity.name, ())
        filler = (Program(reactions={}),) * (identity.attempt - len(attempts))
        self.fake.program(identity.name, *(*attempts, *filler)[: identity.attempt], program)
        spec.setdefault("image", self.image)
        spec.setdefault("name", identity.engine_name)
        return ContainerCreate(labels=encode(identity), **spec)

    def another_node(self) -> Bench:
        other = FakeEngine(SystemClock(), node="other")
        other.containers = self.fake.containers
        return FakeBench(other)

    def let_tools_fail(self) -> None:
        self.fake.tool_error = "chmod: No such file or directory"

    async def clean(self) -> None:
        await self.fake.close()


class DockerBench(Bench):
    def __init__(self, client: docker.APIClient, image: str, usr1_image: str, url: str) -> None:
        self.docker = DockerEngine(f"contract-{uuid.uuid4().hex[:12]}", url)
        super().__init__(self.docker)
        self.image, self.usr1_image = image, usr1_image
        self.client = client
        self.url = url
        self._others: list[DockerBench] = []

    def plan(self, identity: ContainerIdentity, script: str, program: Program, **spec: Any) -> ContainerCreate:
        spec.setdefault("image", self.image)
        spec.setdefault("name", identity.engine_name)
        spec.setdefault("entrypoint", ("sh", "-c", script))
        return ContainerCreate(labels=encode(identity), **spec)

    def another_node(self) -> Bench:
        other = DockerBench(self.client, self.image, self.usr1_image, self.url)
        self._others.append(other)
        return other

    def let_tools_fail(self) -> None:
        """It does by itself: the suite lets it work on a file that does not exist."""

    async def clean(self) -> None:
        for other in self._others:
            await other.clean()
        await self.engine.close()
        await asyncio.to_thread(self.remove_all)

    def leftovers(self) -> list[str]:
        """All of this node's containers that are in the engine, tools included."""
        return [
            entry["Id"] for entry in self.client.containers(all=True, filters={"label": [f"{NODE}={self.engine.node}"]})
        ]

    def forget_image(self, name: str) -> None:
        with contextlib.suppress(docker.errors.ImageNotFound):
            self.client.remove_image(name, force=True)

    def remove_all(self) -> None:
        own = {"label": [f"{NODE}={self.engine.node}"]}
        for container_id in self.leftovers():
            self.client.remove_container(container_id, force=True, v=True)
        for volume in self.client.volumes(filters=own)["Volumes"] or ():
            self.client.remove_volume(volume["Name"])


def failure(of: EngineError) -> str:
    """What an error says, in lower case: engines differ in that."""
    return str(of).lower()
