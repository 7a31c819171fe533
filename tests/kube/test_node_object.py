from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from tests.kube.machines import ENGINE, machine, node_settings
from vkprovider.core.devices import Device
from vkprovider.core.placement import Taint
from vkprovider.core.thresholds import parse_thresholds
from vkprovider.kube.node.object import (
    Storage,
    build_node,
    go_architecture,
    kubelet_version,
    node_devices,
    node_labels,
    node_reference,
    node_status,
    with_devices_of,
    withheld_labels,
)
from vkprovider.kube.node.resources import NodeResources
from vkprovider.model.create import DeviceMapping
from vkprovider.model.engine import StoredImage

USUAL_LABELS = {
    "type": "virtual-kubelet",
    "kubernetes.io/role": "agent",
    "kubernetes.io/hostname": "vk",
    "kubernetes.io/os": "linux",
    "kubernetes.io/arch": "amd64",
    "beta.kubernetes.io/os": "linux",
    "beta.kubernetes.io/arch": "amd64",
    "node.kubernetes.io/exclude-from-external-load-balancers": "true",
    "alpha.service-controller.kubernetes.io/exclude-balancer": "true",
}
READY = [{"type": "Ready", "status": "True"}]


def test_a_virtual_node() -> None:
    node = build_node(machine(), node_settings(), READY)
    assert (node["apiVersion"], node["kind"]) == ("v1", "Node")
    assert node["metadata"] == {
        "name": "vk",
        "labels": USUAL_LABELS,
        "annotations": {
            "volumes.kubernetes.io/controller-managed-attach-detach": "true",
            "vkprovider/registered-taint": "virtual-kubelet.io/provider=docker:NoSchedule",
        },
    }
    assert node["spec"] == {
        "taints": [{"key": "virtual-kubelet.io/provider", "value": "docker", "effect": "NoSchedule"}]
    }
    assert node["status"] == node_status(machine(), node_settings(), READY)


def test_a_node_without_a_taint_or_with_another() -> None:
    bare = build_node(machine(), node_settings(taint=None), READY)
    assert bare["spec"] == {}
    assert bare["metadata"]["annotations"]["vkprovider/registered-taint"] == ""
    tainted = build_node(machine(), node_settings(taint=Taint(key="gpu", effect="NoExecute")), READY)
    assert tainted["spec"]["taints"] == [{"key": "gpu", "value": "", "effect": "NoExecute"}]


def test_the_status() -> None:
    assert node_status(machine(), node_settings(port=10251), READY) == {
        "capacity": {"cpu": "4", "memory": "8388608Ki", "ephemeral-storage": "104857600Ki", "pods": "110"},
        "allocatable": {"cpu": "4", "memory": "8286208Ki", "ephemeral-storage": "96636764160", "pods": "110"},
        "conditions": READY,
        "addresses": [{"type": "InternalIP", "address": "172.18.0.1"}, {"type": "Hostname", "address": "vk"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10251}},
        "nodeInfo": {
            "machineID": "m",
            "systemUUID": "s",
            "bootID": "b",
            "kernelVersion": "6.1.0",
            "osImage": "Debian GNU/Linux 12 (bookworm)",
            "containerRuntimeVersion": "docker://20.10.24",
            "kubeletVersion": kubelet_version(),
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": "amd64",
        },
        "images": [{"names": ["busybox@sha256:1", "busybox:1.28"], "sizeBytes": 1000}],
        "declaredFeatures": ["ExtendWebSocketsToKubelet"],
        "runtimeHandlers": [handler("")],
    }


def handler(name: str, *, recursive: bool = False) -> dict[str, Any]:
    return {"name": name, "features": {"recursiveReadOnlyMounts": recursive, "userNamespaces": False}}


def test_the_runtimes_are_told_with_what_they_can_do() -> None:
    engine = msgspec.structs.replace(ENGINE, runtimes=("nvidia", "runc"), recursive_read_only=("", "runc"))
    told = node_status(machine(engine=engine), node_settings(), READY)["runtimeHandlers"]
    assert told == [handler("", recursive=True), handler("nvidia"), handler("runc", recursive=True)]


def test_what_is_reserved_is_not_allocatable() -> None:
    resources = NodeResources(
        reserved={"cpu": 500, "memory": 1000000001, "ephemeral-storage": 1 << 30},
        eviction_hard=parse_thresholds("memory.available<100Mi"),
    )
    settings = node_settings(resources=resources, max_pods=7)
    status = node_status(machine(), settings, READY)
    assert status["capacity"]["cpu"] == "4"
    assert status["allocatable"] == {
        "cpu": "3500m",
        "memory": str((8 << 30) - (100 << 20) - 1000000001),
        "ephemeral-storage": str(99 << 30),
        "pods": "7",
    }


def test_nothing_is_less_than_nothing() -> None:
    settings = node_settings(resources=NodeResources(reserved={"cpu": 9000, "memory": 1 << 40}))
    allocatable = node_status(machine(), settings, READY)["allocatable"]
    assert (allocatable["cpu"], allocatable["memory"]) == ("0", "0Ki")


def test_storage_that_cannot_be_seen_is_not_offered() -> None:
    status = node_status(machine(storage=None), node_settings(), READY)
    assert set(status["capacity"]) == set(status["allocatable"]) == {"cpu", "memory", "pods"}


def test_odd_sizes_are_in_bytes() -> None:
    odd = msgspec.structs.replace(ENGINE, memory=(1 << 30) + 1)
    status = node_status(machine(engine=odd, storage=Storage(size=1000, free=0)), node_settings(), READY)
    assert status["capacity"]["memory"] == str((1 << 30) + 1)
    assert status["capacity"]["ephemeral-storage"] == "1000"
    assert status["allocatable"]["ephemeral-storage"] == "900"


