"""What the Node looks like: the object a kubelet would register, with the labels and the taint of a virtual one. Pure.

pkg/kubelet/kubelet_node_status.go (initialNode), pkg/kubelet/nodestatus/setters.go; virtual-kubelet's labels are those
of node/nodeutil/controller.go and of its providers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

import vkprovider
from vkprovider.core.devices import NVIDIA_GPU, Device
from vkprovider.core.thresholds import Readings, kept_back
from vkprovider.kube.node.settings import NodeSettings
from vkprovider.model.engine import EngineInfo, StoredImage

KUBERNETES_VERSION = "1.34.0"  # whose kubelet this node behaves as
OWN_VERSION = "-vkprovider-"  # what tells a Node of vkprovider's from a kubelet's
MAX_IMAGES, MAX_NAMES = 50, 5
TAINT_ANNOTATION = "vkprovider/registered-taint"
DEVICES_ANNOTATION = "vkprovider/devices"  # the names of all that this node has ever offered

# API servers from 1.36 on pass WebSockets on to nodes that say so (pkg/registry/core/pod/rest/subresources.go); older
# ones speak SPDY to them, and drop the field.
WEBSOCKETS = "ExtendWebSocketsToKubelet"

_ATTACH_ANNOTATION = "volumes.kubernetes.io/controller-managed-attach-detach"
_GO_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "i686": "386",
    "i386": "386",
}


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """The file system that holds images and pods' files. Sizes in bytes; ``inodes`` is 0 where it does not count."""

    size: int
    free: int
    inodes: int = 0
    free_inodes: int = 0


class MachineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at the machine and its engine shows. Sizes in bytes; what could not be seen is "" or None."""

    engine: EngineInfo
    images: tuple[StoredImage, ...] = ()
    storage: Storage | None = None
    readings: Readings = {}  # what is left of what may run low
    gpus: tuple[str, ...] = ()  # of NVIDIA's, that the engine can give to containers
    swap: int = 0
    machine_id: str = ""
    system_uuid: str = ""
    boot_id: str = ""


def build_node(facts: MachineFacts, settings: NodeSettings, conditions: list[dict[str, Any]]) -> dict[str, Any]:
    """The v1.Node to register."""
    annotations = {_ATTACH_ANNOTATION: "true", TAINT_ANNOTATION: str(settings.taint or "")}
    devices = node_devices(facts, settings)
    if devices:
        annotations[DEVICES_ANNOTATION] = ",".join(sorted(devices))
    node: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": settings.name, "labels": node_labels(facts, settings), "annotations": annotations},
        "spec": {},
        "status": node_status(facts, settings, conditions),
    }
    if settings.taint is not None:
        node["spec"]["taints"] = [taint_object(settings)]
    return node


def node_labels(facts: MachineFacts, settings: NodeSettings) -> dict[str, str]:
    """The labels, the user's over the usual ones; without those that the node's identity may not set."""
    labels = platform_labels(facts) | {
        "type": "virtual-kubelet",
        "kubernetes.io/role": "agent",
        "kubernetes.io/hostname": settings.name,
        "node.kubernetes.io/exclude-from-external-load-balancers": "true",
        "alpha.service-controller.kubernetes.io/exclude-balancer": "true",
    }
    labels |= settings.labels
    withheld = withheld_labels(labels) if settings.node_restriction else ()
    return {key: value for key, value in labels.items() if key not in withheld}


def platform_labels(facts: MachineFacts) -> dict[str, str]:
    """The labels that a kubelet puts right again when somebody has changed them."""
    system, architecture = facts.engine.os, go_architecture(facts.engine.architecture)
    return {
        "kubernetes.io/os": system,
        "kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": system,
        "beta.kubernetes.io/arch": architecture,
    }


def withheld_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Those that the admission plugin NodeRestriction does not let a node set on itself (kubelet/pkg/apis)."""
    return tuple(key for key in labels if _is_restricted(key))


