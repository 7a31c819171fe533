"""The text that Prometheus reads, for pages of thousands of lines: what they have in common is written once.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

COUNTER, GAUGE = "counter", "gauge"
_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Sample(NamedTuple):
    """``labels`` are as ``label_text`` gives them; without ``at`` it is of the moment when it is read."""

    labels: str
    value: float
    at: datetime | None = None


class Family(NamedTuple):
    """``name`` is the whole name, that of a counter with its ``_total``."""

    name: str
    kind: str
    help: str
    samples: Iterable[Sample]


def label_text(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in sorted(labels.items()))


def page(families: Iterable[Family]) -> bytes:
    """Families without samples are left out."""
    return "".join(map(_family, families)).encode()


def _family(family: Family) -> str:
    lines = [_line(family.name, sample) for sample in family.samples]
    if not lines:
        return ""
    return f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.kind}\n{''.join(lines)}"


def _line(name: str, sample: Sample) -> str:
    labels = f"{{{sample.labels}}}" if sample.labels else ""
    at = f" {sample.at.timestamp() * 1000:.0f}" if sample.at is not None else ""
    return f"{name}{labels} {sample.value!r}{at}\n"
