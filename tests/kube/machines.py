"""A machine to make a node of."""

from __future__ import annotations

from typing import Any

from vkprovider.core.thresholds import Reading, Signal
from vkprovider.kube.node.object import MachineFacts, Storage
from vkprovider.kube.node.settings import NodeSettings
from vkprovider.model.engine import EngineInfo, StoredImage

ENGINE = EngineInfo(
    version="20.10.24",
    api_version="1.41",
    os="linux",
    architecture="x86_64",
    kernel="6.1.0",
    operating_system="Debian GNU/Linux 12 (bookworm)",
    cpus=4,
    memory=8 << 30,
)
BUSYBOX = StoredImage(names=("busybox@sha256:1", "busybox:1.28"), size_bytes=1000)


def machine(**fields: Any) -> MachineFacts:
    """A healthy one."""
    healthy: dict[str, Any] = {
        "engine": ENGINE,
        "images": (BUSYBOX,),
        "storage": Storage(size=100 << 30, free=50 << 30, inodes=1000, free_inodes=900),
        "readings": {Signal.MEMORY: Reading(4 << 30, 8 << 30), Signal.NODEFS: Reading(50 << 30, 100 << 30)},
        "machine_id": "m",
        "system_uuid": "s",
        "boot_id": "b",
    }
    return MachineFacts(**(healthy | fields))


def node_settings(**fields: Any) -> NodeSettings:
    return NodeSettings(**({"name": "vk", "internal_ip": "172.18.0.1"} | fields))
