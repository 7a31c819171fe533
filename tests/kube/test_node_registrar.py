from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.kube.machines import machine, node_settings
from tests.kube.node_api import FakeNodeApi, Json
from tests.node.virtual_clock import PATIENCE, VirtualClock
from vkprovider.core.admission import node_view
from vkprovider.core.devices import Device
from vkprovider.core.placement import Taint
from vkprovider.core.thresholds import Reading, Signal
from vkprovider.errors import ApiForbidden, ApiUnauthorized, ApiUnavailable, EngineUnavailable
from vkprovider.kube.node_api import NODES
from vkprovider.kube.node_conditions import NodeEvent
from vkprovider.kube.node_object import MachineFacts, build_node
from vkprovider.kube.node_registrar import NodeRegistrar
from vkprovider.kube.node_resources import NodeResources
from vkprovider.kube.node_settings import NodeSettings
from vkprovider.kube.reflector import Changed, Removed, Replaced, Update
from vkprovider.kube.resources import Place

NODE = NODES.at(name="vk")
STATUS = NODES.at(name="vk", subresource="status")


class Scene:
    """A registrar at work, and a test's hands on the machine, the API server, the watch and the clock."""

    def __init__(self, settings: NodeSettings | None = None) -> None:
        self.api = FakeNodeApi()
        self.clock = VirtualClock()
        self.facts: MachineFacts | None = machine()
        self.problems: tuple[str, ...] = ()
        self.events: list[NodeEvent] = []
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

    def written(self) -> list[tuple[str, Place]]:
        return [(request.verb, request.place) for request in self.api.asked("create", "patch")]

    def told(self) -> list[str]:
        return [event.reason for event in self.events]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def earlier(settings: NodeSettings | None = None, conditions: tuple[Json, ...] = (), **facts: Any) -> Json:
    """The Node as an earlier start has left it."""
    return build_node(machine(**facts), settings or node_settings(), [*conditions])


# --- registering ------------------------------------------------------------------------------------------------


async def test_a_new_node_is_created_and_ready_at_once(scene: Scene) -> None:
    async with scene.running():
        assert scene.written() == [("create", NODES.at())]
        assert scene.condition()["status"] == "True"
        assert scene.registrar.registered.is_set()
        assert scene.registrar.uid == scene.node["metadata"]["uid"]
        assert scene.told() == ["Starting", "NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID"]
        assert scene.events[0] == NodeEvent(type="Normal", reason="Starting", message="Starting kubelet.")


async def test_a_node_from_before_is_adopted(scene: Scene) -> None:
    stopped = {"type": "Ready", "status": "False", "lastTransitionTime": "2025-12-31T00:00:00Z"}
    before = scene.api.put(NODE, earlier(conditions=(stopped, {"type": "KernelDeadlock", "status": "False"})))
    scene.api.objects[NODE]["metadata"]["labels"].pop("type")
    async with scene.running():
        assert scene.written() == [("create", NODES.at()), ("patch", NODE), ("patch", STATUS)]
        assert scene.node["metadata"]["uid"] == before["metadata"]["uid"] == scene.registrar.uid
        assert scene.node["metadata"]["labels"]["type"] == "virtual-kubelet"
        assert scene.condition() == {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "kubelet is posting ready status",
            "lastHeartbeatTime": "2026-01-01T12:00:00Z",
            "lastTransitionTime": "2026-01-01T12:00:00Z",
        }
        assert scene.condition("KernelDeadlock")["status"] == "False"
        assert scene.told()[0] == "Starting"
        assert scene.told()[-1] == "NodeReady"


async def test_an_unchanged_node_gets_only_a_new_status(scene: Scene) -> None:
    scene.api.put(NODE, earlier())
    async with scene.running():
        assert scene.written() == [("create", NODES.at()), ("patch", STATUS)]


async def test_a_node_may_have_been_created_for_us(scene: Scene) -> None:
    scene.api.put(NODE, {"spec": {}})
    scene.api.failures["create"] = [ApiForbidden("may not create nodes")]
    async with scene.running():
        assert scene.registrar.registered.is_set()
        assert scene.node["metadata"]["labels"]["type"] == "virtual-kubelet"


