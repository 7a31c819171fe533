"""``/metrics/resource``: what metrics-server reads (pkg/kubelet/metrics/collectors/resource_metrics.go)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from vkprovider.core.rates import of_pod
from vkprovider.model.refs import PodKey, PodUID
from vkprovider.model.usage import ContainerUsage, MachineUsage, Usage
from vkprovider.telemetry.page import COUNTER, GAUGE, Family, Sample, label_text, page

SECOND = 1e9  # nanoseconds


class _Pod(NamedTuple):
    uid: PodUID
    containers: dict[str, ContainerUsage]


def resource_metrics(usage: Usage | None) -> bytes:
    """The page; None says that there was nothing to be had, which is all that is told then.

    What does not run is not in it, for metrics-server lets a pod be unknown that has a container of zeros.
    """
    families: list[Family] = []
    if usage is not None:
        pods = _by_name(usage.containers.values())
        families += [*_node(usage.machine), *_containers(pods), *_pods(pods, usage)]
    failed = [Sample("", 0 if usage is not None else 1)]
    text = "1 if there was an error while getting container metrics, 0 otherwise"
    families += [Family(name, GAUGE, text, failed) for name in ("scrape_error", "resource_scrape_error")]
    return page(families)


def _by_name(containers: Iterable[ContainerUsage]) -> dict[PodKey, list[ContainerUsage]]:
    """The newest of those that bear one name: another may be on its way out, and no series may be there twice."""
    pods: dict[PodKey, _Pod] = {}
    for each in sorted(containers, key=lambda each: each.container.created_at):
        identity = each.container.identity
        key = PodKey(identity.pod_namespace, identity.pod_name)
        if key not in pods or pods[key].uid != identity.pod_uid:
            pods[key] = _Pod(identity.pod_uid, {})
        pods[key].containers[identity.name] = each
    return {key: list(pod.containers.values()) for key, pod in pods.items()}


def _node(machine: MachineUsage) -> Iterator[Family]:
    at, memory = machine.at, machine.memory
    text = "Cumulative cpu time consumed by the node in core-seconds"
    yield Family("node_cpu_usage_seconds_total", COUNTER, text, [Sample("", machine.cpu.total / SECOND, at)])
    text = "Current working set of the node in bytes"
    yield Family("node_memory_working_set_bytes", GAUGE, text, [Sample("", memory.working_set, at)])
    text = "Current swap usage of the node in bytes. Reported only on non-windows systems"
    yield Family("node_swap_usage_bytes", GAUGE, text, [Sample("", memory.swap, at)])


def _containers(pods: dict[PodKey, list[ContainerUsage]]) -> Iterator[Family]:
    told = [
        (label_text({"container": each.container.identity.name, "pod": key.name, "namespace": key.namespace}), each)
        for key, containers in pods.items()
        for each in containers
        if not each.container.is_sandbox
    ]
    memories = [(labels, each.reading.memory, each.at) for labels, each in told]
    text = "Cumulative cpu time consumed by the container in core-seconds"
    samples = [Sample(labels, each.reading.cpu.total / SECOND, each.at) for labels, each in told]
    yield Family("container_cpu_usage_seconds_total", COUNTER, text, samples)
    text = "Current working set of the container in bytes"
    samples = [Sample(labels, memory.working_set, at) for labels, memory, at in memories]
    yield Family("container_memory_working_set_bytes", GAUGE, text, samples)
    text = "Current amount of the container swap usage in bytes. Reported only on non-windows systems"
    samples = [Sample(labels, memory.swap, at) for labels, memory, at in memories]
    yield Family("container_swap_usage_bytes", GAUGE, text, samples)
    text = "Current amount of the container swap limit in bytes. Reported only on non-windows systems"
    samples = [Sample(labels, memory.swap_limit, at) for labels, memory, at in memories]
    yield Family("container_swap_limit_bytes", GAUGE, text, samples)
    text = "Start time of the container since unix epoch in seconds"
    samples = [Sample(labels, each.started_at.timestamp()) for labels, each in told]
    yield Family("container_start_time_seconds", GAUGE, text, samples)


def _pods(pods: dict[PodKey, list[ContainerUsage]], usage: Usage) -> Iterator[Family]:
    told = [
        (
            label_text({"pod": key.name, "namespace": key.namespace}),
            *of_pod(usage, containers[0].container.identity.pod_uid, containers),
            max(each.at for each in containers),
        )
        for key, containers in pods.items()
    ]
    text = "Cumulative cpu time consumed by the pod in core-seconds"
    samples = [Sample(labels, cpu.total / SECOND, at) for labels, cpu, _, at in told]
    yield Family("pod_cpu_usage_seconds_total", COUNTER, text, samples)
    text = "Current working set of the pod in bytes"
    samples = [Sample(labels, memory.working_set, at) for labels, _, memory, at in told]
    yield Family("pod_memory_working_set_bytes", GAUGE, text, samples)
    text = "Current amount of the pod swap usage in bytes. Reported only on non-windows systems"
    samples = [Sample(labels, memory.swap, at) for labels, _, memory, at in told]
    yield Family("pod_swap_usage_bytes", GAUGE, text, samples)