def node_status(facts: MachineFacts, settings: NodeSettings, conditions: list[dict[str, Any]]) -> dict[str, Any]:
    """The v1.NodeStatus, as far as a node itself writes it."""
    capacity = _capacity(facts, settings)
    return {
        "capacity": {name: _quantity(name, amount) for name, amount in capacity.items()},
        "allocatable": _allocatable(capacity, settings),
        "conditions": conditions,
        "addresses": [
            {"type": "InternalIP", "address": settings.internal_ip},
            {"type": "Hostname", "address": settings.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": settings.port}},
        "nodeInfo": _node_info(facts),
        "images": _images(facts.images),
        "declaredFeatures": [WEBSOCKETS],
        "runtimeHandlers": _runtime_handlers(facts.engine),
    }


def node_devices(facts: MachineFacts, settings: NodeSettings) -> dict[str, tuple[Device, ...]]:
    """The devices that containers can ask for, by the name of their resource."""
    resources = with_devices_of(facts, settings).resources
    found = {NVIDIA_GPU: tuple(Device(id=gpu) for gpu in resources.gpus)} if resources.gpus else {}
    return {**resources.devices, **found}


def with_devices_of(facts: MachineFacts, settings: NodeSettings) -> NodeSettings:
    """The settings with the GPUs named that were found, where they named none."""
    gpus = facts.gpus if settings.resources.gpus is None else settings.resources.gpus
    return msgspec.structs.replace(settings, resources=msgspec.structs.replace(settings.resources, gpus=gpus))


def taint_object(settings: NodeSettings) -> dict[str, str]:
    """The configured taint as in a Node's spec."""
    taint = settings.taint
    assert taint is not None
    return {"key": taint.key, "value": taint.value, "effect": taint.effect}


def kubelet_version(own: str = vkprovider.__version__) -> str:
    """A version that Kubernetes' parser accepts (apimachinery/pkg/util/version): its own, then vkprovider's."""
    return f"v{KUBERNETES_VERSION}{OWN_VERSION}{re.sub('[^0-9A-Za-z.+-]', '-', own)}"


def go_architecture(architecture: str) -> str:
    """The architecture as Go, and so Kubernetes, calls it."""
    return _GO_ARCHITECTURES.get(architecture, architecture)


def node_reference(name: str) -> dict[str, str]:
    """The involvedObject of events about a node; its "uid" is the name, as the kubelet has it (pkg/kubelet)."""
    return {"kind": "Node", "name": name, "uid": name}


def _capacity(facts: MachineFacts, settings: NodeSettings) -> dict[str, int]:
    """In the scheduler's units: thousandths of a cpu."""
    capacity = {"cpu": facts.engine.cpus * 1000, "memory": facts.engine.memory, "pods": settings.max_pods}
    if facts.storage is not None:
        capacity["ephemeral-storage"] = facts.storage.size
    return capacity | {name: len(devices) for name, devices in node_devices(facts, settings).items()}


def _allocatable(capacity: Mapping[str, int], settings: NodeSettings) -> dict[str, str]:
    kept, reserved = kept_back(settings.resources.eviction_hard, capacity), settings.resources.reserved
    left = {name: max(0, size - kept.get(name, 0) - reserved.get(name, 0)) for name, size in capacity.items()}
    return {name: str(size) if name == "ephemeral-storage" else _quantity(name, size) for name, size in left.items()}


def _quantity(name: str, amount: int) -> str:
    """As a kubelet prints them: cpus whole where they are, bytes in Ki."""
    if name == "cpu":
        return f"{amount}m" if amount % 1000 else str(amount // 1000)
    if name not in ("memory", "ephemeral-storage") or amount % 1024:
        return str(amount)
    return f"{amount // 1024}Ki"


def _node_info(facts: MachineFacts) -> dict[str, Any]:
    engine = facts.engine
    info: dict[str, Any] = {
        "machineID": facts.machine_id,
        "systemUUID": facts.system_uuid,
        "bootID": facts.boot_id,
        "kernelVersion": engine.kernel,
        "osImage": engine.operating_system,
        "containerRuntimeVersion": f"docker://{engine.version}",
        "kubeletVersion": kubelet_version(),
        "kubeProxyVersion": "",
        "operatingSystem": engine.os,
        "architecture": go_architecture(engine.architecture),
    }
    if facts.swap:
        info["swap"] = {"capacity": facts.swap}
    return info


def _runtime_handlers(engine: EngineInfo) -> list[dict[str, Any]]:
    """What RuntimeClasses may name; "" stands for the default one (cri-dockerd, getRuntimeHandlers)."""
    return [
        {
            "name": name,
            "features": {"recursiveReadOnlyMounts": name in engine.recursive_read_only, "userNamespaces": False},
        }
        for name in ("", *engine.runtimes)
    ]


def _images(images: Iterable[StoredImage]) -> list[dict[str, Any]]:
    """The largest ones: it is for them that the scheduler prefers a node which has them."""
    largest = sorted(images, key=lambda image: (-image.size_bytes, image.names))[:MAX_IMAGES]
    return [{"names": list(image.names[:MAX_NAMES]), "sizeBytes": image.size_bytes} for image in largest]


def _is_restricted(key: str) -> bool:
    prefix, slash, _ = key.rpartition("/")
    if not slash or key in _KUBELET_LABELS:
        return False
    if _within(prefix, "node-restriction.kubernetes.io"):
        return True
    return _within(prefix, "kubernetes.io", "k8s.io") and not _within(
        prefix, "kubelet.kubernetes.io", "node.kubernetes.io"
    )


def _within(prefix: str, *domains: str) -> bool:
    return any(prefix == domain or prefix.endswith(f".{domain}") for domain in domains)


_KUBELET_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
    }
)
