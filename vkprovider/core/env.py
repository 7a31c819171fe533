"""A container's environment: what must be fetched for it, and what comes of it.

The order and the messages are the kubelet's (pkg/kubelet/kubelet_pods.go makeEnvironmentVariables).
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from vkprovider.core.downward import Quantity, container_named, metadata_field, resource_field
from vkprovider.core.env_files import NO_FILES, Contents, value_in
from vkprovider.core.expansion import check_size, expand
from vkprovider.core.faults import Fault
from vkprovider.core.objects import Objects, config_map_text, content_of, secret_bytes
from vkprovider.errors import SpecError, VkError
from vkprovider.model.container import (
    Container,
    EnvFromSource,
    EnvSourceRef,
    EnvVarSource,
    KeySelector,
)
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ObjectRef

Env = tuple[tuple[str, str], ...]
NO_SERVICES: Mapping[str, str] = {}
S = TypeVar("S", EnvSourceRef, KeySelector)


class Whereabouts(msgspec.Struct, frozen=True, kw_only=True):
    """What a container may be told of where it runs. ``allocatable`` are the node's quantities for pods."""

    node_name: str
    host_ip: str
    pod_ips: tuple[str, ...] = ()
    allocatable: Mapping[str, Quantity] = {}


def needed_objects(pod: Pod, container: Container) -> frozenset[ObjectRef]:
    """The ConfigMaps and Secrets the environment of a container is made from."""
    whole = (_object_of(source, pod) for source in container.env_from)
    keys = (_key_of(var.value_from, pod) for var in container.env if var.value_from is not None and not var.value)
    return frozenset(found[0] for found in (*whole, *keys) if found is not None)


def resolve_env(
    pod: Pod,
    container: Container,
    objects: Objects,
    where: Whereabouts,
    services: Mapping[str, str] = NO_SERVICES,
    files: Contents = NO_FILES,
) -> Env:
    """The variables in the order in which they were first named; a later value for a name wins. Last come those of
    ``services`` that nobody has named.

    ``objects`` holds all that ``needed_objects`` names, ``files`` what was read of ``env_files.needed_files``. Raises
    Fault where what a variable needs is missing.
    """
    variables: dict[str, str] = {}
    size = 0
    known = ChainMap(variables, dict(services))
    for source in container.env_from:
        found = _object_of(source, pod)
        if found is None:
            raise Fault("envFrom has a source that is neither configMapRef nor secretRef")
        content = _content(found[0], objects, optional=found[1].optional)
        variables.update((source.prefix + key, _text(key, value)) for key, value in content.items())
    for var in container.env:
        # As upstream: only a literal value is expanded, and a literal value silences valueFrom.
        value: str | None = expand(var.value, known)
        if var.value_from is not None and not var.value:
            value = _told(var.value_from, pod, container, where)
            if value is None:
                value = _sourced(var.value_from, pod, objects, files)
        if value is not None:
            variables[var.name] = value
            size += len(value)
            check_size(size, "environment variables")
    return (*variables.items(), *((name, value) for name, value in services.items() if name not in variables))


def _sourced(source: EnvVarSource, pod: Pod, objects: Objects, files: Contents) -> str | None:
    """The value of a key of an object or a file, or None where an optional one is missing."""
    if source.file_key_ref is not None:
        return value_in(source.file_key_ref, files)
    found = _key_of(source, pod)
    if found is None:
        kinds = "configMapKeyRef, fieldRef, fileKeyRef, resourceFieldRef, secretKeyRef"
        raise Fault(f"valueFrom has a source that is none of {kinds}")
    ref, selector = found
    content = _content(ref, objects, optional=selector.optional)
    if selector.key in content:
        return _text(selector.key, content[selector.key])
    if selector.optional:
        return None
    raise Fault(f"couldn't find key {selector.key} in {ref.kind} {ref.namespace}/{ref.name}")


def _object_of(source: EnvFromSource, pod: Pod) -> tuple[ObjectRef, EnvSourceRef] | None:
    return _chosen(pod, source.config_map_ref, source.secret_ref)


def _key_of(source: EnvVarSource, pod: Pod) -> tuple[ObjectRef, KeySelector] | None:
    return _chosen(pod, source.config_map_key_ref, source.secret_key_ref)


def _chosen(pod: Pod, config_map: S | None, secret: S | None) -> tuple[ObjectRef, S] | None:
    if config_map is not None:
        return ObjectRef("ConfigMap", pod.metadata.namespace, config_map.name), config_map
    if secret is not None:
        return ObjectRef("Secret", pod.metadata.namespace, secret.name), secret
    return None


def _content(ref: ObjectRef, objects: Objects, *, optional: bool) -> Mapping[str, str | bytes]:
    """What an object holds; nothing where an optional one is missing."""
    try:
        raw = content_of(ref, objects, optional=optional)
    except VkError as exc:
        raise Fault(str(exc)) from exc
    try:
        return config_map_text(raw) if ref.kind == "ConfigMap" else secret_bytes(raw)
    except SpecError as exc:
        raise Fault(f'{ref.kind.lower()} "{ref.name}" is not valid: {exc}') from exc


def _text(key: str, value: str | bytes) -> str:
    try:
        return value if isinstance(value, str) else value.decode()
    except UnicodeDecodeError as exc:
        raise Fault(f"the value of key {key} is not UTF-8 text and cannot be an environment variable") from exc


def _fields(pod: Pod, where: Whereabouts) -> Mapping[str, str]:
    ips = (where.host_ip,) if pod.spec.host_network else where.pod_ips
    return {
        "spec.nodeName": where.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.hostIP": where.host_ip,
        "status.hostIPs": where.host_ip,
        "status.podIP": ips[0] if ips else "",
        "status.podIPs": ",".join(ips),
    }


def _told(source: EnvVarSource, pod: Pod, container: Container, where: Whereabouts) -> str | None:
    """What the downward API says; None where the source asks for something else. Raises Fault."""
    try:
        if source.field_ref is not None:
            path = source.field_ref.field_path
            fields = _fields(pod, where)
            return fields[path] if path in fields else metadata_field(pod, path)
        if source.resource_field_ref is not None:
            selector = source.resource_field_ref
            of = container_named(pod, selector.container_name) if selector.container_name else container
            return resource_field(selector, of, where.allocatable)
    except SpecError as exc:
        raise Fault(str(exc)) from exc
    return None
