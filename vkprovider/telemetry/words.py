"""The values of labels: few, and the kubelet's where it has them."""

from __future__ import annotations

from bisect import bisect_right

from vkprovider.core.sidecars import Kind
from vkprovider.model.volume import Volume

MIB, GIB = 1 << 20, 1 << 30
IMAGE_SIZES = (  # pkg/kubelet/metrics/metrics.go imageSizeBuckets
    (0, "0-10MB"),
    (10 * MIB, "10MB-100MB"),
    (100 * MIB, "100MB-500MB"),
    (500 * MIB, "500MB-1GB"),
    (GIB, "1GB-5GB"),
    (5 * GIB, "5GB-10GB"),
    (10 * GIB, "10GB-20GB"),
    (20 * GIB, "20GB-30GB"),
    (30 * GIB, "30GB-40GB"),
    (40 * GIB, "40GB-60GB"),
    (60 * GIB, "60GB-100GB"),
    (100 * GIB, "GT100GB"),
)
CONTAINER, INIT_CONTAINER, EPHEMERAL_CONTAINER = "container", "init_container", "ephemeral_container"
EXEC, ATTACH, PORT_FORWARD, LOGS = "exec", "attach", "port_forward", "logs"  # kinds of streams
ACTED, IDLE, FAILED = "acted", "idle", "failed"  # what comes of a look
PLUGINS = {
    "empty_dir": "kubernetes.io/empty-dir",
    "config_map": "kubernetes.io/configmap",
    "secret": "kubernetes.io/secret",
    "host_path": "kubernetes.io/host-path",
    "downward_api": "kubernetes.io/downward-api",
    "projected": "kubernetes.io/projected",
    "persistent_volume_claim": "kubernetes.io/persistent-claim",
}
OTHER_PLUGIN = "other"


def kind_of(kind: Kind) -> str:
    """A kind of container, in one word."""
    return kind.value.partition(" ")[0]


def type_of(kind: Kind) -> str:
    """Where the container is declared (pkg/kubelet/metrics/metrics.go)."""
    if kind is Kind.EPHEMERAL:
        return EPHEMERAL_CONTAINER
    return INIT_CONTAINER if kind in (Kind.INIT, Kind.NATIVE) else CONTAINER


def size_of(image_bytes: int) -> str:
    """A range of sizes."""
    return IMAGE_SIZES[bisect_right(IMAGE_SIZES, image_bytes, key=lambda size: size[0]) - 1][1]


def plugin_of(volume: Volume) -> str:
    """The kubelet's plugin for such a volume."""
    found = (plugin for field, plugin in PLUGINS.items() if getattr(volume, field) is not None)
    return next(found, OTHER_PLUGIN)
