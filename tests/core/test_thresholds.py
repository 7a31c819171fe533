"""When a node runs low (pkg/kubelet/eviction/helpers.go)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vkprovider.core.thresholds import (
    DEFAULT_THRESHOLDS,
    Reading,
    Readings,
    Signal,
    Threshold,
    crossed,
    kept_back,
    parse_thresholds,
    pressures,
)
from vkprovider.errors import SpecError

GI = 1 << 30
MI = 1 << 20


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("memory.available<100Mi", (Threshold(Signal.MEMORY, "100Mi"),)),
        (" nodefs.available < 10% , pid.available<5", (Threshold(Signal.NODEFS, "10%"), Threshold(Signal.PID, "5"))),
        ("imagefs.available<0%,imagefs.inodesFree<100%", ()),
        ("nodefs.inodesFree<2.5%", (Threshold(Signal.NODEFS_INODES, "2.5%"),)),
    ],
)
def test_reading_thresholds(text: str, found: tuple[Threshold, ...]) -> None:
    assert parse_thresholds(text) == found


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("memory.available", "is not of the form"),
        ("memory.available<", "is not of the form"),
        ("memory.available>1Gi", "is not of the form"),
        ("memory.free<1Gi", "unknown signal 'memory.free'"),
        ("memory.available<0", "memory.available: 0 is not positive"),
        ("memory.available<-1Mi", "is not positive"),
        ("memory.available<x%", "'x%' is not a percentage"),
        ("memory.available<nan%", "is not between 0% and 100%"),
        ("memory.available<101%", "is not between 0% and 100%"),
        ("memory.available<much", "quantities must match"),
        ("memory.available<1Gi,memory.available<2Gi", "memory.available is given twice"),
    ],
)
def test_what_is_no_threshold(text: str, complaint: str) -> None:
    with pytest.raises(SpecError, match=complaint):
        parse_thresholds(text)


@pytest.mark.parametrize(
    ("readings", "found"),
    [
        ({}, set()),
        ({Signal.MEMORY: Reading(100 * MI, GI)}, set()),
        ({Signal.MEMORY: Reading(100 * MI - 1, GI)}, {"MemoryPressure"}),
        ({Signal.NODEFS: Reading(10, 100)}, set()),
        ({Signal.NODEFS: Reading(9, 100)}, {"DiskPressure"}),
        ({Signal.NODEFS_INODES: Reading(4, 100)}, {"DiskPressure"}),
        ({Signal.IMAGEFS: Reading(14, 100)}, {"DiskPressure"}),
        ({Signal.IMAGEFS_INODES: Reading(5, 100)}, set()),
        ({Signal.PID: Reading(0, 100)}, set()),
        ({Signal.MEMORY: Reading(0, GI), Signal.IMAGEFS: Reading(0, GI)}, {"MemoryPressure", "DiskPressure"}),
    ],
)
def test_pressures_of_the_defaults(readings: Readings, found: set[str]) -> None:
    assert pressures(parse_thresholds(DEFAULT_THRESHOLDS), readings) == found


def test_processes_can_be_counted_too() -> None:
    assert pressures(parse_thresholds("pid.available<10%"), {Signal.PID: Reading(9, 100)}) == {"PIDPressure"}


def test_memory_comes_first() -> None:
    thresholds = parse_thresholds("nodefs.available<50%,pid.available<50%,memory.available<50%")
    readings = {signal: Reading(1, 100) for signal in Signal}
    assert [t.signal for t in crossed(thresholds, readings)] == [Signal.MEMORY, Signal.NODEFS, Signal.PID]


def test_what_pods_cannot_have() -> None:
    capacity = {"cpu": 4000, "memory": 8 * GI, "ephemeral-storage": 100 * GI}
    kept = kept_back(parse_thresholds(DEFAULT_THRESHOLDS), capacity)
    assert kept == {"memory": 100 * MI, "ephemeral-storage": 10 * GI}
    assert kept_back(parse_thresholds("memory.available<10%"), capacity) == {"memory": 8 * GI // 10}
    assert kept_back(parse_thresholds(DEFAULT_THRESHOLDS), {"memory": GI}) == {"memory": 100 * MI}


@given(
    available=st.integers(0, 1 << 50),
    more=st.integers(0, 1 << 50),
    least=st.one_of(
        st.integers(1, 1 << 50).map(str), st.integers(1, 9999).map(lambda n: f"{n / 100}%").filter(lambda t: t != "0%")
    ),
)
def test_to_have_more_never_adds_a_pressure(available: int, more: int, least: str) -> None:
    capacity = available + more
    threshold = Threshold(Signal.MEMORY, least)
    assert threshold.amount(capacity) >= 0
    fuller = crossed((threshold,), {Signal.MEMORY: Reading(available, capacity)})
    emptier = crossed((threshold,), {Signal.MEMORY: Reading(capacity, capacity)})
    assert set(emptier) <= set(fuller)
