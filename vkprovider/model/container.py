"""One container of a pod: what it runs, with what, and under which limits."""

from __future__ import annotations

import msgspec

from vkprovider.model.base import Model
from vkprovider.model.probe import Lifecycle, Probe


class KeySelector(Model, frozen=True, kw_only=True):
    """A key of a ConfigMap or Secret in the pod's namespace."""

    key: str
    name: str = ""
    optional: bool = False


class ObjectFieldSelector(Model, frozen=True, kw_only=True):
    field_path: str
    api_version: str = "v1"


class EnvVarSource(Model, frozen=True, kw_only=True):
    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None
    field_ref: ObjectFieldSelector | None = None


class EnvVar(Model, frozen=True, kw_only=True):
    name: str
    value: str = ""
    value_from: EnvVarSource | None = None


class EnvSourceRef(Model, frozen=True, kw_only=True):
    name: str = ""
    optional: bool = False


class EnvFromSource(Model, frozen=True, kw_only=True):
    prefix: str = ""
    config_map_ref: EnvSourceRef | None = None
    secret_ref: EnvSourceRef | None = None


class ContainerPort(Model, frozen=True, kw_only=True):
    container_port: int
    name: str = ""
    host_port: int = 0
    host_ip: str = msgspec.field(default="", name="hostIP")
    protocol: str = "TCP"


class VolumeMount(Model, frozen=True, kw_only=True):
    name: str
    mount_path: str
    sub_path: str = ""
    read_only: bool = False
    mount_propagation: str = "None"


class ResourceRequirements(Model, frozen=True, kw_only=True):
    """Quantities by resource name; parsed by ``model.quantity`` where they are used."""

    limits: dict[str, str | int | float] = {}
    requests: dict[str, str | int | float] = {}


class Capabilities(Model, frozen=True, kw_only=True):
    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


class SecurityContext(Model, frozen=True, kw_only=True):
    """Container-level settings; each that is set wins over the pod's."""

    privileged: bool = False
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    read_only_root_filesystem: bool = False
    allow_privilege_escalation: bool | None = None
    capabilities: Capabilities | None = None


class Container(Model, frozen=True, kw_only=True):
    """A container of any kind. ``restart_policy`` "Always" on an init container makes it a native sidecar."""

    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    ports: tuple[ContainerPort, ...] = ()
    env: tuple[EnvVar, ...] = ()
    env_from: tuple[EnvFromSource, ...] = ()
    resources: ResourceRequirements = ResourceRequirements()
    restart_policy: str | None = None
    volume_mounts: tuple[VolumeMount, ...] = ()
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    termination_message_path: str = "/dev/termination-log"
    termination_message_policy: str = "File"
    image_pull_policy: str = ""
    security_context: SecurityContext | None = None
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
