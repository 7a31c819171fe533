"""What pods need and the manifests do not hold, ConfigMaps, Secrets and RuntimeClasses, and what only a cluster has.

A cluster would wait for them to appear. In a run nothing can appear, so the pod would wait for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from typing import NamedTuple

from vkprovider.core.runtime_classes import RUNTIME_CLASS
from vkprovider.errors import SpecError
from vkprovider.model.container import Container
from vkprovider.model.findings import Finding, forbidden, invalid, not_found
from vkprovider.model.pod import PodSpec
from vkprovider.model.refs import ObjectRef, split_reference
from vkprovider.model.volume import VolumeProjection
from vkprovider.standalone.trust import Bundles, untrusted

Keys = Mapping[ObjectRef, Set[str]]  # every ConfigMap and Secret there is, with its keys; every RuntimeClass
Refusal = Callable[[ObjectRef, str], Finding | None]  # of an object of another namespace, and the path that names it


class _Need(NamedTuple):
    """A reference of a pod. ``keys`` are those it names, each with the path of the field that does."""

    kind: str
    name: str
    path: str
    optional: bool
    keys: tuple[tuple[str, str], ...] = ()


def missing(
    spec: PodSpec, namespace: str, path: str, known: Keys, bundles: Bundles, refusal: Refusal | None = None
) -> Iterator[Finding]:
    """A finding for each object, or key of one, that is not optional and not there; and for tokens and claims.

    An object of another namespace, ``namespace/name``, is looked for only if there is no ``refusal``, so that a
    finding does not tell whether it exists. Without that function it is not looked for.
    """
    yield from _of_a_cluster(spec, path)
    yield from untrusted(spec, path, bundles)
    if spec.runtime_class_name and ObjectRef(RUNTIME_CLASS, "", spec.runtime_class_name) not in known:
        where = "no RuntimeClass of that name is among the manifests"
        yield not_found(f"{path}.runtimeClassName", spec.runtime_class_name, where)
    for need in _needs(spec, path):
        if "/" in need.name:
            yield from _elsewhere(need, namespace, known, refusal)
        elif need.name and not need.optional:
            yield from _absent(need, ObjectRef(need.kind, namespace, need.name), known)


def _elsewhere(need: _Need, namespace: str, known: Keys, refusal: Refusal | None) -> Iterator[Finding]:
    try:
        ref = ObjectRef(need.kind, *split_reference(need.name, namespace))
    except SpecError as exc:
        yield invalid(need.path, need.name, exc.message)
        return
    refused = refusal(ref, need.path) if refusal is not None else None
    if refused is not None:
        yield refused
    elif refusal is not None and not need.optional:
        yield from _absent(need, ref, known)


def _absent(need: _Need, ref: ObjectRef, known: Keys) -> Iterator[Finding]:
    keys = known.get(ref)
    if keys is None:
        where = f'no {ref.kind} of that name in namespace "{ref.namespace}" is among the manifests'
        yield not_found(need.path, ref.name, where)
    else:
        for key, at in need.keys:
            if key and key not in keys:
                yield not_found(at, key, f'no key of the {need.kind} "{need.name}"')


def _needs(spec: PodSpec, path: str) -> Iterator[_Need]:
    for place, volume in enumerate(spec.volumes):
        at = f"{path}.volumes[{place}]"
        if volume.config_map is not None:
            source = volume.config_map
            keys = tuple((item.key, f"{at}.configMap.items[{n}].key") for n, item in enumerate(source.items))
            yield _Need("ConfigMap", source.name, f"{at}.configMap.name", source.optional, keys)
        if volume.secret is not None:
            secret = volume.secret
            keys = tuple((item.key, f"{at}.secret.items[{n}].key") for n, item in enumerate(secret.items))
            yield _Need("Secret", secret.secret_name, f"{at}.secret.secretName", secret.optional, keys)
        for number, part in enumerate(volume.projected.sources if volume.projected is not None else ()):
            yield from _projected(part, f"{at}.projected.sources[{number}]")
    for group, containers in (("containers", spec.containers), ("initContainers", spec.init_containers)):
        for place, container in enumerate(containers):
            yield from _environment(container, f"{path}.{group}[{place}]")


def _projected(source: VolumeProjection, path: str) -> Iterator[_Need]:
    for field, kind, part in (("configMap", "ConfigMap", source.config_map), ("secret", "Secret", source.secret)):
        if part is not None:
            keys = tuple((item.key, f"{path}.{field}.items[{n}].key") for n, item in enumerate(part.items))
            yield _Need(kind, part.name, f"{path}.{field}.name", part.optional, keys)


def _of_a_cluster(spec: PodSpec, path: str) -> Iterator[Finding]:
    for place, volume in enumerate(spec.volumes):
        if volume.persistent_volume_claim is not None:
            at = f"{path}.volumes[{place}].persistentVolumeClaim"
            yield forbidden(at, "there is no cluster here to claim volumes of: use a hostPath or an emptyDir")
        if volume.ephemeral is not None:
            at = f"{path}.volumes[{place}].ephemeral"
            yield forbidden(at, "there is no cluster here to claim volumes of: use an emptyDir")
        for number, source in enumerate(volume.projected.sources if volume.projected is not None else ()):
            if source.service_account_token is not None:
                at = f"{path}.volumes[{place}].projected.sources[{number}].serviceAccountToken"
                yield forbidden(at, "there is no API server here that could give a token: take this source away")
            if source.pod_certificate is not None:
                at = f"{path}.volumes[{place}].projected.sources[{number}].podCertificate"
                yield forbidden(at, "there is no cluster here whose signer could certify a key: take this source away")


def _environment(container: Container, path: str) -> Iterator[_Need]:
    for place, source in enumerate(container.env_from):
        for field, kind, ref in (
            ("configMapRef", "ConfigMap", source.config_map_ref),
            ("secretRef", "Secret", source.secret_ref),
        ):
            if ref is not None:
                yield _Need(kind, ref.name, f"{path}.envFrom[{place}].{field}.name", ref.optional)
    for place, variable in enumerate(container.env):
        if variable.value_from is None:
            continue
        for field, kind, selector in (
            ("configMapKeyRef", "ConfigMap", variable.value_from.config_map_key_ref),
            ("secretKeyRef", "Secret", variable.value_from.secret_key_ref),
        ):
            if selector is not None:
                at = f"{path}.env[{place}].valueFrom.{field}"
                yield _Need(kind, selector.name, f"{at}.name", selector.optional, ((selector.key, f"{at}.key"),))
