"""A node is registered, new or again."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from tests.kube.machines import machine, node_settings
from vkprovider.core.actions import PodEvent
from vkprovider.errors import ApiForbidden, ApiUnauthorized, ApiUnavailable
from vkprovider.kube.resources import NODES

from .registrar_scene import NODE, STATUS, Scene, earlier


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_new_node_is_created_and_ready_at_once(scene: Scene) -> None:
    async with scene.running():
        assert scene.written() == [("create", NODES.at())]
        assert scene.condition()["status"] == "True"
        assert scene.registrar.registered.is_set()
        assert scene.registrar.uid == scene.node["metadata"]["uid"]
        assert scene.told() == ["Starting", "NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID"]
        assert scene.events[0] == PodEvent(type="Normal", reason="Starting", message="Starting kubelet.")


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
