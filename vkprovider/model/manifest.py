"""The objects that a manifest may hold, whole, as they are written: what ``model.fields`` holds them against."""

from __future__ import annotations

from typing import Any

from vkprovider.model.base import Model
from vkprovider.model.deployment import DeploymentSpec
from vkprovider.model.job import JobSpec
from vkprovider.model.pod import ObjectMeta, PodSpec


class Manifest(Model, frozen=True, kw_only=True):
    """What every object has. A status is allowed and ignored: objects are often copied out of a cluster."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    status: Any = None


class PodManifest(Manifest, frozen=True, kw_only=True):
    spec: PodSpec = PodSpec()


class JobManifest(Manifest, frozen=True, kw_only=True):
    spec: JobSpec


class DeploymentManifest(Manifest, frozen=True, kw_only=True):
    spec: DeploymentSpec


class ConfigMapManifest(Manifest, frozen=True, kw_only=True):
    """``binary_data`` is base64."""

    data: dict[str, str] = {}
    binary_data: dict[str, str] = {}
    immutable: bool = False


class SecretManifest(Manifest, frozen=True, kw_only=True):
    """``data`` is base64; ``string_data`` is plain and wins over it."""

    data: dict[str, str] = {}
    string_data: dict[str, str] = {}
    type: str = ""
    immutable: bool = False


class TrustBundleSpec(Model, frozen=True, kw_only=True):
    """``trust_bundle`` is certificates in PEM; ``signer_name`` whose they are, "" for nobody's in particular."""

    trust_bundle: str
    signer_name: str = ""


class TrustBundleManifest(Manifest, frozen=True, kw_only=True):
    spec: TrustBundleSpec


class RuntimeClassManifest(Manifest, frozen=True, kw_only=True):
    """``handler`` is the name of a runtime, as the engine has it."""

    handler: str
