"""Whether a Pod, ConfigMap or Secret makes sense, as the API server would judge it on creation.

Everything that is wrong is found, not only the first. Source: pkg/apis/core/validation/validation.go and
apimachinery/pkg/api/validation/objectmeta.go. Types and unknown fields are the business of ``model.fields``.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping

from vkprovider.model import names
from vkprovider.model.container import Container
from vkprovider.model.findings import (
    Finding,
    duplicate,
    each,
    forbidden,
    in_range,
    invalid,
    one_of,
    required,
    show,
    too_long,
)
from vkprovider.model.manifest import ConfigMapManifest, RuntimeClassManifest, SecretManifest
from vkprovider.model.pod import HostAlias, ObjectMeta, Pod, PodDNSConfig, PodSecurityContext, PodSpec
from vkprovider.model.validate_container import containers, profile
from vkprovider.model.validate_resources import amount, pod_resources
from vkprovider.model.validate_volume import volumes

_INT32 = 2**31 - 1
_ANNOTATIONS_MAX = 256 * 1024  # bytes, of all keys and values
_DATA_MAX = 1024 * 1024
_NAMESERVERS_MAX = 3
_SEARCHES_MAX = 32
_SEARCH_CHARACTERS_MAX = 2048
_SYSCTL_PART = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = rf"({_SYSCTL_PART}[\./])*{_SYSCTL_PART}"


def pod_findings(pod: Pod) -> Iterator[Finding]:
    """What is wrong with a pod that is to be created, its defaults filled in."""
    yield from metadata_findings(pod.metadata)
    yield from spec_findings(pod.spec, "spec")


def metadata_findings(meta: ObjectMeta) -> Iterator[Finding]:
    if meta.generate_name:
        yield from each("metadata.generateName", meta.generate_name, names.generated(meta.generate_name))
    if meta.name:
        yield from each("metadata.name", meta.name, names.subdomain(meta.name))
    elif not meta.generate_name:
        yield required("metadata.name", "name or generateName is required")
    yield from each("metadata.namespace", meta.namespace, names.label(meta.namespace))
    yield from marks_findings(meta, "metadata")


def marks_findings(meta: ObjectMeta, path: str) -> Iterator[Finding]:
    """Findings on labels and annotations."""
    for key, value in meta.labels.items():
        yield from each(f"{path}.labels", key, names.qualified(key))
        yield from each(f"{path}.labels[{key}]", value, names.label_value(value))
    for key in meta.annotations:
        yield from each(f"{path}.annotations", key, names.qualified(key.lower()))
    if _size(meta.annotations) > _ANNOTATIONS_MAX:
        yield too_long(f"{path}.annotations", _ANNOTATIONS_MAX)


def spec_findings(spec: PodSpec, path: str) -> Iterator[Finding]:
    """What is wrong with a pod spec, in a Pod or in a template."""
    yield from volumes(spec.volumes, f"{path}.volumes")
    yield from containers(spec, path)
    if spec.ephemeral_containers:
        yield forbidden(f"{path}.ephemeralContainers", "cannot be set on create")
    yield from one_of(f"{path}.restartPolicy", spec.restart_policy, ("Always", "OnFailure", "Never"))
    if spec.active_deadline_seconds is not None:
        yield from in_range(f"{path}.activeDeadlineSeconds", spec.active_deadline_seconds, 1, _INT32)
    for field, name in (("hostname", spec.hostname), ("subdomain", spec.subdomain)):
        if name:
            yield from each(f"{path}.{field}", name, names.label(name))
    whole = {
        "serviceAccountName": spec.service_account_name,
        "nodeName": spec.node_name,
        "hostnameOverride": spec.hostname_override,
        "runtimeClassName": spec.runtime_class_name,
    }
    for field, name in whole.items():
        if name:
            yield from each(f"{path}.{field}", name, names.subdomain(name))
    if spec.share_process_namespace and spec.host_pid:
        yield invalid(f"{path}.shareProcessNamespace", True, "ShareProcessNamespace and HostPID cannot both be enabled")
    yield from pod_resources(spec, path)
    for name, quantity in spec.overhead.items():
        yield from amount(quantity, f"{path}.overhead[{name}]")
    yield from _security(spec.security_context, f"{path}.securityContext")
    yield from _dns(spec, path)
    yield from _host_aliases(spec.host_aliases, f"{path}.hostAliases")
    for place, gate in enumerate(spec.readiness_gates):
        at = f"{path}.readinessGates[{place}].conditionType"
        yield from each(at, gate.condition_type, names.qualified(gate.condition_type))


def spec_warnings(spec: PodSpec, path: str) -> Iterator[Finding]:
    """What is accepted with a warning: by the API server (pkg/api/pod/warnings.go), or by this node."""
    for kind, group in (("containers", spec.containers), ("initContainers", spec.init_containers)):
        for place, container in enumerate(group):
            yield from _container_warnings(container, f"{path}.{kind}[{place}]")


def _container_warnings(container: Container, path: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for place, variable in enumerate(container.env):
        if variable.name in seen:
            yield Finding(f"{path}.env[{place}]", f"hides previous definition of {show(variable.name)}")
        seen.add(variable.name)
    seen = set()
    for place, port in enumerate(container.ports):
        binding = f"{port.container_port}/{port.protocol}"
        if binding in seen:
            yield Finding(f"{path}.ports[{place}]", f"duplicate port definition: {binding}")
        seen.add(binding)


def config_map_findings(config: ConfigMapManifest) -> Iterator[Finding]:
    yield from metadata_findings(config.metadata)
    yield from _keys(config.data, "data")
    yield from _keys(config.binary_data, "binaryData")
    yield from _base64(config.binary_data, "binaryData")
    for key in config.binary_data.keys() & config.data.keys():
        yield invalid(f"binaryData[{key}]", key, "duplicate of key present in data")
    yield from _data_size(_size(config.data) + _size(config.binary_data) * 3 // 4)


def secret_findings(secret: SecretManifest) -> Iterator[Finding]:
    yield from metadata_findings(secret.metadata)
    yield from _keys(secret.data, "data")
    yield from _keys(secret.string_data, "stringData")
    yield from _base64(secret.data, "data", ": plain text goes under stringData")
    yield from _data_size(_size(secret.string_data) + _size(secret.data) * 3 // 4)


def runtime_class_findings(runtime_class: RuntimeClassManifest) -> Iterator[Finding]:
    """pkg/apis/node/validation ValidateRuntimeClass."""
    yield from metadata_findings(runtime_class.metadata)
    yield from each("handler", runtime_class.handler, names.label(runtime_class.handler))


def _keys(data: Mapping[str, str], path: str) -> Iterator[Finding]:
    for key in data:
        yield from each(f"{path}[{key}]", key, names.config_key(key))


def _base64(data: Mapping[str, str], path: str, advice: str = "") -> Iterator[Finding]:
    for key, value in data.items():
        try:
            base64.b64decode("".join(value.split()), validate=True)
        except (binascii.Error, ValueError):
            yield Finding(f"{path}[{key}]", f"Invalid value: must be base64{advice}")  # may be secret: not shown


def _data_size(size: int) -> Iterator[Finding]:
    if size > _DATA_MAX:
        yield too_long("data", _DATA_MAX)


def _size(texts: Mapping[str, str]) -> int:
    return sum(len(key.encode()) + len(value.encode()) for key, value in texts.items())


def _security(context: PodSecurityContext, path: str) -> Iterator[Finding]:
    yield from profile(context.seccomp_profile, f"{path}.seccompProfile")
    yield from profile(context.app_armor_profile, f"{path}.appArmorProfile")
    ids = {"fsGroup": context.fs_group, "runAsUser": context.run_as_user, "runAsGroup": context.run_as_group}
    ids |= {f"supplementalGroups[{place}]": group for place, group in enumerate(context.supplemental_groups)}
    for field, value in ids.items():
        if value is not None:
            yield from in_range(f"{path}.{field}", value, 0, _INT32)
    yield from one_of(f"{path}.fsGroupChangePolicy", context.fs_group_change_policy, ("Always", "OnRootMismatch"))
    seen: set[str] = set()
    for place, sysctl in enumerate(context.sysctls):
        at = f"{path}.sysctls[{place}].name"
        if not sysctl.name:
            yield required(at)
        elif len(sysctl.name) > names.SUBDOMAIN_MAX or not re.fullmatch(_SYSCTL, sysctl.name):
            yield invalid(at, sysctl.name, f"must have at most {names.SUBDOMAIN_MAX} characters and match {_SYSCTL}")
        elif sysctl.name in seen:
            yield duplicate(at, sysctl.name)
        seen.add(sysctl.name)


def _dns(spec: PodSpec, path: str) -> Iterator[Finding]:
    policies = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
    yield from one_of(f"{path}.dnsPolicy", spec.dns_policy, policies)
    at = f"{path}.dnsConfig"
    config = spec.dns_config
    if spec.dns_policy == "None" and config is None:
        yield required(at, "must provide `dnsConfig` when `dnsPolicy` is None")
    elif spec.dns_policy == "None" and config is not None and not config.nameservers:
        rule = "must provide at least one DNS nameserver when `dnsPolicy` is None"
        yield required(f"{at}.nameservers", rule)
    if config is not None:
        yield from _dns_config(config, at)


def _dns_config(config: PodDNSConfig, path: str) -> Iterator[Finding]:
    if len(config.nameservers) > _NAMESERVERS_MAX:
        rule = f"must not have more than {_NAMESERVERS_MAX} nameservers"
        yield invalid(f"{path}.nameservers", config.nameservers, rule)
    for place, address in enumerate(config.nameservers):
        yield from _ip(address, f"{path}.nameservers[{place}]")
    if len(config.searches) > _SEARCHES_MAX:
        yield invalid(f"{path}.searches", config.searches, f"must not have more than {_SEARCHES_MAX} search paths")
    if len(" ".join(config.searches)) > _SEARCH_CHARACTERS_MAX:
        rule = f"must not have more than {_SEARCH_CHARACTERS_MAX} characters (including spaces) in the search list"
        yield invalid(f"{path}.searches", config.searches, rule)
    for place, domain in enumerate(config.searches):
        yield from each(f"{path}.searches[{place}]", domain, names.search_domain(domain))
    for place, option in enumerate(config.options):
        if not option.name:
            yield required(f"{path}.options[{place}]", "must not be empty")


def _host_aliases(aliases: Iterable[HostAlias], path: str) -> Iterator[Finding]:
    for place, alias in enumerate(aliases):
        yield from _ip(alias.ip, f"{path}[{place}].ip")
        for number, name in enumerate(alias.hostnames):
            yield from each(f"{path}[{place}].hostnames[{number}]", name, names.subdomain(name))


def _ip(address: str, path: str) -> Iterator[Finding]:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        yield invalid(path, address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
