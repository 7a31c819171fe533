"""Every field of Kubernetes 1.34's Pod and Job that the model does not read, and what is to be made of it.

The structs of ``vkprovider.model`` are the fields that are honoured; this table has all others, per struct. What
stands in neither is known to nobody: a misspelling. Source: core/v1, batch/v1 and meta/v1 types.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from vkprovider.model.base import Model
from vkprovider.model.container import Container, ResourceRequirements, SecurityContext
from vkprovider.model.deployment import DeploymentSpec
from vkprovider.model.job import JobSpec
from vkprovider.model.manifest import RuntimeClassManifest
from vkprovider.model.pod import ObjectMeta, OwnerReference, PodSecurityContext, PodSpec
from vkprovider.model.volume import CsiVolume, Volume

Shape = Mapping[str, Any]  # names of fields, each with the shape below it; an empty one is not looked into


class Level(StrEnum):
    """What a field that is not honoured means for a pod.

    PLACEMENT: it concerns schedulers, controllers and the API server; a node has nothing to honour.
    WARN: the pod runs without it, and its owner should know. REFUSE: to run without it would be wrong.
    """

    PLACEMENT = "placement"
    WARN = "warn"
    REFUSE = "refuse"


class Other(msgspec.Struct, frozen=True):
    """One such field. ``note`` says what happens in its stead. ``harmless`` values ask for what is done anyway."""

    level: Level
    note: str = ""
    harmless: tuple[Any, ...] = ()
    shape: Shape = {}


REFUSAL = "known to Kubernetes, but vkprovider does not honour it"


def _leaves(names: str) -> dict[str, Shape]:
    return {name: {} for name in names.split()}


def _placement(names: str = "", **shapes: Shape) -> dict[str, Other]:
    plain = {name: Other(Level.PLACEMENT) for name in names.split()}
    return plain | {name: Other(Level.PLACEMENT, shape=shape) for name, shape in shapes.items()}


def _refuse(names: str) -> dict[str, Other]:
    return {name: Other(Level.REFUSE) for name in names.split()}


def _warn(note: str, *harmless: Any, fields: str = "") -> Other:
    return Other(Level.WARN, note, harmless, _leaves(fields))


def _unless(*harmless: Any) -> Other:
    return Other(Level.REFUSE, harmless=harmless)


_SELECTOR = {"matchLabels": {}, "matchExpressions": _leaves("key operator values")}
_NODE_TERM = {name: _leaves("key operator values") for name in ("matchExpressions", "matchFields")}
_POD_TERM = _leaves("namespaces topologyKey matchLabelKeys mismatchLabelKeys") | {
    "labelSelector": _SELECTOR,
    "namespaceSelector": _SELECTOR,
}
_POD_AFFINITY = {
    "requiredDuringSchedulingIgnoredDuringExecution": _POD_TERM,
    "preferredDuringSchedulingIgnoredDuringExecution": {"weight": {}, "podAffinityTerm": _POD_TERM},
}
_AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": _NODE_TERM},
        "preferredDuringSchedulingIgnoredDuringExecution": {"weight": {}, "preference": _NODE_TERM},
    },
    "podAffinity": _POD_AFFINITY,
    "podAntiAffinity": _POD_AFFINITY,
}
_SPREAD = _leaves(
    "maxSkew topologyKey whenUnsatisfiable minDomains nodeAffinityPolicy nodeTaintsPolicy matchLabelKeys"
) | {"labelSelector": _SELECTOR}

OTHERS: Mapping[type[Model], Mapping[str, Other]] = {
    ObjectMeta: _placement("selfLink resourceVersion finalizers managedFields"),
    OwnerReference: _placement("apiVersion blockOwnerDeletion"),
    PodSpec: _placement(
        "nodeSelector schedulerName priority preemptionPolicy automountServiceAccountToken serviceAccount",
        affinity=_AFFINITY,
        tolerations=_leaves("key operator value effect tolerationSeconds"),
        topologySpreadConstraints=_SPREAD,
    )
    | _refuse("resourceClaims")
    | {
        "schedulingGates": _warn("nobody holds the pod back", fields="name"),
        "hostUsers": _unless(True),
        "os": _unless({"name": "linux"}),
    },
    PodSecurityContext: _placement("seLinuxChangePolicy")
    | {
        "supplementalGroupsPolicy": _unless("Merge"),
        "windowsOptions": _unless({}),
    },
    Container: _refuse("volumeDevices"),
    SecurityContext: {"windowsOptions": _unless({})},
    ResourceRequirements: _refuse("claims"),
    RuntimeClassManifest: _placement("overhead scheduling"),
    Volume: _refuse(
        "nfs iscsi fc rbd cephfs cinder glusterfs "
        "gitRepo flexVolume flocker gcePersistentDisk awsElasticBlockStore azureDisk azureFile vsphereVolume "
        "photonPersistentDisk portworxVolume quobyte scaleIO storageos"
    ),
    CsiVolume: _refuse("fsType nodePublishSecretRef") | {"volumeAttributes": _unless({})},
    DeploymentSpec: _placement(
        "minReadySeconds revisionHistoryLimit progressDeadlineSeconds",
        strategy={"type": {}, "rollingUpdate": _leaves("maxUnavailable maxSurge")},
    )
    | {"paused": _unless(False)},
    JobSpec: {"managedBy": _unless("kubernetes.io/job-controller")},
}
