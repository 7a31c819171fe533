"""What is wrong with a field, in the words of the API server (apimachinery/pkg/util/validation/field/errors.go)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

SHOWN = 80  # characters of a user's value that a message repeats


class Finding(NamedTuple):
    """One problem of one field; ``path`` as in ``spec.containers[0].image``, ``message`` a single line."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def show(value: Any) -> str:
    """A value as a message repeats it: JSON, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def required(path: str, detail: str = "") -> Finding:
    return Finding(path, f"Required value: {detail}" if detail else "Required value")


def invalid(path: str, value: Any, detail: str) -> Finding:
    return Finding(path, f"Invalid value: {show(value)}: {detail}")


def duplicate(path: str, value: Any) -> Finding:
    return Finding(path, f"Duplicate value: {show(value)}")


def not_found(path: str, value: Any, detail: str = "") -> Finding:
    return Finding(path, f"Not found: {show(value)}" + (f": {detail}" if detail else ""))


def forbidden(path: str, detail: str) -> Finding:
    return Finding(path, f"Forbidden: {detail}")


def too_many(path: str, count: int, limit: int) -> Finding:
    return Finding(path, f"Too many: {count}: must have at most {limit} items")


def too_long(path: str, limit: int) -> Finding:
    return Finding(path, f"Too long: may not be more than {limit} bytes")


def each(path: str, value: Any, complaints: Iterable[str]) -> Iterator[Finding]:
    """One finding per complaint about a value."""
    for complaint in complaints:
        yield invalid(path, value, complaint)


def one_of(path: str, value: str, values: Iterable[str]) -> Iterator[Finding]:
    """A finding unless ``value`` is among ``values``."""
    values = tuple(values)
    if value not in values:
        listed = ", ".join(show(v) for v in values)
        yield Finding(path, f"Unsupported value: {show(value)}: supported values: {listed}")


def in_range(path: str, value: int, low: int, high: int) -> Iterator[Finding]:
    if not low <= value <= high:
        yield invalid(path, value, f"must be between {low} and {high}, inclusive")


def not_negative(path: str, value: int | None) -> Iterator[Finding]:
    if value is not None and value < 0:
        yield invalid(path, value, "must be greater than or equal to 0")
