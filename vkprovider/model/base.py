"""The base of all structs that are read from Kubernetes objects."""

from __future__ import annotations

from typing import Any

import msgspec


class Model(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A frozen view of the fields vkprovider honours. Fields it does not name are found by ``model.fields``."""


def without_nulls(value: Any) -> Any:
    """Drop keys whose value is null, at every depth: to the API server a null field is an absent field."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value
