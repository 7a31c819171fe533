"""Whether a pod's containers make sense: validateContainers and what it calls in core/validation/validation.go."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from vkprovider.model import names
from vkprovider.model.container import (
    Container,
    ContainerPort,
    EnvFromSource,
    EnvVar,
    EnvVarSource,
    KeySelector,
    Profile,
    SecurityContext,
)
from vkprovider.model.findings import Finding, duplicate, each, in_range, invalid, one_of, required
from vkprovider.model.pod import PodSpec
from vkprovider.model.validate_env_file import env_file, env_file_volumes
from vkprovider.model.validate_handler import handlers, no_handlers
from vkprovider.model.validate_projection import resource_field
from vkprovider.model.validate_resources import resources
from vkprovider.model.validate_restarting import restarting
from vkprovider.model.validate_volume import mounts

_ID_MAX = 2**31 - 1
_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]", re.DOTALL)


def containers(spec: PodSpec, path: str) -> Iterator[Finding]:
    """Findings on all containers of a pod, plain ones first; ``path`` is the pod spec's."""
    declared = {volume.name for volume in spec.volumes}
    grace = spec.termination_grace_period_seconds
    if not spec.containers:
        yield required(f"{path}.containers")
    seen: set[str] = set()
    for place, container in enumerate(spec.containers):
        at = f"{path}.containers[{place}]"
        yield from _common(container, declared, seen, at)
        yield from env_file_volumes(spec, container, at)
        yield from handlers(container, grace, at)
    yield from _host_ports(spec.containers, f"{path}.containers", spec.host_network)
    for place, container in enumerate(spec.init_containers):
        at = f"{path}.initContainers[{place}]"
        yield from _common(container, declared, seen, at)
        yield from env_file_volumes(spec, container, at)
        if container.restart_policy == "Always":
            yield from handlers(container, grace, at)
        else:
            yield from no_handlers(container, at)


def _common(container: Container, declared: Collection[str], seen: set[str], path: str) -> Iterator[Finding]:
    """What holds for containers of every kind; ``seen`` are the names taken so far."""
    if not container.name:
        yield required(f"{path}.name")
    else:
        yield from each(f"{path}.name", container.name, names.label(container.name))
        if container.name in seen:
            yield duplicate(f"{path}.name", container.name)
    seen.add(container.name)
    if not container.image:
        yield required(f"{path}.image")
    elif container.image != container.image.strip():
        yield invalid(f"{path}.image", container.image, "must not have leading or trailing whitespace")
    policies = ("File", "FallbackToLogsOnError")
    yield from one_of(f"{path}.terminationMessagePolicy", container.termination_message_policy, policies)
    if container.image_pull_policy:
        yield from one_of(f"{path}.imagePullPolicy", container.image_pull_policy, ("Always", "IfNotPresent", "Never"))
    yield from restarting(container, path)
    yield from _ports(container.ports, f"{path}.ports")
    yield from _env(container.env, f"{path}.env")
    yield from _env_from(container.env_from, f"{path}.envFrom")
    yield from mounts(container, declared, f"{path}.volumeMounts")
    yield from resources(container.resources, f"{path}.resources")
    if container.security_context is not None:
        yield from _security(container.security_context, f"{path}.securityContext")


