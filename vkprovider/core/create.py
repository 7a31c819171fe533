"""From a pod to the containers an engine can create: its sandbox, and one instance of each of its containers.

The mapping is cri-dockerd's (core/sandbox_helpers.go, core/security_context.go, core/container_create.go).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from vkprovider.core import security
from vkprovider.core.actions import StartContainer
from vkprovider.core.devices import Device, mapped
from vkprovider.core.env import Env
from vkprovider.core.expansion import expand_all
from vkprovider.core.faults import Fault
from vkprovider.core.network_files import Dns, Resolver, hostname, pod_resolver
from vkprovider.core.read_only import in_depth
from vkprovider.core.resources import SANDBOX_OOM_SCORE, container_limits, pod_limits
from vkprovider.core.sysctls import dotted
from vkprovider.model.container import Container, EphemeralContainer
from vkprovider.model.create import ContainerCreate, Limits, LogLimits, Mount, PortBinding
from vkprovider.model.labels import (
    CONTAINER_TYPE,
    ContainerIdentity,
    encode,
    encode_resources,
    sandbox_identity,
    spec_hash,
)
from vkprovider.model.pod import Pod, PodSpec

_HOST = "host"


class NodeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What of the node goes into its containers.

    ``memory`` in bytes. ``network`` is the engine's network for pods, "" for its default; ``enforced`` are the
    security modules of its host, ``withheld`` the capabilities that it lets no container have, and
    ``recursive_read_only`` the runtimes that make mounts so; ``allocatable`` are the quantities that pods may have, by
    resource, and ``devices`` those that there are. ``pod_max_pids`` is 0 for no limit; ``limits_pods`` says whether the
    engine can limit the containers of a pod together.
    """

    name: str
    memory: int
    host_ip: str = "127.0.0.1"
    network: str = ""
    dns: Dns = Dns()
    enforced: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    recursive_read_only: tuple[str, ...] = ()
    allocatable: Mapping[str, str] = {}
    devices: Mapping[str, tuple[Device, ...]] = {}
    pod_max_pids: int = 0
    limits_pods: bool = False
    log_limits: LogLimits = LogLimits()


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """What the shell found and prepared for one start. ``image_user`` is the image's ``user[:group]``."""

    image_user: str = ""
    image_digest: str = ""
    env: Env = ()
    mounts: tuple[Mount, ...] = ()
    seccomp: str = ""  # the content of the profile that the container names


def plan_sandbox(
    pod: Pod, node: NodeFacts, attempt: int, image: str, mounts: tuple[Mount, ...] = (), runtime: str = ""
) -> ContainerCreate:
    """The container that holds the pod's namespaces, its ports and its in-memory volumes, and needs no right at all."""
    spec = pod.spec
    identity = sandbox_identity(pod, node.name, attempt)
    resolver, _ = pod_resolver(pod, node.dns)
    engines = Resolver() if resolver.nameservers else resolver  # complete ones are a file of the containers
    return ContainerCreate(
        name=identity.engine_name,
        image=image,
        labels=encode(identity),
        mounts=mounts,
        hostname="" if spec.host_network else hostname(pod, node.dns.domain),
        dns_searches=engines.searches,
        dns_options=engines.options,
        ports=() if spec.host_network else _ports(spec),
        network=_HOST if spec.host_network else node.network,
        ipc=_HOST if spec.host_ipc else "shareable",
        pid=_HOST if spec.host_pid else "",
        runtime=runtime,
        read_only_root=True,
        cap_drop=("ALL",),
        security_opts=("no-new-privileges",),
        sysctls={dotted(sysctl.name): sysctl.value for sysctl in spec.security_context.sysctls},
        limits=Limits(oom_score_adj=SANDBOX_OOM_SCORE),
        pod_limits=pod_limits(spec, node.pod_max_pids),
    )


def plan_container(
    pod: Pod, container: Container, start: StartContainer, node: NodeFacts, gathered: Gathered
) -> ContainerCreate:
    """One instance of a container, joined to its sandbox. Raises Fault where it must not run as it would."""
    security.verify_non_root(pod, container, gathered.image_user)
    identity = ContainerIdentity(
        node=node.name,
        type=CONTAINER_TYPE,
        pod_name=pod.metadata.name,
        pod_namespace=pod.metadata.namespace,
        pod_uid=pod.uid,
        name=container.name,
        attempt=start.attempt,
        sandbox_id=start.sandbox_id,
        image=container.image,
        image_digest=gathered.image_digest,
        backoff_seconds=start.backoff_seconds,
        hash=spec_hash(container),
        resources=encode_resources(container.resources),
    )
    sandbox = f"container:{start.sandbox_id}"
    added, dropped = security.capabilities(container)
    entrypoint, args = _process(container, dict(gathered.env))
    devices, gpus = mapped(start.devices, node.devices)
    return ContainerCreate(
        name=identity.engine_name,
        image=start.image_id,
        labels=encode(identity),
        entrypoint=entrypoint,
        args=args,
        env=tuple(f"{name}={value}" for name, value in gathered.env),
        working_dir=container.working_dir,
        user=security.user(pod, container, gathered.image_user),
        groups=security.groups(pod),
        tty=container.tty,
        stdin=container.stdin,
        stdin_once=container.stdin_once,
        stop_signal=(container.lifecycle and container.lifecycle.stop_signal) or "",
        mounts=in_depth(container, gathered.mounts, able=start.runtime in node.recursive_read_only),
        network=sandbox,
        ipc=_HOST if pod.spec.host_ipc else sandbox,
        pid=_pid(pod.spec, container, start),
        privileged=security.is_privileged(container),
        read_only_root=security.has_read_only_root(container),
        runtime=_runtime(pod.spec, start),
        cap_add=added,
        cap_drop=dropped,
        security_opts=security.security_options(pod, container, gathered.seccomp),
        unmasked=security.shows_all_of_proc(container),
        log_limits=node.log_limits,
        limits=msgspec.structs.replace(container_limits(pod.spec, container, node.memory), pids=node.pod_max_pids),
        devices=devices,
        gpus=gpus,
        pod_limits=pod_limits(pod.spec, node.pod_max_pids),
    )


def _process(container: Container, variables: dict[str, str]) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Entrypoint and arguments. A command alone drops the image's arguments, args alone keep its entrypoint."""
    command = expand_all(container.command, variables)
    args = expand_all(container.args, variables)
    if command:
        return command, args
    return None, args or None


def _pid(spec: PodSpec, container: Container, start: StartContainer) -> str:
    """Raises Fault where the target of an ephemeral container was never started
    (pkg/kubelet/kuberuntime/kuberuntime_container.go startSpec.getTargetID).
    """
    if isinstance(container, EphemeralContainer) and container.target_container_name:
        if not start.target_id:
            raise Fault(f"unable to find target container {container.target_container_name}")
        return f"container:{start.target_id}"
    if spec.host_pid:
        return _HOST
    return f"container:{start.sandbox_id}" if spec.share_process_namespace else ""


def _runtime(spec: PodSpec, start: StartContainer) -> str:
    """The sandbox's. Raises Fault while that cannot be seen: another one may confine less."""
    if spec.runtime_class_name and not start.runtime:
        raise Fault("the runtime of the pod's sandbox cannot be seen now")
    return start.runtime


def _ports(spec: PodSpec) -> tuple[PortBinding, ...]:
    return tuple(
        PortBinding(
            container_port=port.container_port,
            host_port=port.host_port,
            protocol=port.protocol.lower(),
            host_ip=port.host_ip,
        )
        for container in spec.containers
        for port in container.ports
        if port.host_port
    )
