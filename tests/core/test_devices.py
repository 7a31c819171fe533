"""Which devices containers are given (pkg/kubelet/cm/devicemanager)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given as tried_with
from hypothesis import strategies as st

from tests.core.given import container, deleted, given, native, pod
from vkprovider.core.actions import PullImage, StartContainer
from vkprovider.core.create import Gathered, NodeFacts, plan_container
from vkprovider.core.decide import decide
from vkprovider.core.devices import Device, Shortage, allot
from vkprovider.core.faults import Fault
from vkprovider.core.record import ImageReady, PodMemory, PodRecord
from vkprovider.core.view import Room
from vkprovider.model.create import ContainerCreate, DeviceMapping
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ContainerID

GPU, FUSE = "nvidia.com/gpu", "example.com/fuse"
FREE = {GPU: ("0", "1", "2"), FUSE: ("/dev/fuse#0",)}
ROOM = Room(allocatable={}, devices=FREE)


def wanting(**numbers: int) -> dict[str, Any]:
    names = {"gpu": GPU, "fuse": FUSE}
    return {"resources": {"limits": {names[name]: str(number) for name, number in numbers.items()}}}


ONE = wanting(gpu=1)


@pytest.mark.parametrize(
    ("of", "found"),
    [
        (pod(container("app")), {}),
        (pod(container("app", **wanting(gpu=0))), {}),
        (pod(container("app", **wanting(gpu=2))), {"app": {GPU: ("0", "1")}}),
        (
            pod(container("a", **wanting(gpu=1, fuse=1)), container("b", **wanting(gpu=2))),
            {"a": {GPU: ("0",), FUSE: ("/dev/fuse#0",)}, "b": {GPU: ("1", "2")}},
        ),
        (
            pod(container("app", **ONE), inits=(native("side", **ONE),)),
            {"side": {GPU: ("0",)}, "app": {GPU: ("1",)}},
        ),
        (
            pod(container("app", **ONE), inits=(container("init", **wanting(gpu=3)),)),
            {"init": {GPU: ("0", "1", "2")}, "app": {GPU: ("0",)}},
        ),
        (
            pod(
                container("app", **ONE),
                inits=(container("i", **ONE), native("s", **ONE), container("j", **wanting(gpu=2))),
            ),
            {"i": {GPU: ("0",)}, "s": {GPU: ("0",)}, "j": {GPU: ("1", "2")}, "app": {GPU: ("1",)}},
        ),
    ],
)
def test_what_init_containers_had_goes_on(of: Pod, found: dict[str, Any]) -> None:
    assert allot(of.spec, FREE) == found


def test_there_may_be_too_few() -> None:
    message = f"requested number of devices unavailable for {FUSE}. Requested: 2, Available: 1"
    with pytest.raises(Shortage, match=message):
        allot(pod(container("app", **wanting(fuse=2))).spec, FREE)


@tried_with(st.lists(st.tuples(st.sampled_from(["init", "side", "app"]), st.integers(0, 3)), min_size=1, max_size=6))
def test_nobody_shares_a_device_with_one_that_runs_beside_it(wants: list[tuple[str, int]]) -> None:
    make = {"init": container, "side": native, "app": container}
    made = [(kind, make[kind](f"c{n}", **wanting(gpu=count))) for n, (kind, count) in enumerate(wants)]
    of = pod(*(c for kind, c in made if kind == "app"), inits=tuple(c for kind, c in made if kind != "app"))
    found = allot(of.spec, {GPU: tuple(str(n) for n in range(18))})
    had = {f"c{n}": found.get(f"c{n}", {}).get(GPU, ()) for n in range(len(wants))}
    together = [device for n, (kind, _) in enumerate(wants) if kind != "init" for device in had[f"c{n}"]]
    assert len(together) == len(set(together))
    assert [len(had[f"c{n}"]) for n in range(len(wants))] == [count for _, count in wants]


def test_devices_are_written_down_before_anything_is_created() -> None:
    of = pod(container("app", **ONE))
    first = decide(given(of, room=ROOM))
    assert first.record.devices == {"app": {GPU: ("0",)}}
    assert [type(action) for action in first.actions] == [PullImage]
    ready = PodMemory(
        volumes_ready=True, images={"app": ImageReady(attempt=0, image="busybox:1.28", image_id="sha256:1")}
    )
    later = decide(given(of, room=msgspec.structs.replace(ROOM, devices={}), record=first.record, memory=ready))
    (begun,) = later.actions
    assert isinstance(begun, StartContainer)
    assert begun.devices == {GPU: ("0",)}


def test_a_pod_for_which_there_are_none_left_is_turned_away() -> None:
    of = pod(container("app", **ONE), policy="Always")
    none = Room(allocatable={}, devices={GPU: ()})
    first = decide(given(of, room=none, sandboxes=(), record=PodRecord()))
    shortage = f"requested number of devices unavailable for {GPU}. Requested: 1, Available: 0"
    message = f"Allocate failed due to {shortage}, which is unexpected"
    assert [(event.reason, event.message) for event in first.events] == [("UnexpectedAdmissionError", message)]
    assert (first.status["phase"], first.status["reason"]) == ("Failed", "UnexpectedAdmissionError")
    assert first.status["message"] == f"Pod was rejected: {message}"
    assert "DisruptionTarget" not in {condition["type"] for condition in first.status["conditions"]}
    again = decide(given(of, room=none, sandboxes=(), record=first.record, when=101))
    assert (again.events, again.actions) == ((), ())


def test_without_a_node_that_counts_nothing_is_given() -> None:
    assert decide(given(pod(container("app", **ONE)))).record.devices == {}


def test_a_pod_that_is_deleted_takes_no_devices() -> None:
    going = deleted(pod(container("app", **ONE)))
    assert decide(given(going, room=ROOM, sandboxes=())).record.devices == {}


def planned(given: dict[str, tuple[str, ...]], here: dict[str, tuple[Device, ...]]) -> ContainerCreate:
    of = pod(container("app"))
    begun = StartContainer(
        key="app", attempt=0, sandbox_id=ContainerID("s"), image_id="sha256:1", backoff_seconds=0, devices=given
    )
    node = NodeFacts(name="node-1", memory=1 << 33, devices=here, pod_max_pids=100)
    return plan_container(of, of.spec.containers[0], begun, node, Gathered())


def test_what_is_made_of_them() -> None:
    fuse = DeviceMapping(source="/dev/fuse", target="/dev/fuse", access="rw")
    here = {FUSE: tuple(Device(id=f"/dev/fuse#{n}", mapping=fuse) for n in range(2)), GPU: (Device(id="GPU-8a"),)}
    plan = planned({FUSE: ("/dev/fuse#0", "/dev/fuse#1"), GPU: ("GPU-8a",)}, here)
    assert (plan.devices, plan.gpus, plan.limits.pids) == ((fuse,), ("GPU-8a",), 100)


def test_a_device_that_has_gone_is_missed() -> None:
    with pytest.raises(Fault, match=rf"the device 1 \({GPU}\) is not one of this node's any more"):
        planned({GPU: ("1",)}, {GPU: (Device(id="0"),)})
