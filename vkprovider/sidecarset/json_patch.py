"""What makes one JSON object of another (RFC 6902). Lists are replaced as a whole: their order counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.json import encode

Operation = dict[str, Any]


def json_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Operation]:
    """The operations that make ``after`` of ``before``; none where they are the same."""
    return list(_operations("", before, after))


def _operations(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Operation]:
    for key in before:
        if key not in after:
            yield {"op": "remove", "path": _below(path, key)}
    for key, value in after.items():
        there = _below(path, key)
        if key not in before:
            yield {"op": "add", "path": there, "value": value}
        elif isinstance(value, dict) and isinstance(before[key], dict):
            yield from _operations(there, before[key], value)
        elif encode(before[key]) != encode(value):  # true is not 1, to JSON
            yield {"op": "replace", "path": there, "value": value}


def _below(path: str, key: str) -> str:
    return f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
