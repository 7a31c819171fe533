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


class ResourceFieldSelector(Model, frozen=True, kw_only=True):
    """A request or limit of a container, as in ``limits.cpu``, in units of ``divisor``; "0" stands for 1."""

    resource: str
    container_name: str = ""  # "" in a container's own variables
    divisor: str | int | float = "0"


class FileKeySelector(Model, frozen=True, kw_only=True):
    """A key of a file with variables that a container has left in an emptyDir; ``path`` is relative to that."""

    volume_name: str
    path: str
    key: str
    optional: bool = False


class EnvVarSource(Model, frozen=True, kw_only=True):
    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    file_key_ref: FileKeySelector | None = None


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
    sub_path_expr: str = ""  # the same with $(NAME) of the container's variables
    read_only: bool = False
    mount_propagation: str = "None"
    recursive_read_only: str = "Disabled"  # Enabled, or IfPossible: the mounts below it are read-only as well


class ResourceRequirements(Model, frozen=True, kw_only=True):
    """Quantities by resource name; parsed by ``model.quantity`` where they are used."""

    limits: dict[str, str | int | float] = {}
    requests: dict[str, str | int | float] = {}


class ContainerResizePolicy(Model, frozen=True, kw_only=True):
    """What a change of one resource of a running container costs: NotRequired or RestartContainer."""

    resource_name: str = ""
    restart_policy: str = "NotRequired"


class ExitCodes(Model, frozen=True, kw_only=True):
    """A set of exit codes: those listed (``In``), or all others (``NotIn``)."""

    operator: str = ""
    values: tuple[int, ...] = ()


class RestartRule(Model, frozen=True, kw_only=True):
    """A rule that comes before the container's restart policy; ``action`` is Restart."""

    action: str = ""
    exit_codes: ExitCodes | None = None

    def restarts(self, code: int) -> bool:
        """Whether a container that ended with this code is restarted by it."""
        if self.action != "Restart" or self.exit_codes is None:
            return False
        return (code in self.exit_codes.values) is (self.exit_codes.operator == "In")


class Capabilities(Model, frozen=True, kw_only=True):
    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


class Profile(Model, frozen=True, kw_only=True):
    """A seccomp or AppArmor profile: RuntimeDefault, Unconfined, or Localhost with the profile's name there."""

    type: str = ""
    localhost_profile: str = ""


class SELinuxOptions(Model, frozen=True, kw_only=True):
    user: str = ""
    role: str = ""
    type: str = ""
    level: str = ""


class SecurityContext(Model, frozen=True, kw_only=True):
    """Container-level settings; each that is set wins over the pod's."""

    privileged: bool = False
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    read_only_root_filesystem: bool = False
    allow_privilege_escalation: bool | None = None
    capabilities: Capabilities | None = None
    seccomp_profile: Profile | None = None
    app_armor_profile: Profile | None = None
    se_linux_options: SELinuxOptions | None = None
    proc_mount: str = "Default"  # Unmasked shows all of /proc


class Container(Model, frozen=True, kw_only=True):
    """A container of any kind. ``restart_policy`` is its own, where it has one; with "Always" an init container is a
    native sidecar.
    """

    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    ports: tuple[ContainerPort, ...] = ()
    env: tuple[EnvVar, ...] = ()
    env_from: tuple[EnvFromSource, ...] = ()
    resources: ResourceRequirements = ResourceRequirements()
    resize_policy: tuple[ContainerResizePolicy, ...] = ()
    restart_policy: str | None = None
    restart_policy_rules: tuple[RestartRule, ...] = ()
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


class EphemeralContainer(Container, frozen=True, kw_only=True):
    """A container that ``kubectl debug`` adds to a running pod. ``target_container_name`` shares its processes."""

    target_container_name: str = ""
