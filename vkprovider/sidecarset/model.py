"""The SidecarSet of apps.kruise.io/v1alpha1, as OpenKruise 1.3 defines it, with ``namespaceSelector`` of 1.4.

apis/apps/v1alpha1/sidecarset_types.go, apis/apps/defaults/v1alpha1.go. ``sidecar_set`` is the one way in; a v1beta1
object is read as well: what it has besides is not for pods.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from vkprovider.errors import SpecError
from vkprovider.model.base import Model, without_nulls
from vkprovider.model.container import Container, ObjectFieldSelector
from vkprovider.model.manifest import Manifest
from vkprovider.model.pod import ObjectMeta, SecretReference, read_as
from vkprovider.model.selectors import LabelSelector
from vkprovider.model.volume import Volume

BEFORE, AFTER = "BeforeAppContainer", "AfterAppContainer"
ENABLED, DISABLED = "enabled", "disabled"
COLD, HOT = "ColdUpgrade", "HotUpgrade"
RETAIN, OVERWRITE, MERGE = "Retain", "Overwrite", "MergePatchJson"
ROLLING, NOT_UPDATE = "RollingUpdate", "NotUpdate"

Raw = dict[str, Any]


class ShareVolumePolicy(Model, frozen=True, kw_only=True):
    """With ``enabled`` the sidecar has the volume mounts of the pod's own containers too."""

    type: str = DISABLED


class UpgradeStrategy(Model, frozen=True, kw_only=True):
    """A HotUpgrade sidecar runs twice: one of the two has ``hot_upgrade_empty_image`` and waits for the next image."""

    upgrade_type: str = COLD
    hot_upgrade_empty_image: str = ""


class SourceContainerName(Model, frozen=True, kw_only=True):
    """A label or annotation of the pod that names the container."""

    field_ref: ObjectFieldSelector | None = None


class TransferEnvVar(Model, frozen=True, kw_only=True):
    """Variables of one of the pod's containers that the sidecar is to have too."""

    source_container_name: str = ""
    source_container_name_from: SourceContainerName | None = None
    env_name: str = ""
    env_names: tuple[str, ...] = ()


class SidecarContainer(Container, frozen=True, kw_only=True):
    """A container of a set. ``pod_inject_policy`` "" is before the pod's containers, after its init containers."""

    pod_inject_policy: str = ""
    upgrade_strategy: UpgradeStrategy = UpgradeStrategy()
    share_volume_policy: ShareVolumePolicy = ShareVolumePolicy()
    transfer_env: tuple[TransferEnvVar, ...] = ()

    @property
    def native(self) -> bool:
        """Whether it is a sidecar even as an init container."""
        return self.restart_policy == "Always"

    @property
    def hot(self) -> bool:
        return self.upgrade_strategy.upgrade_type == HOT


class PatchPodMetadata(Model, frozen=True, kw_only=True):
    annotations: dict[str, str] = {}
    patch_policy: str = RETAIN


class InjectRevision(Model, frozen=True, kw_only=True):
    """An earlier state of the set, by the name of its ControllerRevision, else by the label that the set had."""

    custom_version: str | None = None
    revision_name: str | None = None
    policy: str = "Always"


class InjectionStrategy(Model, frozen=True, kw_only=True):
    """While ``paused`` no new pod is injected; those that are go on."""

    paused: bool = False
    revision: InjectRevision | None = None


class ScatterTerm(Model, frozen=True, kw_only=True):
    key: str
    value: str


class UpdateStrategy(Model, frozen=True, kw_only=True):
    """How pods follow a change of a sidecar's image. ``partition`` of them, a number or "50%", stay as they are."""

    type: str = ROLLING
    paused: bool = False
    selector: LabelSelector | None = None
    partition: int | str | None = None
    max_unavailable: int | str = 1
    scatter_strategy: tuple[ScatterTerm, ...] = ()


class SidecarSetSpec(Model, frozen=True, kw_only=True):
    """``namespace`` "" and a ``namespace_selector`` of None are all namespaces; where both are set, both must match."""

    selector: LabelSelector | None = None
    namespace: str = ""
    namespace_selector: LabelSelector | None = None
    init_containers: tuple[SidecarContainer, ...] = ()
    containers: tuple[SidecarContainer, ...] = ()
    volumes: tuple[Volume, ...] = ()
    update_strategy: UpdateStrategy = UpdateStrategy()
    injection_strategy: InjectionStrategy = InjectionStrategy()
    image_pull_secrets: tuple[SecretReference, ...] = ()
    revision_history_limit: int = 10
    patch_pod_metadata: tuple[PatchPodMetadata, ...] = ()


class SidecarSetManifest(Manifest, frozen=True, kw_only=True):
    """The object whole, as it is written."""

    spec: SidecarSetSpec


class SidecarSetStatus(Model, frozen=True, kw_only=True):
    """``collision_count`` is how often the name of a revision was taken by another."""

    latest_revision: str = ""
    collision_count: int = 0


class Sidecar(NamedTuple):
    """A container of a set: what the set says of it, and the v1.Container that the pod gets, unknown fields kept."""

    rules: SidecarContainer
    container: Raw


class SidecarSet(Model, frozen=True, kw_only=True):
    spec: SidecarSetSpec
    metadata: ObjectMeta = ObjectMeta()
    status: SidecarSetStatus = SidecarSetStatus()
    raw: Raw = {}

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def init_sidecars(self) -> tuple[Sidecar, ...]:
        return self._sidecars("initContainers", self.spec.init_containers)

    @property
    def sidecars(self) -> tuple[Sidecar, ...]:
        return self._sidecars("containers", self.spec.containers)

    @property
    def raw_volumes(self) -> dict[str, Raw]:
        """The v1.Volumes by name."""
        return {volume["name"]: volume for volume in self.raw["spec"].get("volumes") or ()}

    def _sidecars(self, group: str, rules: tuple[SidecarContainer, ...]) -> tuple[Sidecar, ...]:
        given = self.raw["spec"].get(group) or ()
        return tuple(Sidecar(rule, _container(raw)) for rule, raw in zip(rules, given, strict=True))


def sidecar_set(raw: Mapping[str, Any]) -> SidecarSet:
    """Read a SidecarSet from its JSON form; nulls count as absent. What it says may still make no sense, see
    ``validation``.

    Raises SpecError with the field's path where a value has the wrong type.
    """
    given = without_nulls({key: value for key, value in raw.items() if key != "raw"})
    try:
        return msgspec.structs.replace(read_as(SidecarSet, given), raw=given)
    except SpecError as exc:
        name = (given.get("metadata") or {}).get("name", "")
        raise SpecError(f'SidecarSet "{name}": {exc}') from exc


def with_status(of: SidecarSet, status: Raw) -> SidecarSet:
    """The set with these fields in its status."""
    return sidecar_set({**of.raw, "status": {**(of.raw.get("status") or {}), **status}})


def _container(raw: Raw) -> Raw:
    return {key: value for key, value in raw.items() if key not in _OF_THE_SET}


_OF_THE_SET = {
    field.encode_name
    for field in msgspec.structs.fields(SidecarContainer)
    if field.name not in Container.__struct_fields__
} | {"shareVolumeDevicePolicy", "resourcesPolicy"}  # of OpenKruise 1.9; ``validation`` refuses them
