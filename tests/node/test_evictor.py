"""A node that runs low, and makes room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.core.given import container, pod
from tests.fakes.node import LivingNode, end
from tests.fakes.programs import Program
from tests.fakes.virtual_time import virtual_time
from tests.node.usages import Usages
from vkprovider.core.actions import PodEvent
from vkprovider.core.thresholds import Reading, Signal, parse_thresholds
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.node.dispatcher import Dispatcher
from vkprovider.node.evictor import Evictor
from vkprovider.node.pod_uses import PodUses

MI = 1 << 20


def named(name: str, **spec: Any) -> Pod:
    """A pod whose one container bears its name."""
    of = pod(container(name), **spec)
    return decode_pod({**of.raw, "metadata": {"name": name, "namespace": "default", "uid": name}})


class Scene:
    """A node whose ``readings`` a test turns; ``images`` is called for them to be removed."""

    def __init__(self, node: LivingNode) -> None:
        self.node = node
        self.usages = Usages(node.engine)
        self.readings = {Signal.MEMORY: Reading(500 * MI, 1000 * MI), Signal.IMAGEFS: Reading(50, 100)}
        self.told: list[PodEvent] = []
        self.asked_for_images = 0
        self.disk_after_images = 0

    async def read(self) -> dict[Signal, Reading]:
        return self.readings

    async def remove_images(self) -> None:
        self.asked_for_images += 1
        if self.disk_after_images:
            self.readings = self.readings | {Signal.IMAGEFS: Reading(self.disk_after_images, 100)}

    def phase(self, uid: str) -> str:
        statuses = [status for pod_uid, status in self.node.told.statuses if pod_uid == uid]
        return statuses[-1]["phase"] if statuses else ""

    def status(self, uid: str) -> dict[str, Any]:
        return [status for pod_uid, status in self.node.told.statuses if pod_uid == uid][-1]

    @asynccontextmanager
    async def at_work(self, *pods: Pod) -> AsyncIterator[Dispatcher]:
        node = self.node
        thresholds = parse_thresholds("memory.available<100Mi,imagefs.available<15%")
        async with node.at_work() as dispatcher:
            uses = PodUses(node.engine, self.usages, node.dirs)
            evictor = Evictor(dispatcher.workers, thresholds, self.read, uses, node.told, node.clock)
            watch = asyncio.create_task(evictor.run(self.told.append, self.remove_images))
            for each in pods:
                dispatcher.sync(each)
            await node.told.until(lambda: all(self.phase(each.uid) == "Running" for each in pods))
            yield dispatcher
            await end(watch)


async def scene_on(tmp_path: Path) -> Scene:
    return Scene(await LivingNode.on(tmp_path))


@virtual_time
async def test_nothing_happens_while_there_is_enough(tmp_path: Path):
    scene = await scene_on(tmp_path)
    async with scene.at_work(named("app")):
        await scene.node.clock.sleep(60)
        assert scene.phase("app") == "Running"
    assert (scene.told, scene.asked_for_images) == ([], 0)


@virtual_time
async def test_one_pod_at_a_time_until_there_is_enough(tmp_path: Path):
    scene = await scene_on(tmp_path)
    scene.usages.memory |= {"small": 10 * MI, "large": 300 * MI, "middle": 20 * MI}
    scene.node.engine.program("large", Program(reactions={}))  # it takes no TERM, and the node its time
    async with scene.at_work(named("small"), named("large"), named("middle")):
        scene.readings |= {Signal.MEMORY: Reading(90 * MI, 1000 * MI)}
        await scene.node.told.until(lambda: scene.phase("large") == "Failed")
        assert (scene.phase("small"), scene.phase("middle")) == ("Running", "Running")
        await scene.node.told.until(lambda: scene.phase("middle") == "Failed")
        scene.readings |= {Signal.MEMORY: Reading(100 * MI, 1000 * MI)}
        await scene.node.clock.sleep(60)
        assert scene.phase("small") == "Running"
    message = (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi. "
        "Container large was using 300Mi, request is 0, has larger consumption of memory. "
    )
    status = scene.status("large")
    assert (status["reason"], status["message"]) == ("Evicted", message)
    assert "DisruptionTarget" in {condition["type"] for condition in status["conditions"]}
    assert scene.node.told.said.count(("Evicted", message)) == 1
    assert {(event.type, event.reason, event.message) for event in scene.told} == {
        ("Warning", "EvictionThresholdMet", "Attempting to reclaim memory")
    }
    assert scene.asked_for_images == 0


@virtual_time
async def test_images_go_before_pods(tmp_path: Path):
    scene = await scene_on(tmp_path)
    scene.disk_after_images = 20
    async with scene.at_work(named("app")):
        scene.readings |= {Signal.IMAGEFS: Reading(14, 100)}
        await scene.node.clock.sleep(60)
        assert (scene.phase("app"), scene.asked_for_images) == ("Running", 1)


@virtual_time
async def test_where_images_are_not_enough_pods_go_too(tmp_path: Path):
    scene = await scene_on(tmp_path)
    scene.usages.written |= {"app": 7, "other": 3}
    async with scene.at_work(named("app"), named("other")):
        scene.readings |= {Signal.IMAGEFS: Reading(14, 100)}
        await scene.node.told.until(lambda: scene.phase("app") == "Failed")
    assert scene.status("app")["message"] == (
        "The node was low on resource: ephemeral-storage. Threshold quantity: 15, available: 14. "
        "Container app was using 7, request is 0, has larger consumption of ephemeral-storage. "
    )


@virtual_time
async def test_critical_pods_stay_whatever_happens(tmp_path: Path):
    scene = await scene_on(tmp_path)
    async with scene.at_work(named("app", priority=2_000_000_000)):
        scene.readings |= {Signal.MEMORY: Reading(1, 1000 * MI)}
        await scene.node.clock.sleep(60)
        assert scene.phase("app") == "Running"


@virtual_time
async def test_an_engine_that_does_not_answer_ends_no_watch(tmp_path: Path):
    scene = await scene_on(tmp_path)
    async with scene.at_work(named("app")):
        scene.readings |= {Signal.MEMORY: Reading(1, 1000 * MI)}
        scene.node.engine.down = True
        await scene.node.clock.sleep(30)
        scene.node.engine.down = False
        await scene.node.told.until(lambda: scene.phase("app") == "Failed")
