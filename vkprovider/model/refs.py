"""Names of things, as types of their own so that they cannot be mixed up."""

from __future__ import annotations

from typing import NamedTuple, NewType

PodUID = NewType("PodUID", str)
ContainerID = NewType("ContainerID", str)  # the engine's 64 hex digits, without "docker://"


class PodKey(NamedTuple):
    """Namespace and name, as users write them. Not an identity: a pod may be re-created under its key."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class ObjectRef(NamedTuple):
    """An object a pod refers to: kind is "ConfigMap" or "Secret"."""

    kind: str
    namespace: str
    name: str
