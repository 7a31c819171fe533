"""Everything that a node counts, by name: the kubelet's names and buckets where it counts the same
(pkg/kubelet/metrics/metrics.go), so that dashboards and alerts made for kubelets hold for this node too.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from vkprovider.core import phase
from vkprovider.core.sidecars import Kind
from vkprovider.telemetry.words import (
    ACTED,
    ATTACH,
    CONTAINER,
    EPHEMERAL_CONTAINER,
    EXEC,
    FAILED,
    IDLE,
    INIT_CONTAINER,
    LOGS,
    PORT_FORWARD,
    kind_of,
)


class Type(StrEnum):
    """``UNTYPED`` counts as well, under a name that no counter may bear today, as the kubelet's do."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    UNTYPED = "untyped"


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """A metric with the series that its labels make. ``known`` are values of the labels that are shown before there is
    anything to count: a rate sees no first step from nothing to one.
    """

    name: str
    type: Type
    says: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    known: tuple[tuple[str, ...], ...] = ()


def _counter(name: str, says: str, *labels: str, known: tuple[tuple[str, ...], ...] = ()) -> Series:
    return Series(name=name, type=Type.COUNTER, says=says, labels=labels, known=known)


def _gauge(name: str, says: str, *labels: str, known: tuple[tuple[str, ...], ...] = ()) -> Series:
    return Series(name=name, type=Type.GAUGE, says=says, labels=labels, known=known)


def _seconds(
    name: str, says: str, *labels: str, buckets: tuple[float, ...], known: tuple[tuple[str, ...], ...] = ()
) -> Series:
    return Series(name=name, type=Type.HISTOGRAM, says=says, labels=labels, buckets=buckets, known=known)


def _untyped(name: str, says: str, *labels: str) -> Series:
    return Series(name=name, type=Type.UNTYPED, says=says, labels=labels)


EACH_KIND = tuple((kind_of(kind),) for kind in Kind)
EACH_PHASE = tuple((each,) for each in (phase.PENDING, phase.RUNNING, phase.SUCCEEDED, phase.FAILED))
EACH_RESULT = tuple((result,) for result in (ACTED, IDLE, FAILED))
EACH_STREAM = tuple((kind,) for kind in (EXEC, ATTACH, PORT_FORWARD, LOGS))
EACH_TYPE = tuple((word,) for word in (CONTAINER, INIT_CONTAINER, EPHEMERAL_CONTAINER))

DEFAULT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
OPERATION = tuple(0.005 * 2.5**n for n in range(14))
START = (
    *(0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300),
    *(360, 480, 600, 900, 1200, 1800, 2700, 3600),
)
PULL = (1, 5, 10, 20, 30, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600)
STORAGE = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600)
REQUEST = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)
STOP = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)

# --- the kubelet's names -----------------------------------------------------------------------------------------

