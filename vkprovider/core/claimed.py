"""PersistentVolumeClaims: what directory of the host one stands for. Only volumes that need no driver can be had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from vkprovider.core.objects import Objects, content_of
from vkprovider.core.placement import selects_node
from vkprovider.errors import SpecError
from vkprovider.model.pod import Pod, read_as
from vkprovider.model.refs import ObjectRef
from vkprovider.model.volume import PersistentVolumeSpec, Volume

CLAIM, VOLUME = "PersistentVolumeClaim", "PersistentVolume"

# Fields of a v1.PersistentVolumeSpec that are no source.
_COMMON = {
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
}


class BoundPath(NamedTuple):
    """``type`` is as for hostPath volumes; a local volume is ``given_to_group``, a hostPath never."""

    path: str
    type: str
    given_to_group: bool


def claims(pod: Pod) -> Iterator[ObjectRef]:
    return (ref for volume in pod.spec.volumes if (ref := claim_ref(pod, volume)) is not None)


def claim_ref(pod: Pod, volume: Volume) -> ObjectRef | None:
    """The claim that a volume stands for, None if for none; that of an ephemeral one is named after it."""
    if volume.persistent_volume_claim is not None:
        return ObjectRef(CLAIM, pod.metadata.namespace, volume.persistent_volume_claim.claim_name)
    if volume.ephemeral is not None:
        return ObjectRef(CLAIM, pod.metadata.namespace, f"{pod.metadata.name}-{volume.name}")
    return None


def bound_volumes(objects: Objects) -> frozenset[ObjectRef]:
    """The volumes that the claims among these objects are bound to."""
    raws = (raw for ref, raw in objects.items() if ref.kind == CLAIM and isinstance(raw, Mapping))
    return frozenset(ObjectRef(VOLUME, "", name) for raw in raws if (name := _volume_name(raw)))


def bound_path(
    ref: ObjectRef, objects: Objects, owner: Pod | None = None, labels: Mapping[str, str] | None = None
) -> BoundPath:
    """The directory behind a claim. ``objects`` holds the claim and, if it is bound, its volume.

    ``owner`` is the pod that the claim must have been made for, if it must; ``labels`` are the node's, if it has any.
    Raises VkError (pkg/kubelet/volumemanager/populator getPVCExtractPV, component-helpers/storage/ephemeral
    VolumeIsForPod, component-helpers/storage/volume CheckNodeAffinity).
    """
    claim = content_of(ref, objects, optional=False)
    if owner is not None and not _is_made_for(claim, owner):
        whose = f"{owner.metadata.namespace}/{owner.metadata.name}"
        raise SpecError(f"PVC {ref.namespace}/{ref.name} was not created for pod {whose} (pod is not owner)")
    name = _volume_name(claim)
    if not name:
        raise SpecError(f'the claim "{ref.name}" is not bound to a volume yet')
    volume = content_of(ObjectRef(VOLUME, "", name), objects, optional=False)
    spec = volume.get("spec") or {}
    if (spec.get("claimRef") or {}).get("uid") != claim["metadata"].get("uid"):
        raise SpecError(f'the volume "{name}" is bound to another claim than "{ref.name}"')
    elsewhere = (spec.get("nodeAffinity") or {}).get("required")
    if labels is not None and not selects_node(elsewhere, "", labels):
        raise SpecError(f'NodeAffinity check failed for volume "{name}": no matching NodeSelectorTerms')
    return _path(name, spec)


def _is_made_for(claim: Mapping[str, Any], pod: Pod) -> bool:
    owners = claim["metadata"].get("ownerReferences") or ()
    return any(owner.get("controller") and owner["uid"] == pod.metadata.uid for owner in owners)


def _path(name: str, raw: Mapping[str, Any]) -> BoundPath:
    spec = read_as(PersistentVolumeSpec, dict(raw))
    if spec.volume_mode != "Filesystem":
        raise SpecError(f'the volume "{name}" is a {spec.volume_mode} volume: only file systems can be mounted')
    if spec.host_path is not None:
        return BoundPath(spec.host_path.path, spec.host_path.type, given_to_group=False)
    if spec.local is not None:
        return BoundPath(spec.local.path, "Directory", given_to_group=True)
    kinds = ", ".join(sorted(raw.keys() - _COMMON)) or "unknown"
    raise SpecError(f'the volume "{name}" is of a kind ({kinds}) that needs a driver: hostPath and local need none')


def _volume_name(claim: Mapping[str, Any]) -> str:
    """Nothing while a claim is not bound."""
    bound = (claim.get("status") or {}).get("phase") == "Bound"
    name: str = (claim.get("spec") or {}).get("volumeName") or ""
    return name if bound else ""
