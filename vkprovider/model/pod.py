"""The pod as vkprovider reads it. ``decode_pod`` is the one way in; the raw object rides along in ``Pod.raw``."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

import msgspec

from vkprovider.errors import SpecError
from vkprovider.model.base import Model, without_nulls
from vkprovider.model.container import (
    Container,
    EphemeralContainer,
    Profile,
    ResourceRequirements,
    SELinuxOptions,
)
from vkprovider.model.refs import PodKey, PodUID
from vkprovider.model.volume import Volume

T = TypeVar("T", bound=Model)


class OwnerReference(Model, frozen=True, kw_only=True):
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class ObjectMeta(Model, frozen=True, kw_only=True):
    name: str = ""
    generate_name: str = ""
    namespace: str = "default"
    uid: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: int | None = None


class Sysctl(Model, frozen=True, kw_only=True):
    name: str
    value: str


class PodSecurityContext(Model, frozen=True, kw_only=True):
    """Pod-level settings; a container's own win over them."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    fs_group: int | None = None
    fs_group_change_policy: str = "Always"  # OnRootMismatch leaves a volume alone whose root is the group's
    supplemental_groups: tuple[int, ...] = ()
    sysctls: tuple[Sysctl, ...] = ()
    seccomp_profile: Profile | None = None
    app_armor_profile: Profile | None = None
    se_linux_options: SELinuxOptions | None = None


class HostAlias(Model, frozen=True, kw_only=True):
    ip: str
    hostnames: tuple[str, ...] = ()


class PodDNSConfigOption(Model, frozen=True, kw_only=True):
    name: str = ""
    value: str = ""


class PodDNSConfig(Model, frozen=True, kw_only=True):
    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[PodDNSConfigOption, ...] = ()


class ReadinessGate(Model, frozen=True, kw_only=True):
    condition_type: str


class SecretReference(Model, frozen=True, kw_only=True):
    """A Secret in the pod's namespace."""

    name: str = ""


class PodSpec(Model, frozen=True, kw_only=True):
    """The honoured part of v1.PodSpec, with the API server's defaults."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    ephemeral_containers: tuple[EphemeralContainer, ...] = ()  # only ever added to a pod that runs
    volumes: tuple[Volume, ...] = ()
    restart_policy: str = "Always"
    termination_grace_period_seconds: int = 30
    active_deadline_seconds: int | None = None
    node_name: str = ""
    service_account_name: str = ""
    enable_service_links: bool = True
    host_network: bool = False
    host_pid: bool = msgspec.field(default=False, name="hostPID")
    host_ipc: bool = msgspec.field(default=False, name="hostIPC")
    share_process_namespace: bool = False
    security_context: PodSecurityContext = PodSecurityContext()
    hostname: str = ""
    subdomain: str = ""
    set_hostname_as_fqdn: bool = msgspec.field(default=False, name="setHostnameAsFQDN")
    hostname_override: str = ""
    host_aliases: tuple[HostAlias, ...] = ()
    dns_policy: str = "ClusterFirst"
    dns_config: PodDNSConfig | None = None
    readiness_gates: tuple[ReadinessGate, ...] = ()
    image_pull_secrets: tuple[SecretReference, ...] = ()
    resources: ResourceRequirements | None = None  # of the pod as a whole: cpu and memory
    priority_class_name: str = ""
    runtime_class_name: str = ""
    overhead: dict[str, str | int | float] = {}  # what its runtime takes besides, by resource; its class's


class PodCondition(Model, frozen=True, kw_only=True):
    """A condition as last published: readiness gates are read from it, and times that must not start anew."""

    type: str
    status: str = "Unknown"
    last_transition_time: datetime | None = None


class PodStatusRead(Model, frozen=True, kw_only=True):
    """What of the published status is read back; ``phase`` because somebody else may have said that the pod is over."""

    phase: str = ""
    conditions: tuple[PodCondition, ...] = ()
    qos_class: str = ""


class Pod(Model, frozen=True, kw_only=True):
    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()
    status: PodStatusRead = PodStatusRead()
    raw: dict[str, Any] = {}

    @property
    def key(self) -> PodKey:
        return PodKey(self.metadata.namespace, self.metadata.name)

    @property
    def uid(self) -> PodUID:
        return PodUID(self.metadata.uid)


def decode_pod(raw: dict[str, Any]) -> Pod:
    """Read a v1.Pod from its JSON form.

    Raises SpecError with the field's path where a value has the wrong type.
    """
    return msgspec.structs.replace(read_as(Pod, {k: v for k, v in raw.items() if k != "raw"}), raw=raw)


def read_as(kind: type[T], raw: dict[str, Any]) -> T:
    """Read ``raw`` as a struct; nulls count as absent. Raises SpecError with the field's path."""
    try:
        return msgspec.convert(without_nulls(raw), kind)
    except msgspec.ValidationError as exc:
        message, _, path = str(exc).partition(" - at `$")
        raise SpecError(message, path.rstrip("`").lstrip(".")) from exc
