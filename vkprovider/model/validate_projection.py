"""Whether volumes that are made of files make sense: validateKeyToPath, validateDownwardAPIVolumeFile and
validateProjectionSources of core/validation/validation.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from vkprovider.errors import SpecError
from vkprovider.model.container import ResourceFieldSelector
from vkprovider.model.findings import Finding, forbidden, invalid, one_of, required
from vkprovider.model.quantity import parse
from vkprovider.model.validate_certificates import certificate, certificate_paths, trust_bundle
from vkprovider.model.validate_path import file_path
from vkprovider.model.volume import (
    ConfigMapVolume,
    DownwardFile,
    DownwardVolume,
    KeyToPath,
    ObjectProjection,
    ProjectedVolume,
    SecretVolume,
    TokenProjection,
    VolumeProjection,
)

_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_LEAST_SECONDS, _MOST_SECONDS = 600, 2**32
_METADATA = ("metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels", "metadata.annotations")
_KEYED = re.compile(r"metadata\.(labels|annotations)\['.+'\]", re.DOTALL)
_RESOURCES = ("cpu", "memory", "ephemeral-storage")
_FIELDS = tuple(f"{kind}.{name}" for kind in ("limits", "requests") for name in _RESOURCES)
_HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
_CPU_DIVISORS = ("1m", "1")
_DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")


def object_volume(source: ConfigMapVolume | SecretVolume, name: str, path: str, field: str) -> Iterator[Finding]:
    if not name:
        yield required(f"{path}.{field}")
    yield from _mode(source.default_mode, f"{path}.defaultMode")
    yield from _items(source.items, path)


def downward_volume(source: DownwardVolume, path: str) -> Iterator[Finding]:
    yield from _mode(source.default_mode, f"{path}.defaultMode")
    for place, item in enumerate(source.items):
        yield from _downward_file(item, f"{path}.items[{place}]")


def projected_volume(volume: ProjectedVolume, path: str) -> Iterator[Finding]:
    yield from _mode(volume.default_mode, f"{path}.defaultMode")
    seen: set[str] = set()
    for place, source in enumerate(volume.sources):
        at = f"{path}.sources[{place}]"
        yield from _source(source, at)
        for target in _targets(source):
            if target in seen:
                yield invalid(at, target, "conflicting duplicate paths")
            seen.add(target)


def resource_field(selector: ResourceFieldSelector, path: str) -> Iterator[Finding]:
    """Findings on a reference to a request or limit (validateContainerResourceFieldSelector)."""
    if not selector.resource:
        yield required(f"{path}.resource")
    elif not selector.resource.startswith(_HUGE_PAGES):
        yield from one_of(f"{path}.resource", selector.resource, _FIELDS)
    try:
        divisor = parse(selector.divisor)
    except SpecError as exc:
        yield invalid(f"{path}.divisor", selector.divisor, exc.message)
        return
    allowed = _CPU_DIVISORS if selector.resource.endswith(".cpu") else _DIVISORS
    if divisor and divisor not in map(parse, allowed):
        yield invalid(f"{path}.divisor", selector.divisor, f"must be one of {', '.join(allowed)}")


def _source(source: VolumeProjection, path: str) -> Iterator[Finding]:
    kinds = {
        "secret": source.secret,
        "configMap": source.config_map,
        "downwardAPI": source.downward_api,
        "serviceAccountToken": source.service_account_token,
        "clusterTrustBundle": source.cluster_trust_bundle,
        "podCertificate": source.pod_certificate,
    }
    given = [name for name, kind in kinds.items() if kind is not None]
    if not given:
        yield required(path, "must specify a source")
    for name in given[1:]:
        yield forbidden(f"{path}.{name}", "may not specify more than 1 volume type")
    if source.secret is not None:
        yield from _object(source.secret, f"{path}.secret")
    if source.config_map is not None:
        yield from _object(source.config_map, f"{path}.configMap")
    if source.downward_api is not None:
        for place, item in enumerate(source.downward_api.items):
            yield from _downward_file(item, f"{path}.downwardAPI.items[{place}]")
    if source.service_account_token is not None:
        yield from _token(source.service_account_token, f"{path}.serviceAccountToken")
    if source.cluster_trust_bundle is not None:
        yield from trust_bundle(source.cluster_trust_bundle, f"{path}.clusterTrustBundle")
    if source.pod_certificate is not None:
        yield from certificate(source.pod_certificate, f"{path}.podCertificate")


def _targets(source: VolumeProjection) -> Iterator[str]:
    """The paths that a source names itself."""
    for kind in (source.secret, source.config_map, source.downward_api):
        if kind is not None:
            yield from (item.path for item in kind.items if item.path)
    own: list[str] = []
    if source.service_account_token is not None:
        own.append(source.service_account_token.path)
    if source.cluster_trust_bundle is not None:
        own.append(source.cluster_trust_bundle.path)
    if source.pod_certificate is not None:
        own += certificate_paths(source.pod_certificate).values()
    yield from filter(None, own)


def _object(source: ObjectProjection, path: str) -> Iterator[Finding]:
    if not source.name:
        yield required(f"{path}.name")
    yield from _items(source.items, path)


def _items(items: Iterable[KeyToPath], path: str) -> Iterator[Finding]:
    for place, item in enumerate(items):
        yield from _item(item, f"{path}.items[{place}]")


def _item(item: KeyToPath, path: str) -> Iterator[Finding]:
    if not item.key:
        yield required(f"{path}.key")
    yield from _target(item, path)


def _downward_file(item: DownwardFile, path: str) -> Iterator[Finding]:
    yield from _target(item, path)
    if item.field_ref is not None:
        if item.resource_field_ref is not None:
            yield invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
        if not _KEYED.fullmatch(item.field_ref.field_path):
            yield from one_of(f"{path}.fieldRef.fieldPath", item.field_ref.field_path, _METADATA)
    elif item.resource_field_ref is not None:
        at = f"{path}.resourceFieldRef"
        if not item.resource_field_ref.container_name:
            yield required(f"{at}.containerName")
        yield from resource_field(item.resource_field_ref, at)
    else:
        yield required(path, "one of fieldRef and resourceFieldRef is required")


def _token(source: TokenProjection, path: str) -> Iterator[Finding]:
    at = f"{path}.expirationSeconds"
    if source.expiration_seconds < _LEAST_SECONDS:
        yield invalid(at, source.expiration_seconds, "may not specify a duration less than 10 minutes")
    if source.expiration_seconds > _MOST_SECONDS:
        yield invalid(at, source.expiration_seconds, "may not specify a duration larger than 2^32 seconds")
    yield from file_path(source.path, f"{path}.path")


def _target(item: KeyToPath | DownwardFile, path: str) -> Iterator[Finding]:
    yield from file_path(item.path, f"{path}.path")
    if item.mode is not None:
        yield from _mode(item.mode, f"{path}.mode")


def _mode(mode: int, path: str) -> Iterator[Finding]:
    if not 0 <= mode <= 0o777:
        yield invalid(path, mode, _MODE)