def test_devices_are_counted() -> None:
    fuse = tuple(Device(id=f"/dev/fuse#{n}", mapping=DeviceMapping(source="/dev/fuse", target="/f")) for n in range(3))
    settings = node_settings(resources=NodeResources(devices={"example.com/fuse": fuse}))
    status = node_status(machine(gpus=("0", "1")), settings, READY)
    for shown in (status["capacity"], status["allocatable"]):
        assert (shown["example.com/fuse"], shown["nvidia.com/gpu"]) == ("3", "2")


@pytest.mark.parametrize(("said", "found"), [(None, ("0", "1")), ((), ()), (("GPU-8a",), ("GPU-8a",))])
def test_gpus_are_those_that_are_found_unless_they_are_said(said: tuple[str, ...] | None, found: tuple[str, ...]):
    devices = node_devices(machine(gpus=("0", "1")), node_settings(resources=NodeResources(gpus=said)))
    assert tuple(device.id for device in devices.get("nvidia.com/gpu", ())) == found


def test_gpus_that_come_later_are_for_the_next_start() -> None:
    begun = with_devices_of(machine(gpus=("0",)), node_settings())
    assert node_status(machine(gpus=("0", "1")), begun, READY)["capacity"]["nvidia.com/gpu"] == "1"


def test_swap_is_told_where_there_is_some() -> None:
    assert node_status(machine(swap=1 << 30), node_settings(), READY)["nodeInfo"]["swap"] == {"capacity": 1 << 30}


def test_the_largest_images_by_their_first_names() -> None:
    images = tuple(StoredImage(names=(f"i{size}:1",), size_bytes=size) for size in range(60))
    many_names = StoredImage(names=tuple(f"n:{number}" for number in range(7)), size_bytes=1 << 40)
    shown = node_status(machine(images=(*images, many_names)), node_settings(), READY)["images"]
    assert len(shown) == 50
    assert shown[0] == {"names": ["n:0", "n:1", "n:2", "n:3", "n:4"], "sizeBytes": 1 << 40}
    assert [image["sizeBytes"] for image in shown[1:]] == list(range(59, 10, -1))


# --- labels -----------------------------------------------------------------------------------------------------


def test_the_users_labels_are_added_and_win() -> None:
    settings = node_settings(labels={"team": "a", "kubernetes.io/role": "gpu"})
    assert node_labels(machine(), settings) == USUAL_LABELS | {"team": "a", "kubernetes.io/role": "gpu"}


def test_a_nodes_own_identity_sets_only_the_labels_it_may() -> None:
    own = {"team": "a", "node-restriction.kubernetes.io/x": "y", "node.kubernetes.io/instance-type": "virtual"}
    labels = node_labels(machine(), node_settings(labels=own, node_restriction=True))
    assert labels == {
        "type": "virtual-kubelet",
        "kubernetes.io/hostname": "vk",
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": "amd64",
        "node.kubernetes.io/exclude-from-external-load-balancers": "true",
        "team": "a",
        "node.kubernetes.io/instance-type": "virtual",
    }


@pytest.mark.parametrize(
    ("label", "is_withheld"),
    [
        ("plain", False),
        ("example.com/x", False),
        ("mykubernetes.io/x", False),
        ("kubernetes.io/hostname", False),
        ("topology.kubernetes.io/zone", False),
        ("topology.kubernetes.io/rack", True),
        ("kubernetes.io/role", True),
        ("k8s.io/x", True),
        ("a.k8s.io/x", True),
        ("a.kubernetes.io/x", True),
        ("kubelet.kubernetes.io/x", False),
        ("a.kubelet.kubernetes.io/x", False),
        ("node.kubernetes.io/x", False),
        ("node-role.kubernetes.io/worker", True),
        ("node-restriction.kubernetes.io/x", True),
        ("a.node-restriction.kubernetes.io/x", True),
    ],
)
def test_node_restriction(label: str, is_withheld: bool) -> None:
    assert withheld_labels([label]) == ((label,) if is_withheld else ())


# --- versions and names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("own", ["0.1.0", "1.2.0rc1", "0.2.0.dev3+gabc.d2026", "0.1.0+local_1", "1!2.0"])
def test_the_version_is_one_that_kubernetes_can_parse(own: str) -> None:
    """The rules of apimachinery/pkg/util/version ParseSemantic."""
    identifiers = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
    match = re.fullmatch(rf"v(\d+)\.(\d+)\.(\d+)(?:-({identifiers}))?(?:\+({identifiers}))?", kubelet_version(own))
    assert match is not None
    assert all(part == "0" or not part.startswith("0") for part in match.groups()[:3])
    assert not any(re.fullmatch("0[0-9]+", part) for part in match[4].split("."))
    assert match[4].startswith("vkprovider-")


def test_the_version_names_both() -> None:
    assert kubelet_version("0.1.0") == "v1.34.0-vkprovider-0.1.0"


@pytest.mark.parametrize(
    ("engines", "go"),
    [("x86_64", "amd64"), ("aarch64", "arm64"), ("armv7l", "arm"), ("ppc64le", "ppc64le"), ("s390x", "s390x")],
)
def test_architectures(engines: str, go: str) -> None:
    assert go_architecture(engines) == go


def test_events_name_the_node_as_a_kubelet_does() -> None:
    assert node_reference("vk") == {"kind": "Node", "name": "vk", "uid": "vk"}
