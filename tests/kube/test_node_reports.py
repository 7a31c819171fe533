"""What a node tells of itself while it is registered."""

from __future__ import annotations

import asyncio

import pytest

from tests.kube.machines import machine
from vkprovider.core.actions import PodEvent
from vkprovider.core.admission import node_view
from vkprovider.core.placement import Taint
from vkprovider.core.thresholds import Reading, Signal
from vkprovider.errors import ApiUnavailable
from vkprovider.kube.reflector import Changed, Removed
from vkprovider.kube.resources import NODES

from .registrar_scene import NODE, STATUS, Scene, earlier


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_an_idle_node_is_quiet_but_for_a_report_every_five_minutes(scene: Scene) -> None:
    async with scene.running():
        for _ in range(29):
            await scene.wait()
        assert scene.written() == [("create", NODES.at())]
        await scene.wait()
        assert scene.written() == [("create", NODES.at()), ("patch", STATUS)]
        assert scene.condition()["lastHeartbeatTime"] == "2026-01-01T12:05:00Z"
        assert scene.condition()["lastTransitionTime"] == "2026-01-01T12:00:00Z"
        assert scene.api.asked("get") == []
        for _ in range(29):
            await scene.wait()
        assert len(scene.written()) == 2


async def test_what_has_changed_is_written_with_the_next_look(scene: Scene) -> None:
    async with scene.running():
        scene.facts = machine(images=())
        await scene.wait()
        assert scene.written()[1:] == [("patch", STATUS)]
        assert scene.node["status"]["images"] == []
        await scene.wait()
        assert len(scene.written()) == 2


async def test_addresses_are_replaced_and_not_merged(scene: Scene) -> None:
    before = earlier()
    before["status"]["addresses"] = [{"type": "InternalIP", "address": "10.9.9.9"}, {"type": "ExternalIP"}]
    scene.api.put(NODE, before)
    async with scene.running():
        assert scene.node["status"]["addresses"] == [
            {"type": "InternalIP", "address": "172.18.0.1"},
            {"type": "Hostname", "address": "vk"},
        ]


async def test_a_report_that_fails_is_tried_again_soon(scene: Scene) -> None:
    async with scene.running():
        scene.facts = machine(images=())
        scene.api.failures["patch"] = [ApiUnavailable("down")] * 2
        await scene.wait()
        await scene.wait(0.2)
        await scene.wait(0.4)
        assert scene.node["status"]["images"] == []


async def test_an_engine_that_is_silent_for_half_a_minute_makes_the_node_unready(scene: Scene) -> None:
    async with scene.running():
        scene.facts = None
        await scene.wait()
        await scene.wait()
        assert scene.condition()["status"] == "True"
        await scene.wait()
        assert (scene.condition()["status"], scene.condition()["message"]) == ("False", "container runtime is down")
        assert scene.condition()["reason"] == "KubeletNotReady"
        assert scene.node["status"]["capacity"]["cpu"] == "4"
        assert scene.events[-1].message == "Node vk status is now: NodeNotReady"
        scene.facts = machine()
        await scene.wait()
        assert scene.condition()["status"] == "True"
        assert scene.told()[-2:] == ["NodeNotReady", "NodeReady"]


async def test_other_problems_are_named_as_they_are(scene: Scene) -> None:
    async with scene.running():
        scene.problems = ("PLEG is not healthy: pleg was last seen active 3m10s ago; threshold is 3m0s",)
        await scene.wait()
        assert scene.condition()["message"] == scene.problems[0]


async def test_a_pressure_stays_for_five_minutes(scene: Scene) -> None:
    async with scene.running():
        scene.facts = machine(readings={Signal.NODEFS: Reading(1, 100)})
        await scene.wait()
        assert scene.condition("DiskPressure")["status"] == "True"
        scene.facts = machine(readings={Signal.NODEFS: Reading(50, 100)})
        for _ in range(29):
            await scene.wait()
        assert scene.condition("DiskPressure")["status"] == "True"
        await scene.wait()
        assert scene.condition("DiskPressure")["status"] == "False"
        assert scene.told()[-2:] == ["NodeHasDiskPressure", "NodeHasNoDiskPressure"]


async def test_a_reboot_is_told_once(scene: Scene) -> None:
    scene.api.put(NODE, earlier(boot_id="before"))
    async with scene.running():
        await scene.wait()
        reboots = [event for event in scene.events if event.reason == "Rebooted"]
        assert reboots == [
            PodEvent(type="Warning", reason="Rebooted", message="Node vk has been rebooted, boot id: b"),
        ]


async def test_a_node_that_stops_says_so_and_stays_with_it(scene: Scene) -> None:
    async with scene.running():
        await scene.registrar.shut_down()
        assert (scene.condition()["status"], scene.condition()["message"]) == ("False", "node is shutting down")
        scene.facts = None  # the engine's adapter may be closed by then
        await scene.wait()
        assert scene.condition()["message"] == "node is shutting down"


async def test_a_node_that_takes_its_pods_along_says_so_and_lets_none_in(scene: Scene) -> None:
    async with scene.running():
        scene.registrar.announce_shutdown()
        assert scene.events[-1] == PodEvent(
            type="Normal", reason="Shutdown", message="Shutdown manager detected shutdown event"
        )
        assert scene.registrar.view.shutting_down


async def test_a_node_that_never_registered_has_nothing_to_say_when_it_stops(scene: Scene) -> None:
    await scene.registrar.shut_down()
    assert scene.api.requests == []


async def test_a_poke_has_the_status_looked_at_soon(scene: Scene) -> None:
    async with scene.running():
        scene.problems = ("x",)
        scene.registrar.poke()
        await scene.until(lambda: scene.condition()["status"] == "False")
        assert scene.clock.elapsed == 0


async def test_admission_sees_the_node_with_what_users_say_of_it(scene: Scene) -> None:
    async with scene.running():
        assert scene.registrar.view == node_view(scene.node)
        assert scene.registrar.view.allocatable["cpu"] == "4"
        taints = [{"key": "dedicated", "effect": "NoExecute"}]
        await scene.show(Changed(scene.api.put(NODE, scene.node | {"spec": {"taints": taints}})))
        assert scene.registrar.view.taints == (Taint(key="dedicated", effect="NoExecute"),)
        await scene.registrar.shut_down()
        assert not scene.registrar.view.shutting_down  # a pod that comes now is for the next process


async def test_admission_goes_on_while_the_node_is_registered_again(scene: Scene) -> None:
    async with scene.running():
        held = scene.api.waits["create"] = asyncio.Event()
        scene.watch.put_nowait(Removed(scene.api.objects.pop(NODE)))
        await scene.until(lambda: len(scene.api.asked("create")) == 2)
        assert scene.registrar.node is None
        assert scene.registrar.view.allocatable["cpu"] == "4"
        assert [str(taint) for taint in scene.registrar.view.taints] == [
            "virtual-kubelet.io/provider=docker:NoSchedule"
        ]
        held.set()
        await scene.until(lambda: scene.registrar.node is not None)