NODE_NAME = _gauge("kubelet_node_name", "The node's name. The count is always 1.", "node")
RUNNING_PODS = _gauge("kubelet_running_pods", "Number of pods that run")
RUNNING_CONTAINERS = _gauge(
    "kubelet_running_containers", "Number of containers by state: running, waiting, terminated", "container_state"
)
POD_START = _seconds(
    "kubelet_pod_start_duration_seconds",
    "Duration in seconds from seeing a pod for the first time to the pod starting to run",
    buckets=START,
)
POD_WORKER = _seconds(
    "kubelet_pod_worker_duration_seconds",
    "Duration in seconds of one look at a pod, with all that is decided and published: create, update, or sync",
    "operation_type",
    buckets=(*DEFAULT, 30, 60, 120, 300),
    known=(("create",), ("update",), ("sync",)),
)
STARTED_PODS = _counter("kubelet_started_pods_total", "Cumulative number of pods started, sandbox by sandbox")
STARTED_PODS_ERRORS = _counter(
    "kubelet_started_pods_errors_total", "Cumulative number of errors when starting pods' sandboxes"
)
STARTED_CONTAINERS = _counter(
    "kubelet_started_containers_total",
    "Cumulative number of attempts to start a container",
    "container_type",
    known=EACH_TYPE,
)
STARTED_CONTAINERS_ERRORS = _counter(
    "kubelet_started_containers_errors_total",
    "Cumulative number of errors when starting containers; the code is the reason that a container waits for",
    "container_type",
    "code",
)
IMAGE_PULL = _seconds(
    "kubelet_image_pull_duration_seconds",
    "Duration in seconds to pull an image",
    "image_size_in_bytes",
    buckets=PULL,
)
RELIST = _seconds(
    "kubelet_pleg_relist_duration_seconds",
    "Duration in seconds for relisting pods in PLEG.",
    buckets=DEFAULT,
)
RELIST_INTERVAL = _seconds(
    "kubelet_pleg_relist_interval_seconds",
    "Interval in seconds between two looks at all pods, whatever the engine tells",
    buckets=(1, 2.5, 5, 10, 20, 30, 31, 35, 40, 60, 120, 300),
)
LAST_SEEN = _gauge(
    "kubelet_pleg_last_seen_seconds", "Timestamp in seconds when the engine's events were last known to arrive"
)
OPERATIONS = _counter(
    "kubelet_runtime_operations_total", "Cumulative number of calls of the engine by type", "operation_type"
)
OPERATIONS_ERRORS = _counter(
    "kubelet_runtime_operations_errors_total",
    "Cumulative number of calls of the engine that failed, by type",
    "operation_type",
)
OPERATIONS_SECONDS = _seconds(
    "kubelet_runtime_operations_duration_seconds",
    "Duration in seconds of calls of the engine by type",
    "operation_type",
    buckets=OPERATION,
)
EVICTIONS = _untyped("kubelet_evictions", "Cumulative number of pod evictions by eviction signal", "eviction_signal")
HTTP_FALLBACKS = _counter(
    "kubelet_lifecycle_handler_http_fallbacks_total",
    "The number of times lifecycle handlers successfully fell back to http from https.",
)
VOLUMES = _gauge(
    "volume_manager_total_volumes",
    "Number of volumes of the pods: desired_state_of_world, and actual_state_of_world once they are made",
    "plugin_name",
    "state",
)
CLAIM_CAPACITY, CLAIM_AVAILABLE, CLAIM_USED, CLAIM_INODES, CLAIM_INODES_FREE, CLAIM_INODES_USED = (
    _gauge(f"kubelet_volume_stats_{name}", says, "namespace", "persistentvolumeclaim")
    for name, says in (
        ("capacity_bytes", "Capacity in bytes of the volume"),
        ("available_bytes", "Number of available bytes in the volume"),
        ("used_bytes", "Number of used bytes in the volume"),
        ("inodes", "Maximum number of inodes in the volume"),
        ("inodes_free", "Number of free inodes in the volume"),
        ("inodes_used", "Number of used inodes in the volume"),
    )
)
STORAGE_SECONDS = _seconds(
    "storage_operation_duration_seconds",
    "Duration in seconds for making the volumes of a pod, or bringing them up to date",
    "volume_plugin",
    "operation_name",
    "status",
    "migrated",
    buckets=STORAGE,
)
STORAGE_ERRORS = _counter(
    "storage_operation_errors_total",
    "Cumulative number of times that the volumes of a pod could not be made",
    "volume_plugin",
    "operation_name",
)
REQUESTS = _counter(
    "rest_client_requests_total",
    "Number of HTTP requests to the API server, partitioned by status code, method, and host.",
    "code",
    "method",
    "host",
)
REQUEST_SECONDS = _seconds(
    "rest_client_request_duration_seconds",
    "Latency in seconds of requests to the API server. Broken down by verb, and host.",
    "verb",
    "host",
    buckets=REQUEST,
)
CLIENT_TTL = _gauge(
    "kubelet_certificate_manager_client_ttl_seconds",
    "Seconds until the certificate expires by which the API server knows the node; only where it is the node's own",
)
SERVER_TTL = _gauge(
    "kubelet_certificate_manager_server_ttl_seconds",
    "Seconds until the certificate expires that the node's API shows",
)
CLIENT_RENEW_ERRORS = _untyped(
    "kubelet_certificate_manager_client_expiration_renew_errors", "Counter of failed attempts to renew that certificate"
)
SERVER_RENEW_ERRORS = _untyped(
    "kubelet_server_expiration_renew_errors",
    "Counter of failed attempts to renew the certificate that the node's API shows",
)

