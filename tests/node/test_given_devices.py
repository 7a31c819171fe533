"""Devices over the lives of pods and of processes: who has one keeps it, and nobody else gets it meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.core.given import container, pod
from tests.fakes.node import LivingNode
from tests.fakes.virtual_time import virtual_time
from vkprovider.core.create import NodeFacts
from vkprovider.core.devices import Device
from vkprovider.core.projections import NodeShare
from vkprovider.model.create import DeviceMapping
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.node.ledger import Ledger
from vkprovider.node.performer import Performer
from vkprovider.node.pod_files import PodFiles
from vkprovider.node.pulling import Puller
from vkprovider.node.volume_writer import VolumeWriter

NAME = "example.com/d"
DEVICES = tuple(
    Device(id=f"/dev/d{n}#0", mapping=DeviceMapping(source=f"/dev/d{n}", target="/dev/d")) for n in range(2)
)


def wanting(name: str, number: int) -> Pod:
    """A pod whose one container bears its name."""
    of = pod(container(name, resources={"limits": {NAME: str(number)}}))
    return decode_pod({**of.raw, "metadata": {"name": name, "namespace": "default", "uid": name}})


def with_devices(node: LivingNode) -> dict[str, Any]:
    """What of a node's surroundings knows of them."""
    facts = NodeFacts(name=node.engine.node, memory=1 << 30, devices={NAME: DEVICES})
    files = PodFiles(
        node.dirs, VolumeWriter(node.engine, node.dirs, node.clock), lambda: NodeShare(memory=facts.memory)
    )
    puller = Puller(node.engine, node.objects, node.clock, node.told)
    performer = Performer(node.engine, node.objects, files, facts, node.clock, puller)
    return {"performer": performer, "ledger": Ledger(dict, {NAME: tuple(device.id for device in DEVICES)})}


def status(node: LivingNode, uid: str) -> dict[str, Any]:
    return next((last for pod_uid, last in reversed(node.told.statuses) if pod_uid == uid), {})


def files_of(node: LivingNode, name: str) -> list[str]:
    (made,) = node.engine.named(name)
    return [device.source for device in made.spec.devices]


@virtual_time
async def test_a_device_is_kept_over_a_restart_and_given_again_in_the_end(tmp_path: Path):
    first = await LivingNode.on(tmp_path)
    async with first.at_work(**with_devices(first)) as dispatcher:
        dispatcher.sync(wanting("a", 1))
        await first.told.until(lambda: status(first, "a").get("phase") == "Running")
        assert files_of(first, "a") == ["/dev/d0"]
    second = await LivingNode.on(tmp_path, first.engine)
    async with second.at_work(**with_devices(second)) as dispatcher:
        saved = await asyncio.to_thread(second.checkpoint.load_all)
        for pod_uid, checkpoint in saved.items():
            assert checkpoint.record.devices == {"a": {NAME: ("/dev/d0#0",)}}
            dispatcher.sync(wanting(pod_uid, 1), checkpoint.record)
        dispatcher.sync(wanting("b", 1))
        dispatcher.sync(wanting("c", 1))
        await second.told.until(lambda: status(second, "c").get("phase") in ("Running", "Failed"))
        await second.told.until(lambda: status(second, "b").get("phase") in ("Running", "Failed"))
        assert {status(second, name)["phase"] for name in "bc"} == {"Running", "Failed"}
        ran, turned_away = sorted("bc", key=lambda name: status(second, name)["phase"], reverse=True)
        assert files_of(second, ran) == ["/dev/d1"]
        assert status(second, turned_away)["reason"] == "UnexpectedAdmissionError"
        second.engine.exit(second.engine.named("a")[0].id)
        await second.told.until(lambda: status(second, "a").get("phase") == "Succeeded")
        dispatcher.sync(wanting("d", 1))
        await second.told.until(lambda: status(second, "d").get("phase") == "Running")
        assert files_of(second, "d") == ["/dev/d0"]
