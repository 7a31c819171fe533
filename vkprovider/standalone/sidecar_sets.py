"""SidecarSets among the manifests: what becomes of the pods of a run, as a webhook would have it in a cluster.

All pods of a run are on a virtual node, so all bear its label. Which objects of other namespaces they may have is
known before the run begins, since neither the bindings nor the objects change while it lasts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from vkprovider.model import defaults
from vkprovider.model.findings import Finding, forbidden
from vkprovider.model.pod import PodSpec
from vkprovider.model.refs import ObjectRef
from vkprovider.sidecarset.bindings import ResourceBinding, allowed, resource_binding
from vkprovider.sidecarset.conflicts import with_others
from vkprovider.sidecarset.destination import VIRTUAL_NODE
from vkprovider.sidecarset.injection import inject
from vkprovider.sidecarset.matching import covers, matching
from vkprovider.sidecarset.model import SidecarSet, sidecar_set
from vkprovider.sidecarset.revisions import CUSTOM_VERSION, PATH, only_revision, unknown_revision

Raw = dict[str, Any]

SIDECAR_KINDS = ("SidecarSet", "SidecarSetResourceBinding")

_NAMESPACE_NAME = "kubernetes.io/metadata.name"  # the label that every namespace has


class SidecarSets:
    """The SidecarSets and bindings among raw objects that are complete and right."""

    def __init__(self, objects: Iterable[Raw]) -> None:
        sets: list[SidecarSet] = []
        bindings: list[ResourceBinding] = []
        for raw in objects:
            if raw["kind"] == "SidecarSet":
                sets.append(sidecar_set(raw))
            elif raw["kind"] == "SidecarSetResourceBinding":
                bindings.append(resource_binding(raw))
        self._sets = tuple(sets)
        self._bindings = tuple(bindings)

    def matching(self, pod: Raw) -> tuple[SidecarSet, ...]:
        """Those that inject a pod, whose label is there."""
        return matching(pod, _namespace(pod), _namespace_labels(pod), self._sets)

    def admitted(self, pod: Raw, now: datetime) -> Raw:
        """The pod as it is to run, complete: with the label of virtual nodes and its sidecars.

        Raises SpecError where annotations of the pod cannot be read or merged.
        """
        labelled = with_label(pod)
        sets = self.matching(labelled)
        if not sets:
            return labelled
        kept = {key: labelled["metadata"][key] for key in ("uid", "creationTimestamp") if key in labelled["metadata"]}
        made = defaults.pod(inject(labelled, sets, now))
        return {**made, "metadata": {**made["metadata"], **kept}}

    def refusal(self, pod: Raw, ref: ObjectRef, path: str) -> Finding | None:
        """Why a pod, injected, may not have an object; it is the same whether there is such an object or not."""
        if allowed(pod, ref, self._sets, self._bindings, _namespace_labels(pod)):
            return None
        names = sorted(each.name for each in self._sets if covers(each, pod, _namespace(pod), _namespace_labels(pod)))
        subject = f"the SidecarSet {' or '.join(names)}" if names else "a SidecarSet that matches the pod"
        return forbidden(
            path,
            f"{ref.namespace}/{ref.name} is of another namespace: it takes, among the manifests, "
            f'a SidecarSetResourceBinding in namespace "{ref.namespace}" of {subject} and the {ref.kind} {ref.name}; '
            "the volume must be of that set, and only sidecars of it may mount it",
        )

    def conflicts(self, name: str) -> Iterator[Finding]:
        """What a set may not have beside the others, and in a run at all."""
        for each in self._sets:
            if each.name == name:
                yield from with_others(each, self._sets)
                if any(unknown_revision(each, [only_revision(each)])):
                    rule = (
                        "a run has only the set as it is written: leave it out, or give customVersion the value of the"
                    )
                    yield forbidden(PATH, f"{rule} set's label {CUSTOM_VERSION}")


def with_label(pod: Raw) -> Raw:
    metadata = pod["metadata"]
    return {**pod, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), VIRTUAL_NODE: "true"}}}


def sidecar_spec(each: SidecarSet) -> PodSpec:
    """A set as a pod spec of its own, with the volumes that its sidecars mount."""
    spec = each.spec
    containers = (*spec.init_containers, *spec.containers)
    mounted = {mount.name for container in containers for mount in container.volume_mounts}
    volumes = tuple(volume for volume in spec.volumes if volume.name in mounted)
    return PodSpec(containers=spec.containers, init_containers=spec.init_containers, volumes=volumes)


def _namespace(pod: Mapping[str, Any]) -> str:
    return pod["metadata"].get("namespace") or "default"


def _namespace_labels(pod: Mapping[str, Any]) -> dict[str, str]:
    """Of the namespace of a run, which nobody has made: only what every namespace has."""
    return {_NAMESPACE_NAME: _namespace(pod)}