@pytest.mark.parametrize(
    "failure",
    [
        ApiForbidden("may not create nodes: grant it"),
        ApiUnauthorized("cannot create nodes: renew the credentials"),
        ApiUnavailable("cannot create nodes: https://127.0.0.1:6443 cannot be reached"),
    ],
)
async def test_registration_is_tried_for_ever_and_says_why_once(scene: Scene, failure: Exception) -> None:
    scene.api.failures["create"] = [failure] * 12
    with capture_logs() as logs:
        async with scene.running():
            tried = []
            while not scene.registrar.registered.is_set():
                tried.append(scene.clock.elapsed)
                await scene.wait(0.05)
            assert len(scene.api.asked("create")) == 13
    warnings = [line for line in logs if line["log_level"] == "warning"]
    assert [line["error"] for line in warnings] == [str(failure)]
    assert warnings[0]["event"] == "registration of node vk: trying again"
    # 0.1 + 0.2 + ... + 6.4, then 7 s each; spread downwards by at most a quarter
    assert 0.75 * (12.7 + 5 * 7) <= scene.clock.elapsed <= 12.7 + 5 * 7 + 1


async def test_of_two_missing_permissions_the_one_to_create_is_named(scene: Scene) -> None:
    scene.api.failures = {"create": [ApiForbidden("may not create nodes")], "get": [ApiForbidden("may not get nodes")]}
    with capture_logs() as logs:
        async with scene.running():
            await scene.wait(0.1)
            assert scene.registrar.registered.is_set()
    assert [line["error"] for line in logs if line["log_level"] == "warning"] == ["may not create nodes"]


async def test_a_node_that_is_there_and_may_not_be_seen(scene: Scene) -> None:
    scene.api.put(NODE, earlier())
    scene.api.failures = {"get": [ApiForbidden("may not get nodes")]}
    with capture_logs() as logs:
        async with scene.running():
            await scene.wait(0.1)
            assert scene.registrar.registered.is_set()
    assert [line["error"] for line in logs if line["log_level"] == "warning"] == ["may not get nodes"]


async def test_a_node_of_a_real_kubelet_is_not_touched(scene: Scene) -> None:
    other = {"status": {"nodeInfo": {"kubeletVersion": "v1.33.1"}}}
    before = scene.api.put(NODE, other)
    with capture_logs() as logs:
        async with scene.running():
            await scene.wait()
            assert scene.node == before
            assert not scene.registrar.registered.is_set()
    assert logs[0]["error"] == (
        "node vk is registered by another kubelet (v1.33.1): choose another --nodename, or delete it if that one is "
        "gone: kubectl delete node vk"
    )


async def test_no_node_is_registered_before_the_engine_has_answered(scene: Scene) -> None:
    scene.facts = None
    with capture_logs() as logs:
        async with scene.running():
            await scene.wait()
            assert scene.api.requests == []
            scene.facts = machine()
            await scene.wait()
            assert scene.registrar.registered.is_set()
    assert logs[0]["error"] == "the Docker engine does not answer"


async def test_labels_that_a_node_may_not_give_itself_are_named() -> None:
    labels = {"team": "a", "node-restriction.kubernetes.io/pool": "x"}
    scene = Scene(node_settings(labels=labels, node_restriction=True))
    with capture_logs() as logs:
        async with scene.running():
            assert "node-restriction.kubernetes.io/pool" not in scene.node["metadata"]["labels"]
    assert [line["labels"] for line in logs] == ["node-restriction.kubernetes.io/pool"]


# --- reporting --------------------------------------------------------------------------------------------------


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
            NodeEvent(type="Warning", reason="Rebooted", message="Node vk has been rebooted, boot id: b"),
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
        assert scene.events[-1] == NodeEvent(reason="Shutdown", message="Shutdown manager detected shutdown event")
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


# --- what others do to it ---------------------------------------------------------------------------------------


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
