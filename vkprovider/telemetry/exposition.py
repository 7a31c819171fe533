"""The numbers of a node as text for Prometheus. They are taken when it asks: nothing is kept up to date meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

PROBE_LABELS = ("probe_type", "result", "container", "pod", "namespace", "pod_uid")


class NodeNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """A node at one moment. ``containers`` counts by state, in the words of statuses: running, waiting, terminated;
    ``pods`` by phase.
    """

    node: str
    version: str
    pods: Mapping[str, int]
    containers: Mapping[str, int]


def node_metrics(numbers: NodeNumbers) -> bytes:
    """What ``/metrics`` answers."""
    return _text(_Once(_of_node(numbers)), process=True)


def probe_metrics(totals: Mapping[Sequence[str], int]) -> bytes:
    """What ``/metrics/probes`` answers: attempts so far by the values of ``PROBE_LABELS``."""
    family = CounterMetricFamily(
        "prober_probe_total",
        "Cumulative number of a liveness, readiness or startup probe for a container by result.",
        labels=PROBE_LABELS,
    )
    for values, total in totals.items():
        family.add_metric(values, total)
    return _text(_Once([family]))


def _of_node(numbers: NodeNumbers) -> Iterator[Metric]:
    """Names from pkg/kubelet/metrics/metrics.go, and our own."""
    name = GaugeMetricFamily("kubelet_node_name", "The node's name. The count is always 1.", labels=["node"])
    name.add_metric([numbers.node], 1)
    yield name
    running = numbers.pods.get("Running", 0)
    yield GaugeMetricFamily("kubelet_running_pods", "Number of pods that have a running pod sandbox", value=running)
    containers = GaugeMetricFamily(
        "kubelet_running_containers", "Number of containers currently running", labels=["container_state"]
    )
    for state, count in sorted(numbers.containers.items()):
        containers.add_metric([state], count)
    yield containers
    pods = GaugeMetricFamily("vkprovider_pods", "Pods of this node by phase.", labels=["phase"])
    for phase, count in sorted(numbers.pods.items()):
        pods.add_metric([phase], count)
    yield pods
    build = InfoMetricFamily("vkprovider_build", "The version of vkprovider.")
    build.add_metric([], {"version": numbers.version})
    yield build


class _Once(Collector):
    """Metrics that have been taken already."""

    def __init__(self, metrics: Iterator[Metric] | Sequence[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterator[Metric]:
        return iter(self._metrics)


def _text(collector: Collector, process: bool = False) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    if process:
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
    return generate_latest(registry)
