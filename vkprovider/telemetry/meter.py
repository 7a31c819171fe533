"""Where a node counts: numbers by series and labels, until the process ends."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UntypedMetricFamily,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from vkprovider.telemetry.catalogue import CATALOGUE, Series, Type

Labels = tuple[str, ...]


class Distribution:
    """How often values were in which of the buckets, given by their upper bounds."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """As Prometheus has them: by bound, all that is not above it."""
        bounds = (*self._bounds, float("inf"))
        return list(zip(map(floatToGoString, bounds), accumulate(self._counts), strict=True))


class Meter(Collector):
    """Counts what the catalogue lists. To be used on the event loop alone."""

    def __init__(self, catalogue: Iterable[Series] = CATALOGUE) -> None:
        self._catalogue = tuple(catalogue)
        self._values: dict[str, dict[Labels, float]] = {}
        self._distributions: dict[str, dict[Labels, Distribution]] = {}
        for series in self._catalogue:
            first = series.known if series.labels else ((),)
            if series.type is Type.HISTOGRAM:
                self._distributions[series.name] = {labels: Distribution(series.buckets) for labels in first}
            elif series.labels or series.type is not Type.GAUGE:
                self._values[series.name] = dict.fromkeys(first, 0.0)
            else:
                self._values[series.name] = {}  # what has not been looked at has no value

    def count(self, series: Series, *labels: str, by: float = 1) -> None:
        """Add to a counter, or to a gauge."""
        values = self._values[series.name]
        values[labels] = values.get(labels, 0.0) + by

    def observe(self, series: Series, value: float, *labels: str) -> None:
        """Add a value to a histogram."""
        distributions = self._distributions[series.name]
        if labels not in distributions:
            distributions[labels] = Distribution(series.buckets)
        distributions[labels].add(value)

    def put(self, series: Series, values: Mapping[Labels, float]) -> None:
        """Have a gauge show these values, 0 where nothing is known of labels that are always shown, and no others."""
        self._values[series.name] = {**dict.fromkeys(series.known, 0.0), **values}

    def value(self, series: Series, *labels: str) -> float:
        """What a counter or a gauge shows now; 0 where it shows nothing."""
        return self._values[series.name].get(labels, 0.0)

    def collect(self) -> Iterator[Metric]:
        for series in self._catalogue:
            if series.type is Type.HISTOGRAM:
                yield self._histogram(series)
                continue
            family = _FAMILIES[series.type](series.name, series.says, labels=series.labels)
            for labels, value in self._values[series.name].items():
                family.add_metric(labels, value)
            yield family

    def _histogram(self, series: Series) -> HistogramMetricFamily:
        family = HistogramMetricFamily(series.name, series.says, labels=series.labels)
        for labels, distribution in self._distributions[series.name].items():
            family.add_metric(labels, distribution.buckets, distribution.sum)
        return family


_FAMILIES: Mapping[Type, type[CounterMetricFamily | GaugeMetricFamily | UntypedMetricFamily]] = {
    Type.COUNTER: CounterMetricFamily,
    Type.GAUGE: GaugeMetricFamily,
    Type.UNTYPED: UntypedMetricFamily,
}
