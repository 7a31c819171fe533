"""Counting, and what of it Prometheus is shown."""

from __future__ import annotations

import pytest

from tests.telemetry.scraped import Scraped
from vkprovider.telemetry.catalogue import CATALOGUE, Series, Type
from vkprovider.telemetry.meter import Meter

COUNTER = Series(name="a_total", type=Type.COUNTER, says="A.", labels=("kind",), known=(("x",),))
PLAIN = Series(name="b_total", type=Type.COUNTER, says="B.")
GAUGE = Series(name="c", type=Type.GAUGE, says="C.")
HISTOGRAM = Series(name="d_seconds", type=Type.HISTOGRAM, says="D.", labels=("kind",), buckets=(1, 2.5))
UNTYPED = Series(name="e_errors", type=Type.UNTYPED, says="E.", labels=("why",))
ALL = (COUNTER, PLAIN, GAUGE, HISTOGRAM, UNTYPED)


def test_what_is_known_is_shown_from_the_start():
    scraped = Scraped(Meter(ALL))
    assert scraped.samples == {("a_total", (("kind", "x"),)): 0, ("b_total", ()): 0}


def test_counters_and_gauges():
    meter = Meter(ALL)
    meter.count(COUNTER, "x")
    meter.count(COUNTER, "y", by=2)
    meter.count(PLAIN)
    meter.count(UNTYPED, "z")
    meter.put(GAUGE, {(): 7})
    scraped = Scraped(meter)
    assert [scraped("a_total", kind=kind) for kind in "xy"] == [1, 2]
    assert (scraped("b_total"), scraped("c"), scraped("e_errors", why="z")) == (1, 7, 1)
    meter.put(GAUGE, {})
    assert Scraped(meter)("c") is None


@pytest.mark.parametrize(
    ("value", "counts"), [(0.5, (1, 1, 1)), (1, (1, 1, 1)), (2.4, (0, 1, 1)), (2.5, (0, 1, 1)), (9, (0, 0, 1))]
)
def test_a_bucket_holds_all_that_is_not_above_its_bound(value: float, counts: tuple[int, ...]):
    meter = Meter(ALL)
    meter.observe(HISTOGRAM, value, "x")
    scraped = Scraped(meter)
    assert tuple(scraped("d_seconds_bucket", kind="x", le=bound) for bound in ("1.0", "2.5", "+Inf")) == counts
    assert (scraped("d_seconds_sum", kind="x"), scraped("d_seconds_count", kind="x")) == (value, 1)


def test_names_are_given_once_and_tell_their_type():
    names = [series.name for series in CATALOGUE]
    assert len(names) == len(set(names))
    for series in CATALOGUE:
        assert series.says
        assert bool(series.buckets) == (series.type is Type.HISTOGRAM)
        assert series.name.endswith("_total") == (series.type is Type.COUNTER) or series.type is Type.GAUGE
        assert all(len(values) == len(series.labels) for values in series.known)
