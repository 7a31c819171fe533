"""What the node counts, as text for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from vkprovider.telemetry.page import GAUGE, Family, Sample, label_text, page

PROBE_LABELS = ("probe_type", "result", "container", "pod", "namespace", "pod_uid")


def node_metrics(meter: Collector) -> bytes:
    """What ``/metrics`` answers: what the node counts, and its process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(meter)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return generate_latest(registry)


def probe_metrics(totals: Mapping[Sequence[str], int]) -> bytes:
    """What ``/metrics/probes`` answers: attempts so far by the values of ``PROBE_LABELS``."""
    family = CounterMetricFamily(
        "prober_probe_total",
        "Cumulative number of a liveness, readiness or startup probe for a container by result.",
        labels=PROBE_LABELS,
    )
    for values, total in totals.items():
        family.add_metric(values, total)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(family))
    return generate_latest(registry)


def health_metrics(checks: Mapping[str, bool]) -> bytes:
    """What ``/metrics/slis`` answers: how each check finds the node (component-base, metrics/prometheus/slis)."""
    samples = [Sample(label_text({"name": name, "type": "healthz"}), int(well)) for name, well in checks.items()]
    text = "This metric records the result of a single healthcheck."
    return page([Family("kubernetes_healthcheck", GAUGE, text, samples)])


class _Once(Collector):
    """Numbers that have been taken already."""

    def __init__(self, *metrics: Metric) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return iter(self._metrics)
