"""A node's process on a real API server: all its cluster adapters, and behind them the real node on a fake engine.

So it needs no Docker, and seconds are enough.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.fakes.living_engine import LivingEngine
from tests.fakes.node import LivingNode
from vkprovider.core.view import CoreSettings
from vkprovider.errors import ApiNotFound
from vkprovider.kube.client import ApiClient, Json
from vkprovider.kube.event_recorder import EventRecorder
from vkprovider.kube.pods.lasting_checkpoint import LastingCheckpoint
from vkprovider.kube.pods.source import PodSource
from vkprovider.kube.pods.status_writer import StatusWriter
from vkprovider.kube.reflector import Changed, Reflector, Update
from vkprovider.kube.resources import PODS
from vkprovider.node.clock import SystemClock

PATIENCE = 30  # seconds for what should take one or two
MARK = {"name": "__IS_SIDECAR__", "value": "true"}


def container(name: str, **fields: Any) -> Json:
    return {"name": name, "image": "busybox:1.28", **fields}


def manifest(name: str, node: str, *containers: Json, **spec: Any) -> Json:
    body = {"nodeName": node, "restartPolicy": "Never", "automountServiceAccountToken": False, "tolerations": []}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "finalizers": spec.pop("finalizers", [])},
        "spec": body | {"containers": list(containers)} | spec,
    }


class Watch:
    """All that the API shows of the pods of a namespace, from now on."""

    def __init__(self) -> None:
        self.updates: list[Update] = []
        self._more = asyncio.Event()

    async def follow(self, api: ApiClient, namespace: str) -> None:
        async for update in Reflector(api, PODS.at(namespace), SystemClock()).updates():
            self.updates.append(update)
            self._more.set()

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._more.clear()
                await self._more.wait()

    def shown(self, name: str) -> list[Json]:
        """The statuses of a pod, in order."""
        objects = [update.object for update in self.updates if isinstance(update, Changed)]
        return [raw["status"] for raw in objects if raw["metadata"]["name"] == name]

    def phases(self, name: str) -> list[str]:
        return list(dict.fromkeys(status["phase"] for status in self.shown(name)))

    async def until_phase(self, name: str, phase: str) -> None:
        await self.until(lambda: phase in self.phases(name))


@asynccontextmanager
async def running(*work: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def hung_up() -> None:
    """Wait until the loop has no connection any more. One whose task was cancelled while TLS was being agreed on is not
    closed before the other side has said goodbye (asyncio/sslproto.py), and nobody else waits for that.
    """
    sockets = asyncio.get_running_loop()._selector.get_map()  # type: ignore[attr-defined]  # there is no public way
    async with asyncio.timeout(PATIENCE):
        while len(sockets) > 1:  # noqa: ASYNC110  nobody tells when; the one is the loop's own
            await asyncio.sleep(0.01)


@asynccontextmanager
async def joined(api: ApiClient, node: str, folder: Path, engine: LivingEngine) -> AsyncIterator[EventRecorder]:
    """A node's process, from its start to its end; the pods stay."""
    living, clock = await LivingNode.on(folder, engine), SystemClock()
    lasting = LastingCheckpoint(living.checkpoint)
    writer, recorder = StatusWriter(api, clock, lasting.forget), EventRecorder(api, clock, node)
    quick = CoreSettings(node_name=node, backoff_first=1)
    async with living.at_work(statuses=writer, events=recorder, checkpoint=lasting, settings=quick) as dispatcher:
        left = await asyncio.to_thread(living.checkpoint.load_all)
        source = PodSource(dispatcher, writer, recorder, living.clock, left=left)
        reflector = Reflector(api, PODS.at(), clock, selectors={"fieldSelector": f"spec.nodeName={node}"})
        async with running(writer.run(), recorder.run(), source.run(reflector.updates())):
            await asyncio.wait_for(source.listed.wait(), PATIENCE)
            yield recorder
    await writer.aclose()


async def missing(api: ApiClient, namespace: str, name: str) -> bool:
    try:
        await api.get(PODS.at(namespace, name))
    except ApiNotFound:
        return True
    return False


async def eventually(holds: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110  nobody tells when
            await asyncio.sleep(0.05)


async def nothing_left(engine: LivingEngine, folder: Path) -> bool:
    records = await asyncio.to_thread(lambda: list((folder / "records").glob("*.json")))
    return not engine.containers and not records


async def nothing_runs(engine: LivingEngine) -> bool:
    return not any(c.running for c in engine.containers.values() if not c.is_sandbox)
