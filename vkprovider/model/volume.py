"""The volume sources that vkprovider materialises."""

from __future__ import annotations

from typing import Any

import msgspec

from vkprovider.model.base import Model
from vkprovider.model.container import ObjectFieldSelector, ResourceFieldSelector
from vkprovider.model.selectors import LabelSelector

STDLOG = "stdlogplugin.csi.alibabacloud.com"
KEY_TYPES = ("RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519")


class KeyToPath(Model, frozen=True, kw_only=True):
    key: str
    path: str
    mode: int | None = None


class EmptyDir(Model, frozen=True, kw_only=True):
    """A directory that lives as long as the pod. ``medium`` is "" (disk) or "Memory"."""

    medium: str = ""
    size_limit: str | int | None = None


class ConfigMapVolume(Model, frozen=True, kw_only=True):
    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    default_mode: int = 0o644
    optional: bool = False


class SecretVolume(Model, frozen=True, kw_only=True):
    secret_name: str = ""
    items: tuple[KeyToPath, ...] = ()
    default_mode: int = 0o644
    optional: bool = False


class DownwardFile(Model, frozen=True, kw_only=True):
    """A file with something that the pod says of itself: ``field_ref``, or ``resource_field_ref`` of a container."""

    path: str
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    mode: int | None = None


class DownwardVolume(Model, frozen=True, kw_only=True):
    items: tuple[DownwardFile, ...] = ()
    default_mode: int = 0o644


class ObjectProjection(Model, frozen=True, kw_only=True):
    """A ConfigMap or Secret, as part of a projected volume."""

    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    optional: bool = False


class DownwardProjection(Model, frozen=True, kw_only=True):
    items: tuple[DownwardFile, ...] = ()


class TokenProjection(Model, frozen=True, kw_only=True):
    """A token of the pod's service account. ``audience`` "" is the API server's own."""

    path: str
    audience: str = ""
    expiration_seconds: int = 3600


class TrustBundleProjection(Model, frozen=True, kw_only=True):
    """The authorities of the ClusterTrustBundle ``name``, or of all those of a signer that a selector holds for: one
    that is empty does for all, and none at all for none. Where it is ``optional`` and there are none the file is empty.
    """

    path: str
    name: str | None = None
    signer_name: str | None = None
    label_selector: LabelSelector | None = None
    optional: bool = False


class CertificateProjection(Model, frozen=True, kw_only=True):
    """A key of the pod's own with a signer's certificate for it, renewed in time. Each path that is "" is left out; at
    ``credential_bundle_path`` both are in one file.
    """

    signer_name: str
    key_type: str
    max_expiration_seconds: int | None = None
    credential_bundle_path: str = ""
    key_path: str = ""
    certificate_chain_path: str = ""
    user_annotations: dict[str, str] = {}


class VolumeProjection(Model, frozen=True, kw_only=True):
    """One source of a projected volume: exactly one of its fields is set."""

    config_map: ObjectProjection | None = None
    secret: ObjectProjection | None = None
    downward_api: DownwardProjection | None = msgspec.field(default=None, name="downwardAPI")
    service_account_token: TokenProjection | None = None
    cluster_trust_bundle: TrustBundleProjection | None = None
    pod_certificate: CertificateProjection | None = None


class ProjectedVolume(Model, frozen=True, kw_only=True):
    sources: tuple[VolumeProjection, ...] = ()
    default_mode: int = 0o644


class HostPath(Model, frozen=True, kw_only=True):
    """A path of the engine's host. ``type`` is one of the checks of core/v1 HostPathType, "" for none."""

    path: str
    type: str = ""


class ClaimVolume(Model, frozen=True, kw_only=True):
    """The volume that a PersistentVolumeClaim of the pod's namespace is bound to."""

    claim_name: str
    read_only: bool = False


class ImageVolume(Model, frozen=True, kw_only=True):
    """What an image has in its layers, to be read. ``pull_policy`` is as that of containers, "" for their default."""

    reference: str = ""
    pull_policy: str = ""


class EphemeralVolume(Model, frozen=True, kw_only=True):
    """A claim of the pod's own, named ``<pod>-<volume>``, which the cluster's controller makes from the template."""

    volume_claim_template: dict[str, Any] = {}


class LocalVolume(Model, frozen=True, kw_only=True):
    path: str


class PersistentVolumeSpec(Model, frozen=True, kw_only=True):
    """The part of v1.PersistentVolumeSpec that is honoured."""

    host_path: HostPath | None = None
    local: LocalVolume | None = None
    volume_mode: str = "Filesystem"


class CsiVolume(Model, frozen=True, kw_only=True):
    """An inline volume of a CSI driver. There is one: ``STDLOG``, the logs of the pod, which are only to be read."""

    driver: str
    read_only: bool = False


class Volume(Model, frozen=True, kw_only=True):
    name: str
    empty_dir: EmptyDir | None = None
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    host_path: HostPath | None = None
    downward_api: DownwardVolume | None = msgspec.field(default=None, name="downwardAPI")
    projected: ProjectedVolume | None = None
    persistent_volume_claim: ClaimVolume | None = None
    ephemeral: EphemeralVolume | None = None
    csi: CsiVolume | None = None
    image: ImageVolume | None = None
