"""What is inside raw ConfigMaps and Secrets: text for variables, bytes for files."""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Any

from vkprovider.errors import NotGranted, SpecError, VkError
from vkprovider.model.refs import ObjectRef

Objects = Mapping[ObjectRef, Mapping[str, Any] | VkError | None]
"""Fetched objects by reference: None for one that does not exist, an error where that cannot be known now."""


def not_found(ref: ObjectRef) -> str:
    """The API server's words for a missing object (apimachinery/pkg/api/errors NewNotFound)."""
    return f'{ref.kind.lower()} "{ref.name}" not found'


def withheld(objects: Objects) -> tuple[str, ...]:
    """Why the pod may not have some of these objects."""
    return tuple(str(found) for _, found in sorted(objects.items()) if isinstance(found, NotGranted))


def content_of(ref: ObjectRef, objects: Objects, *, optional: bool) -> Mapping[str, Any]:
    """A raw object, empty for an optional one that does not exist.

    Raises VkError: SpecError in the API server's words where it is missing, or what stands in its place.
    """
    found = objects[ref]
    if isinstance(found, VkError):
        raise found
    if found is None and not optional:
        raise SpecError(not_found(ref))
    return found or {}


def config_map_text(raw: Mapping[str, Any]) -> dict[str, str]:
    """What variables may use of a ConfigMap: ``data`` alone, never ``binaryData``."""
    return dict(raw.get("data") or {})


def config_map_bytes(raw: Mapping[str, Any]) -> dict[str, bytes]:
    """What a volume shows of a ConfigMap: ``data`` and ``binaryData``, whose keys the API keeps apart.

    Raises SpecError where ``binaryData`` is not base64.
    """
    text = {key: value.encode() for key, value in config_map_text(raw).items()}
    return text | _decoded("binaryData", raw)


def secret_bytes(raw: Mapping[str, Any]) -> dict[str, bytes]:
    """The content of a Secret. Raises SpecError where ``data`` is not base64."""
    return _decoded("data", raw)


def _decoded(field: str, raw: Mapping[str, Any]) -> dict[str, bytes]:
    decoded = {}
    for key, value in (raw.get(field) or {}).items():
        try:
            decoded[key] = binascii.a2b_base64(value or "", strict_mode=True)
        except ValueError as exc:
            raise SpecError(f"illegal base64 data: {exc}", f"{field}[{key}]") from exc
    return decoded
