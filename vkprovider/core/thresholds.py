"""When a node runs low: the thresholds that are set for its signals, against what is read of the machine.

Syntax and meaning are those of the kubelet's --eviction-hard: pkg/kubelet/eviction/helpers.go, defaults_linux.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import NamedTuple

from vkprovider.core.admission import DISK_PRESSURE, MEMORY_PRESSURE, PID_PRESSURE
from vkprovider.core.resources import EPHEMERAL_STORAGE, MEMORY
from vkprovider.errors import SpecError
from vkprovider.model.quantity import parse, whole

INODES, PIDS = "inodes", "pids"  # resources that nobody requests
DEFAULT_THRESHOLDS = (
    "memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<15%,imagefs.inodesFree<5%"
)


class Signal(StrEnum):
    """``nodefs`` holds volumes and the pods' files, ``imagefs`` what the engine keeps: often they are one."""

    MEMORY = "memory.available"
    NODEFS = "nodefs.available"
    NODEFS_INODES = "nodefs.inodesFree"
    IMAGEFS = "imagefs.available"
    IMAGEFS_INODES = "imagefs.inodesFree"
    PID = "pid.available"


class Reading(NamedTuple):
    """Bytes or pieces."""

    available: int
    capacity: int


Readings = Mapping[Signal, Reading]


class Threshold(NamedTuple):
    """A signal's least amount: a quantity, or with a "%" at its end a part of the capacity."""

    signal: Signal
    least: str

    def amount(self, capacity: int) -> int:
        """In bytes or pieces."""
        if self.least.endswith("%"):
            return int(capacity * Decimal(self.least[:-1]) / 100)
        return whole(self.least)


_PRESSURES = {
    Signal.MEMORY: MEMORY_PRESSURE,
    Signal.NODEFS: DISK_PRESSURE,
    Signal.NODEFS_INODES: DISK_PRESSURE,
    Signal.IMAGEFS: DISK_PRESSURE,
    Signal.IMAGEFS_INODES: DISK_PRESSURE,
    Signal.PID: PID_PRESSURE,
}
_RESOURCES = {
    Signal.MEMORY: MEMORY,
    Signal.NODEFS: EPHEMERAL_STORAGE,
    Signal.NODEFS_INODES: INODES,
    Signal.IMAGEFS: EPHEMERAL_STORAGE,
    Signal.IMAGEFS_INODES: INODES,
    Signal.PID: PIDS,
}


def parse_thresholds(text: str) -> tuple[Threshold, ...]:
    """Thresholds as in ``memory.available<100Mi,nodefs.available<10%``. 0% and 100% switch a signal off.

    Raises SpecError, whose message names what is wrong.
    """
    statements = [statement.strip() for statement in text.split(",") if statement.strip()]
    found = [threshold for statement in statements if (threshold := _threshold(statement)) is not None]
    signals = [threshold.signal for threshold in found]
    for signal in signals:
        if signals.count(signal) > 1:
            raise SpecError(f"{signal} is given twice")
    return tuple(found)


def resource_of(threshold: Threshold) -> str:
    """The resource that is low where the threshold is crossed."""
    return _RESOURCES[threshold.signal]


def crossed(thresholds: Iterable[Threshold], readings: Readings) -> tuple[Threshold, ...]:
    """Those whose signal has less than it should, memory first. A signal that cannot be read crosses none."""
    found = [t for t in thresholds if (r := readings.get(t.signal)) and r.available < t.amount(r.capacity)]
    return tuple(sorted(found, key=lambda threshold: threshold.signal is not Signal.MEMORY))


def pressures(thresholds: Iterable[Threshold], readings: Readings) -> frozenset[str]:
    """The types of the node's conditions that hold."""
    return frozenset(_PRESSURES[threshold.signal] for threshold in crossed(thresholds, readings))


def kept_back(thresholds: Iterable[Threshold], capacity: Mapping[str, int]) -> dict[str, int]:
    """What pods cannot have, for the node would run low: it is not allocatable
    (pkg/kubelet/cm/node_container_manager_linux.go hardEvictionReservation).
    """
    counted = (threshold for threshold in thresholds if threshold.signal in (Signal.MEMORY, Signal.NODEFS))
    return {r: threshold.amount(capacity[r]) for threshold in counted if (r := resource_of(threshold)) in capacity}


def _threshold(statement: str) -> Threshold | None:
    name, less, least = (part.strip() for part in statement.partition("<"))
    if not less or not least:
        raise SpecError(f"{statement!r} is not of the form SIGNAL<QUANTITY or SIGNAL<PERCENTAGE%")
    if name not in tuple(Signal):
        raise SpecError(f"unknown signal {name!r}: there are {', '.join(Signal)}")
    if least in ("0%", "100%"):
        return None
    if least.endswith("%"):
        _check_percentage(name, least)
    elif parse(least) <= 0:
        raise SpecError(f"{name}: {least} is not positive")
    return Threshold(Signal(name), least)


def _check_percentage(name: str, least: str) -> None:
    try:
        percentage = Decimal(least[:-1])
    except InvalidOperation as exc:
        raise SpecError(f"{name}: {least!r} is not a percentage") from exc
    if not (percentage.is_finite() and 0 <= percentage <= 100):
        raise SpecError(f"{name}: {least} is not between 0% and 100%")