def _ports(ports: Iterable[ContainerPort], path: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for place, port in enumerate(ports):
        at = f"{path}[{place}]"
        if port.name:
            yield from each(f"{at}.name", port.name, names.port_name(port.name))
            if port.name in seen:
                yield duplicate(f"{at}.name", port.name)
            seen.add(port.name)
        if port.container_port == 0:
            yield required(f"{at}.containerPort")
        else:
            yield from in_range(f"{at}.containerPort", port.container_port, 1, 65535)
        if port.host_port:
            yield from in_range(f"{at}.hostPort", port.host_port, 1, 65535)
        yield from one_of(f"{at}.protocol", port.protocol, ("SCTP", "TCP", "UDP"))


def _host_ports(all_containers: Iterable[Container], path: str, host_network: bool) -> Iterator[Finding]:
    taken: set[str] = set()
    for place, container in enumerate(all_containers):
        for number, port in enumerate(container.ports):
            at = f"{path}[{place}].ports[{number}].hostPort"
            if host_network and port.host_port not in (0, port.container_port):
                yield invalid(at, port.host_port, "must match `containerPort` when `hostNetwork` is true")
            binding = f"{port.protocol}/{port.host_ip}/{port.host_port}"
            if port.host_port and binding in taken:
                yield duplicate(at, binding)
            taken.add(binding)


def _env(variables: Iterable[EnvVar], path: str) -> Iterator[Finding]:
    for place, variable in enumerate(variables):
        at = f"{path}[{place}]"
        if not variable.name:
            yield required(f"{at}.name")
        else:
            yield from each(f"{at}.name", variable.name, names.env_name(variable.name))
        if variable.value_from is not None:
            yield from _value_from(variable.value_from, variable.value, f"{at}.valueFrom")


def _value_from(source: EnvVarSource, value: str, path: str) -> Iterator[Finding]:
    given = [source.field_ref, source.resource_field_ref, source.config_map_key_ref, source.secret_key_ref]
    count = sum(reference is not None for reference in (*given, source.file_key_ref))
    if count == 0:
        kinds = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        yield invalid(path, "", f"must specify one of: {kinds}")
    elif value:
        yield invalid(path, "", "may not be specified when `value` is not empty")
    elif count > 1:
        yield invalid(path, "", "may not have more than one field specified at a time")
    if source.field_ref is not None:
        yield from _field(source.field_ref.field_path, f"{path}.fieldRef.fieldPath")
    if source.resource_field_ref is not None:
        yield from resource_field(source.resource_field_ref, f"{path}.resourceFieldRef")
    if source.config_map_key_ref is not None:
        yield from _key(source.config_map_key_ref, f"{path}.configMapKeyRef")
    if source.secret_key_ref is not None:
        yield from _key(source.secret_key_ref, f"{path}.secretKeyRef")
    if source.file_key_ref is not None:
        yield from env_file(source.file_key_ref, f"{path}.fileKeyRef")


def _field(field: str, path: str) -> Iterator[Finding]:
    subscripted = _SUBSCRIPT.fullmatch(field)
    if not field:
        yield required(path)
    elif subscripted is None:
        yield from one_of(path, field, _FIELDS)
    else:
        key = subscripted[2] if subscripted[1] == "labels" else subscripted[2].lower()
        yield from each(path, field, names.qualified(key))


def _key(selector: KeySelector, path: str) -> Iterator[Finding]:
    yield from each(f"{path}.name", selector.name, names.subdomain(selector.name))
    if not selector.key:
        yield required(f"{path}.key")
    else:
        yield from each(f"{path}.key", selector.key, names.config_key(selector.key))


def _env_from(sources: Iterable[EnvFromSource], path: str) -> Iterator[Finding]:
    for place, source in enumerate(sources):
        at = f"{path}[{place}]"
        if source.prefix:
            yield from each(f"{at}.prefix", source.prefix, names.env_name(source.prefix))
        references = {"configMapRef": source.config_map_ref, "secretRef": source.secret_ref}
        given = {field: reference for field, reference in references.items() if reference is not None}
        if not given:
            yield invalid(at, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(given) > 1:
            yield invalid(at, "", "may not have more than one field specified at a time")
        for field, reference in given.items():
            if not reference.name:
                yield required(f"{at}.{field}.name")
            else:
                yield from each(f"{at}.{field}.name", reference.name, names.subdomain(reference.name))


def profile(given: Profile | None, path: str) -> Iterator[Finding]:
    """A seccomp or AppArmor profile."""
    if given is None:
        return
    yield from one_of(f"{path}.type", given.type, ("Localhost", "RuntimeDefault", "Unconfined"))
    at = f"{path}.localhostProfile"
    if given.type == "Localhost" and not given.localhost_profile.strip():
        yield required(at, "must be set when type is Localhost")
    elif given.type != "Localhost" and given.localhost_profile:
        yield invalid(at, given.localhost_profile, "may only be set when type is Localhost")
    elif given.localhost_profile.startswith("/") or ".." in given.localhost_profile.split("/"):
        yield invalid(at, given.localhost_profile, "must be a relative path without `..`")


def _security(context: SecurityContext, path: str) -> Iterator[Finding]:
    yield from profile(context.seccomp_profile, f"{path}.seccompProfile")
    yield from profile(context.app_armor_profile, f"{path}.appArmorProfile")
    yield from one_of(f"{path}.procMount", context.proc_mount, ("Default", "Unmasked"))
    for field, value in (("runAsUser", context.run_as_user), ("runAsGroup", context.run_as_group)):
        if value is not None:
            yield from in_range(f"{path}.{field}", value, 0, _ID_MAX)
    if context.allow_privilege_escalation is False:
        added = context.capabilities.add if context.capabilities is not None else ()
        if context.privileged:
            yield Finding(path, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
        if "SYS_ADMIN" in added or "CAP_SYS_ADMIN" in added:
            yield Finding(path, "cannot set `allowPrivilegeEscalation` to false and add the capability SYS_ADMIN")
