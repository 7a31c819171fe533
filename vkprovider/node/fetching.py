"""What pods refer to, fetched from the ``ObjectStore``. What cannot be had now is handed on as the error it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vkprovider.core.faults import Fault
from vkprovider.core.objects import Objects
from vkprovider.core.pull_secrets import logins, pull_secrets
from vkprovider.core.services import service_variables
from vkprovider.core.tokens import Token, Tokens
from vkprovider.errors import VkError
from vkprovider.model.engine import RegistryAuth
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ObjectRef, TokenRef
from vkprovider.ports import ObjectStore


async def fetch_objects(store: ObjectStore, pod: Pod, refs: Iterable[ObjectRef]) -> Objects:
    found: dict[ObjectRef, Mapping[str, Any] | VkError | None] = {}
    for ref in sorted(refs):
        try:
            found[ref] = await store.get(ref, pod)
        except VkError as exc:
            found[ref] = exc
    return found


async def fetch_tokens(store: ObjectStore, refs: Iterable[TokenRef]) -> Tokens:
    found: dict[TokenRef, Token | VkError] = {}
    for ref in sorted(refs):
        try:
            found[ref] = await store.token(ref)
        except VkError as exc:
            found[ref] = exc
    return found


async def fetch_service_variables(store: ObjectStore, pod: Pod) -> dict[str, str]:
    """What the containers of a pod are told of Services. Raises Fault while it is not known which there are."""
    try:
        return service_variables(pod, await store.services())
    except VkError as exc:
        raise Fault(str(exc)) from exc


async def fetch_logins(store: ObjectStore, pod: Pod, image: str) -> tuple[tuple[RegistryAuth, ...], tuple[str, ...]]:
    """The pod's own credentials for an image, and the names of its Secrets that cannot be had.

    Raises SpecError for a Secret whose content is no credentials.
    """
    refs = pull_secrets(pod)
    found = await fetch_objects(store, pod, refs)
    secrets = [raw for ref in refs if isinstance(raw := found[ref], Mapping)]
    auths = tuple(RegistryAuth(username=user, password=password) for user, password in logins(image, secrets))
    return auths, tuple(ref.name for ref in refs if not isinstance(found[ref], Mapping))
