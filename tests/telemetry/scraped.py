"""What Prometheus would read, as its own parser understands it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: bytes) -> Samples:
    families = text_string_to_metric_families(text.decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


class Scraped:
    """The numbers of a collector as they are now, by name and labels."""

    def __init__(self, collector: Collector) -> None:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(collector)
        self.samples = samples(generate_latest(registry))

    def __call__(self, name: str, **labels: str) -> float | None:
        """None where there is no such series."""
        return self.samples.get((name, tuple(sorted(labels.items()))))
