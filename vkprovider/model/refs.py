"""Names of things, as types of their own so that they cannot be mixed up."""

from __future__ import annotations

from typing import NamedTuple, NewType

from vkprovider.errors import SpecError
from vkprovider.model import names

PodUID = NewType("PodUID", str)
ContainerID = NewType("ContainerID", str)  # the engine's 64 hex digits, without "docker://"


class PodKey(NamedTuple):
    """Namespace and name, as users write them. Not an identity: a pod may be re-created under its key."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class ObjectRef(NamedTuple):
    """An object a pod refers to: a ConfigMap, Secret, RuntimeClass or PersistentVolumeClaim, or the volume of that.

    ``namespace`` is "" where the kind has none.
    """

    kind: str
    namespace: str
    name: str


class TokenRef(NamedTuple):
    """A token of a service account that is bound to a pod: it is void once that is gone.

    ``audience`` "" is the API server's own; ``seconds`` is the lifetime that is asked for.
    """

    namespace: str
    service_account: str
    pod: str
    pod_uid: PodUID
    audience: str
    seconds: int


def split_reference(name: str, namespace: str) -> tuple[str, str]:
    """The namespace and name that a volume of a pod in ``namespace`` means by ``name``.

    Raises SpecError where it is neither a name nor ``namespace/name``.
    """
    if "/" not in name:
        return namespace, name
    other, _, own = name.partition("/")
    if names.label(other) or names.subdomain(own):
        raise SpecError(f'"{name}" is not of the form namespace/name')
    return other, own
