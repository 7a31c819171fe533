"""What others do to the Node of a node that runs."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from tests.kube.machines import machine, node_settings
from tests.kube.node_api import Json
from vkprovider.core.devices import Device
from vkprovider.kube.node.object import build_node
from vkprovider.kube.node.resources import NodeResources
from vkprovider.kube.reflector import Changed, Removed, Replaced
from vkprovider.kube.resources import NODES

from .registrar_scene import NODE, Scene, earlier


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_node_deleted_by_hand_is_registered_again_when_the_watch_shows_it(scene: Scene) -> None:
    async with scene.running():
        deleted = scene.api.objects.pop(NODE)
        await scene.show(Removed(deleted))
        assert scene.clock.elapsed == 0
        assert scene.node["metadata"]["uid"] == scene.registrar.uid != deleted["metadata"]["uid"]
        assert scene.told().count("Starting") == 1


async def test_a_list_without_the_node_shows_that_it_is_gone_too(scene: Scene) -> None:
    async with scene.running():
        scene.api.objects.pop(NODE)
        await scene.show(Replaced(()))
        assert scene.written() == [("create", NODES.at())] * 2


async def test_without_a_watch_the_next_write_finds_out(scene: Scene) -> None:
    async with scene.running():
        scene.api.objects.pop(NODE)
        scene.facts = machine(images=())
        await scene.wait()
        assert scene.node["metadata"]["uid"] == scene.registrar.uid
        assert scene.node["status"]["images"] == []


async def test_what_the_watch_shows_before_the_registration_is_not_ours_yet(scene: Scene) -> None:
    scene.facts = None
    async with scene.running():
        scene.watch.put_nowait(Changed(scene.api.put(NODE, earlier())))
        await scene.watch.join()
        assert scene.registrar.node is None


async def test_the_end_of_an_earlier_node_is_none_of_this_one(scene: Scene) -> None:
    async with scene.running():
        await scene.show(Removed({"metadata": {"name": "vk", "uid": "an earlier one"}}))
        assert scene.written() == [("create", NODES.at())]


async def test_a_node_in_place_of_the_deleted_one_is_adopted(scene: Scene) -> None:
    async with scene.running():
        scene.api.objects.pop(NODE)
        another = scene.api.put(NODE, {"metadata": {"labels": {"pool": "blue"}}})
        await scene.show(Changed(another))
        assert scene.registrar.uid == another["metadata"]["uid"]
        assert scene.node["metadata"]["labels"].items() >= {"pool": "blue", "type": "virtual-kubelet"}.items()


async def test_the_answer_to_a_write_does_not_bring_a_deleted_node_back(scene: Scene) -> None:
    async with scene.running():
        held = scene.api.waits["create"] = asyncio.Event()
        answered = asyncio.Event()
        patch = scene.api.patch

        async def slow_patch(*request: Any) -> Json:
            node = await patch(*request)
            scene.watch.put_nowait(Removed(scene.api.objects.pop(NODE)))
            await scene.watch.join()
            await asyncio.sleep(0)
            answered.set()
            return node

        scene.api.patch = slow_patch  # type: ignore[method-assign]
        scene.facts = machine(images=())
        scene.clock.advance(10)
        await answered.wait()
        await scene.until(lambda: len(scene.api.asked("create")) == 2)
        assert scene.registrar.uid == ""
        held.set()
        await scene.clock.settle()
        assert scene.registrar.uid == scene.node["metadata"]["uid"]


async def test_a_node_that_was_given_up_comes_back(scene: Scene) -> None:
    async with scene.running():
        given_up = msgspec.json.decode(msgspec.json.encode(scene.node))
        ready = given_up["status"]["conditions"][-1]
        ready |= {"status": "Unknown", "reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}
        await scene.show(Changed(scene.api.put(NODE, given_up)))
        await scene.wait()
        assert scene.condition()["status"] == "True"
        assert scene.told()[-1] == "NodeReady"


async def test_a_cordon_stays_and_is_told(scene: Scene) -> None:
    async with scene.running():
        await scene.show(Changed(scene.api.put(NODE, scene.node | {"spec": {"unschedulable": True}})))
        await scene.wait()
        await scene.wait()
        assert scene.node["spec"]["unschedulable"] is True
        assert scene.told()[-1] == "NodeNotSchedulable"
        assert scene.told().count("NodeNotSchedulable") == 1
        await scene.show(Changed(scene.api.put(NODE, scene.node | {"spec": {}})))
        await scene.wait()
        assert scene.events[-1].message == "Node vk status is now: NodeSchedulable"


async def test_only_the_labels_of_the_platform_are_put_right_again(scene: Scene) -> None:
    async with scene.running():
        labels = scene.node["metadata"]["labels"] | {"kubernetes.io/os": "plan9", "type": "mine", "pool": "blue"}
        await scene.show(Changed(scene.api.put(NODE, scene.node | {"metadata": {"labels": labels, "uid": "uid-1"}})))
        await scene.wait()
        assert scene.node["metadata"]["labels"] == labels | {"kubernetes.io/os": "linux"}


async def test_devices_that_are_offered_no_longer_are_taken_out() -> None:
    before = node_settings(resources=NodeResources(devices={"example.com/a": (Device(id="0"),)}))
    node = build_node(machine(), before, [])
    node["status"]["capacity"]["example.com/of-an-operator"] = "5"
    scene = Scene()
    scene.api.put(NODE, node)
    async with scene.running():
        for kind in ("capacity", "allocatable"):
            assert "example.com/a" not in scene.node["status"][kind]
        assert scene.node["status"]["capacity"]["example.com/of-an-operator"] == "5"
        written = len(scene.written())
        await scene.wait()
        assert len(scene.written()) == written
