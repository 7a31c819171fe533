"""The table of supported fields against what an API server says of itself: no field of a pod is missing in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import inspect

from vkprovider.model.base import Model
from vkprovider.model.pod import PodSpec
from vkprovider.model.remarks import known_names

from .clients import Cluster
from .controlplane import ControlPlane

pytestmark = pytest.mark.cluster

OF = (1, 34)  # the version that the table is of

Schemas = dict[str, Any]


def test_every_field_of_a_pods_specification_is_in_the_table(control_plane: ControlPlane) -> None:
    if control_plane.version > OF:
        pytest.skip("what is newer than the table is told to the owner of a pod that has it")
    assert [path for path, known in of_pods(control_plane) if not known] == []


def of_pods(cluster: Cluster) -> list[tuple[str, bool]]:
    """Every field of v1.PodSpec that the server has, by its path, and whether the table has it."""
    schemas = json.loads(cluster.kubectl("get", "--raw", "/openapi/v3/api/v1"))["components"]["schemas"]
    found = list(fields(PodSpec, "io.k8s.api.core.v1.PodSpec", "spec", schemas, set()))
    assert len(found) > 200
    return found


def fields(kind: type[Model], schema: str, path: str, schemas: Schemas, seen: set[str]) -> Iterator[tuple[str, bool]]:
    if schema in seen:
        return
    seen.add(schema)
    known = known_names(kind)
    structs = {field.encode_name: struct_in(field.type) for field in fields_of(kind)}
    for name, described in schemas[schema].get("properties", {}).items():
        yield f"{path}.{name}", name in known
        below, inner = structs.get(name), schema_of(described)
        if below is not None and inner:
            yield from fields(below, inner, f"{path}.{name}", schemas, seen)


def fields_of(kind: type[Model]) -> tuple[inspect.Field, ...]:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return info.fields


def struct_in(kind: inspect.Type) -> type[Model] | None:
    """The struct that a field is, or has a list of."""
    match kind:
        case inspect.StructType(cls=struct) if issubclass(struct, Model):
            return struct
        case inspect.VarTupleType(item_type=item):
            return struct_in(item)
        case inspect.UnionType(types=types):
            return next(filter(None, map(struct_in, types)), None)
    return None


def schema_of(described: dict[str, Any]) -> str:
    """The schema that a property is of, or its items; "" for a plain value."""
    for each in (described, described.get("items", {})):
        for part in (each, *each.get("allOf", ())):
            if "$ref" in part:
                return str(part["$ref"]).rpartition("/")[2]
    return ""