# --- our own -----------------------------------------------------------------------------------------------------

BUILD = _gauge("vkprovider_build_info", "The version of vkprovider. The count is always 1.", "version")
PODS = _gauge("vkprovider_pods", "Pods of this node by phase.", "phase", known=EACH_PHASE)
CONTAINERS = _gauge("vkprovider_containers_running", "Containers that run, by kind.", "kind", known=EACH_KIND)
STARTS = _counter("vkprovider_container_starts_total", "Containers started, by kind.", "kind", known=EACH_KIND)
RESTARTS = _counter(
    "vkprovider_container_restarts_total",
    "Those of the starts that were not a container's first.",
    "kind",
    known=EACH_KIND,
)
EXITS = _counter(
    "vkprovider_container_exits_total",
    "Containers that ended, by kind and by their true reason: Completed, Error, OOMKilled, StartError, "
    "ContainerStatusUnknown.",
    "kind",
    "reason",
)
FORGIVEN = _counter(
    "vkprovider_forgiven_exits_total",
    "Those of the ends that are published as exit code 0 though it was another.",
    "kind",
    known=EACH_KIND,
)
STOPS = _seconds(
    "vkprovider_container_stop_duration_seconds",
    "Seconds from the signal to stop until a container's end, by kind.",
    "kind",
    buckets=STOP,
    known=EACH_KIND,
)
KILLS = _counter(
    "vkprovider_container_kills_total",
    "Containers that had not ended when their time was up, and were killed, by kind.",
    "kind",
    known=EACH_KIND,
)
RECONCILES = _counter(
    "vkprovider_reconciles_total",
    "Looks at pods by what came of them: acted, idle where nothing was to be done, failed where the engine could not "
    "be asked. How long they take: kubelet_pod_worker_duration_seconds.",
    "result",
    known=EACH_RESULT,
)
RECONCILE_CAUSES = _counter(
    "vkprovider_reconcile_causes_total",
    "What pods were to be looked at for: start, pod (its object is another), engine (it told of a change), relist, "
    "probe, timer, room, eviction, or the name of an action that has ended or of news. One look answers all there are.",
    "cause",
)
RECONCILE_DELAY = _seconds(
    "vkprovider_reconcile_delay_seconds",
    "Seconds from the first cause of a look until it began: long where the node has more to do than it can.",
    buckets=OPERATION,
)
ACTIONS = _seconds(
    "vkprovider_action_duration_seconds",
    "Seconds that the steps taken for pods took, by action.",
    "action",
    buckets=OPERATION,
)
ACTION_FAILURES = _counter("vkprovider_action_failures_total", "Steps taken for pods that failed, by action.", "action")
ENGINE_CALLS = _counter(
    "vkprovider_engine_calls_total",
    "Calls of the engine by what came of them: ok, not_found, conflict, unavailable (no answer), failed, cancelled. "
    "How long they take: kubelet_runtime_operations_duration_seconds, whose operation_type is the call.",
    "call",
    "outcome",
)
ENGINE_CALLS_IN_FLIGHT = _gauge(
    "vkprovider_engine_calls_in_flight", "Calls of the engine that wait for its answer now.", "call"
)
OPEN_STREAMS = _gauge("vkprovider_streams", "Streams that are open now, by kind.", "kind", known=EACH_STREAM)
STREAMS_OPENED = _counter("vkprovider_streams_total", "Streams opened, by kind.", "kind", known=EACH_STREAM)

CATALOGUE: tuple[Series, ...] = tuple(found for found in tuple(globals().values()) if isinstance(found, Series))
