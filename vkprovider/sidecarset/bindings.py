"""ConfigMaps and Secrets of another namespace, by ``namespace/name`` in a sidecar's volume: who may have which.

A pod's labels and annotations are its author's to choose, and so are its volumes' names. What counts is what a
SidecarSet that matches the pod says itself, what the object's own namespace has bound to that set, and that nobody
else in the pod mounts it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vkprovider.model import names
from vkprovider.model.base import Model, without_nulls
from vkprovider.model.findings import Finding, each, one_of, required
from vkprovider.model.manifest import Manifest
from vkprovider.model.pod import ObjectMeta, read_as
from vkprovider.model.refs import ObjectRef
from vkprovider.model.validation import metadata_findings
from vkprovider.sidecarset.matching import covers
from vkprovider.sidecarset.model import SidecarSet
from vkprovider.sidecarset.twins import is_doubled, twin_names

GROUP, KRUISE = "sidecarset.alibabacloud.com", "apps.kruise.io"
SUBJECT_KIND = "SidecarSet"
RESOURCE_KINDS = ("ConfigMap", "Secret")

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


class Subject(Model, frozen=True, kw_only=True):
    kind: str
    name: str
    api_group: str = ""


class ResourceRef(Model, frozen=True, kw_only=True):
    kind: str
    name: str
    api_group: str = ""


class BindingSpec(Model, frozen=True, kw_only=True):
    subjects: tuple[Subject, ...] = ()
    resource_refs: tuple[ResourceRef, ...] = ()


class ResourceBindingManifest(Manifest, frozen=True, kw_only=True):
    """The object whole, as it is written."""

    spec: BindingSpec


class ResourceBinding(Model, frozen=True, kw_only=True):
    """A SidecarSetResourceBinding: its ``subjects`` may read these objects of its own namespace."""

    spec: BindingSpec = BindingSpec()
    metadata: ObjectMeta = ObjectMeta()

    def grants(self, sidecars: str, reference: ObjectRef) -> bool:
        """Whether it lets the SidecarSet of that name read the object."""
        return (
            self.metadata.namespace == reference.namespace
            and any(_is_set(subject) and subject.name == sidecars for subject in self.spec.subjects)
            and any(
                ref.api_group == "" and (ref.kind, ref.name) == (reference.kind, reference.name)
                for ref in self.spec.resource_refs
            )
        )


def resource_binding(raw: Mapping[str, Any]) -> ResourceBinding:
    """Read a SidecarSetResourceBinding from its JSON form. Raises SpecError with the field's path."""
    return read_as(ResourceBinding, without_nulls(dict(raw)))


def binding_findings(binding: ResourceBinding) -> Iterator[Finding]:
    """What is wrong with a binding: the rules of its CRD."""
    yield from metadata_findings(binding.metadata)
    groups: tuple[tuple[str, tuple[Subject | ResourceRef, ...], tuple[str, ...], tuple[str, ...]], ...] = (
        ("subjects", binding.spec.subjects, (SUBJECT_KIND,), ("", KRUISE)),
        ("resourceRefs", binding.spec.resource_refs, RESOURCE_KINDS, ("",)),
    )
    for field, items, kinds, api_groups in groups:
        if not items:
            yield required(f"spec.{field}", "at least one")
        for place, item in enumerate(items):
            at = f"spec.{field}[{place}]"
            yield from one_of(f"{at}.kind", item.kind, kinds)
            yield from one_of(f"{at}.apiGroup", item.api_group, api_groups)
            yield from each(f"{at}.name", item.name, names.subdomain(item.name))


def allowed(
    pod: Mapping[str, Any],
    reference: ObjectRef,
    sets: Sequence[SidecarSet],
    bindings: Sequence[ResourceBinding],
    namespace_labels: Mapping[str, str],
) -> bool:
    """Whether the pod may have an object, which it needs no leave for in its own namespace.

    Elsewhere (a) a set must match the pod now, (b) have a volume of that very kind and ``namespace/name``, (c) be
    bound to it by the object's namespace; and (d) only containers of such sets may mount it in the pod.
    """
    namespace = (pod.get("metadata") or {}).get("namespace") or "default"
    if reference.namespace == namespace:
        return True
    entitled = [
        each
        for each in referring(pod, reference, sets, namespace_labels)
        if any(binding.grants(each.name, reference) for binding in bindings)
    ]
    readers = {name for each in entitled for name in container_names(each)}
    return bool(entitled) and _mounting(pod, reference) <= readers


def referring(
    pod: Mapping[str, Any], reference: ObjectRef, sets: Sequence[SidecarSet], namespace_labels: Mapping[str, str]
) -> tuple[SidecarSet, ...]:
    """The sets that match the pod now and have a volume of that very kind and ``namespace/name``."""
    namespace = (pod.get("metadata") or {}).get("namespace") or "default"
    return tuple(
        each
        for each in sets
        if covers(each, pod, namespace, namespace_labels) and _refers(each.raw["spec"].get("volumes") or (), reference)
    )


def refusal(
    pod: Mapping[str, Any], reference: ObjectRef, sets: Sequence[SidecarSet], namespace_labels: Mapping[str, str]
) -> str:
    """What a pod is told that is not ``allowed`` an object, and what to do; the same whether there is one or not."""
    kind, namespace, name = reference
    matching = " or ".join(sorted(each.name for each in referring(pod, reference, sets, namespace_labels)))
    subject = f"the SidecarSet {matching}" if matching else "a SidecarSet that matches the pod and has this volume"
    return (
        f'{kind.lower()} "{namespace}/{name}" is of another namespace, and not granted to this pod: create a '
        f"SidecarSetResourceBinding in namespace {namespace} whose subjects name {subject} and whose resourceRefs name "
        f"the {kind} {name}; no container but that set's may mount it"
    )


def container_names(sidecars: SidecarSet) -> frozenset[str]:
    """The containers that a pod has of a set: both twins of those that are upgraded hot."""
    groups = ((True, sidecars.spec.init_containers), (False, sidecars.spec.containers))
    return frozenset(
        name
        for init, group in groups
        for container in group
        for name in (twin_names(container.name) if is_doubled(container, init=init) else (container.name,))
    )


def references(volumes: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Every ConfigMap and Secret that volumes are made from: the volume's name, the kind, the name as it is written."""
    for volume in volumes:
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            for kind, field, key in (("ConfigMap", "configMap", "name"), ("Secret", "secret", "secretName")):
                part = source.get(field)
                if part:
                    yield volume["name"], kind, part.get(key if source is volume else "name") or ""


def _refers(volumes: Sequence[Mapping[str, Any]], reference: ObjectRef) -> bool:
    wanted = (reference.kind, f"{reference.namespace}/{reference.name}")
    return any((kind, name) == wanted for _, kind, name in references(volumes))


def _mounting(pod: Mapping[str, Any], reference: ObjectRef) -> set[str]:
    """The containers of the pod that mount a volume with the object."""
    spec = pod.get("spec") or {}
    wanted = (reference.kind, f"{reference.namespace}/{reference.name}")
    volumes = {volume for volume, kind, name in references(spec.get("volumes") or ()) if (kind, name) == wanted}
    return {
        container["name"]
        for group in _CONTAINERS
        for container in spec.get(group) or ()
        if any(mount.get("name") in volumes for mount in container.get("volumeMounts") or ())
    }


def _is_set(subject: Subject) -> bool:
    return subject.kind == SUBJECT_KIND and subject.api_group in ("", KRUISE)
