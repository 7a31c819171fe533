"""Whether projections of trust and of certificates make sense: validateProjectionSources of core/validation."""

from __future__ import annotations

from collections.abc import Iterator

from vkprovider.model import names
from vkprovider.model.findings import Finding, each, invalid, one_of, required
from vkprovider.model.selectors import selector_findings
from vkprovider.model.validate_path import file_path
from vkprovider.model.volume import KEY_TYPES, CertificateProjection, TrustBundleProjection

_DAY = 24 * 3600
_LEAST_SECONDS, _MOST_SECONDS = 3600, 91 * _DAY
_KUBERNETES = "kubernetes.io"


def trust_bundle(source: TrustBundleProjection, path: str) -> Iterator[Finding]:
    if source.name is not None and source.signer_name is not None:
        yield invalid(path, source.name, "only one of name and signerName may be used")
    elif source.name is not None:
        yield from each(f"{path}.name", source.name, names.bundle(source.name))
        if source.label_selector is not None:
            yield invalid(f"{path}.labelSelector", source.name, "labelSelector must be unset if name is specified")
    elif source.signer_name is not None:
        yield from _signer(source.signer_name, f"{path}.signerName")
        if source.label_selector is not None:
            yield from selector_findings(source.label_selector, f"{path}.labelSelector")
    else:
        yield required(path, "either name or signerName must be specified")
    yield from file_path(source.path, f"{path}.path")


def certificate(source: CertificateProjection, path: str) -> Iterator[Finding]:
    yield from _signer(source.signer_name, f"{path}.signerName")
    yield from one_of(f"{path}.keyType", source.key_type, KEY_TYPES)
    seconds, at = source.max_expiration_seconds, f"{path}.maxExpirationSeconds"
    most = _DAY if _is_of_kubernetes(source.signer_name) else _MOST_SECONDS
    if seconds is not None and seconds < _LEAST_SECONDS:
        yield invalid(at, seconds, f"if provided, maxExpirationSeconds must be >= {_LEAST_SECONDS}")
    if seconds is not None and seconds > most:
        yield invalid(at, seconds, f"if provided, maxExpirationSeconds must be <= {most}")
    for key in source.user_annotations:
        yield from each(f"{path}.userAnnotations", key, names.qualified(key.lower()))
        if "/" not in key:
            yield invalid(f"{path}.userAnnotations", key, 'must be a domain-prefixed key (such as "acme.io/foo")')
    paths = {field: target for field, target in certificate_paths(source).items() if target}
    if not paths:
        yield required(path, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath")
    for field, target in paths.items():
        yield from file_path(target, f"{path}.{field}")


def certificate_paths(source: CertificateProjection) -> dict[str, str]:
    """Where its files are to be, by the fields that say so."""
    return {
        "credentialBundlePath": source.credential_bundle_path,
        "keyPath": source.key_path,
        "certificateChainPath": source.certificate_chain_path,
    }


def _signer(name: str, path: str) -> Iterator[Finding]:
    if not name:
        yield required(path)
    else:
        yield from each(path, name, names.signer_name(name))


def _is_of_kubernetes(signer: str) -> bool:
    domain = signer.partition("/")[0]
    return domain == _KUBERNETES or domain.endswith(f".{_KUBERNETES}")
