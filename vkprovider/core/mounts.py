"""Where a container sees its volumes and files, and what must be on disk before it can."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

import msgspec

from vkprovider.core.expansion import expand, references
from vkprovider.core.faults import Fault
from vkprovider.core.projections import is_projection, shows_elsewhere, without_backsteps
from vkprovider.core.volumes import in_memory, memory_volume_name, volume_path
from vkprovider.model.container import Container, EphemeralContainer, VolumeMount
from vkprovider.model.create import Mount
from vkprovider.model.pod import Pod
from vkprovider.model.volume import Volume

HOSTS = "/etc/hosts"
RESOLV_CONF = "/etc/resolv.conf"

SUB_PATHS = "volume-subpaths"  # in a pod's directory, as pkg/volume/util/subpath has it

_SANDBOX_MOUNTS = "/vkprovider/volumes"

_PROPAGATION = {"None": "rprivate", "HostToContainer": "rslave", "Bidirectional": "rshared"}


class SubPath(msgspec.Struct, frozen=True, kw_only=True):
    """A path inside a volume that stands for the source of ``MountPlan.mounts[index]``.

    ``root`` is the volume's directory on the host, or the engine's name for a volume ``in_memory``. Containers may have
    put symbolic links anywhere below it: whoever resolves ``path`` must make sure it ends inside ``root``. What is
    missing becomes a directory with root's mode. ``pin`` is where what was found can be mounted, so that it stays.
    """

    index: int
    root: str
    path: str
    volume: str
    container: str
    pin: str
    in_memory: bool = False


class MountPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The mounts of one container instance, complete once ``sub_paths`` are resolved.

    ``termination_log`` is the path of an empty file to make, writable by anyone, or "". ``files`` are the files of the
    pod to be written, by path; those are left out in whose place the container brings its own.
    """

    mounts: tuple[Mount, ...]
    sub_paths: tuple[SubPath, ...] = ()
    termination_log: str = ""
    files: Mapping[str, str] = {}


def sandbox_mounts(pod: Pod) -> tuple[Mount, ...]:
    """The mounts by which the sandbox keeps the pod's volumes in memory while containers come and go."""
    return tuple(
        Mount(source=memory_volume_name(pod, v), target=posixpath.join(_SANDBOX_MOUNTS, v.name), volume=True)
        for v in pod.spec.volumes
        if in_memory(v)
    )


def plan_mounts(
    pod: Pod, container: Container, pod_dir: str, attempt: int, etc: Mapping[str, str], env: Mapping[str, str]
) -> MountPlan:
    """Plan the mounts of one instance. ``etc`` is what it reads about the network, by path: ``core.network_files``.

    ``env`` are its variables. Raises Fault where a mount is none: an unknown volume or propagation, a subPath that
    leaves its volume, or whose variable has no value; and where what another namespace granted to sidecars alone
    would be seen by a container that came later.
    """
    volumes = {volume.name: volume for volume in pod.spec.volumes}
    mounts: list[Mount] = []
    sub_paths: list[SubPath] = []
    for wanted in container.volume_mounts:
        volume = volumes.get(wanted.name)
        if volume is None:
            raise Fault(f'cannot find volume "{wanted.name}" to mount into container "{container.name}"')
        if isinstance(container, EphemeralContainer) and shows_elsewhere(pod, volume):
            raise Fault(f'volume "{volume.name}" shows objects of another namespace, and only sidecars may mount it')
        if wanted.mount_propagation not in _PROPAGATION:
            raise Fault(f'invalid MountPropagation mode: "{wanted.mount_propagation}"')
        path = _expanded(wanted, env)
        if path:
            sub_paths.append(
                SubPath(
                    index=len(mounts),
                    root=memory_volume_name(pod, volume) if in_memory(volume) else volume_path(volume, pod_dir),
                    path=_checked(path),
                    volume=volume.name,
                    container=container.name,
                    pin=posixpath.join(pod_dir, SUB_PATHS, volume.name, container.name, str(len(mounts))),
                    in_memory=in_memory(volume),
                )
            )
        mounts.append(_mount(pod, volume, wanted, pod_dir))
    taken = {mount.target for mount in mounts}
    log, log_target = "", absolute(container.termination_message_path)
    if container.termination_message_path and log_target not in taken:
        log = termination_log(pod_dir, container.name, attempt)
        mounts.append(Mount(source=log, target=log_target))
    files = {}
    for target, content in etc.items():
        if target not in taken:
            source = posixpath.join(pod_dir, target.strip("/").replace("/", "-"))
            files[source] = content
            mounts.append(Mount(source=source, target=target))
    return MountPlan(mounts=tuple(mounts), sub_paths=tuple(sub_paths), termination_log=log, files=files)


def termination_log(pod_dir: str, container: str, attempt: int) -> str:
    """The file on the host where one instance of a container leaves its termination message."""
    return posixpath.join(pod_dir, "containers", container, str(attempt), "termination-log")


def _mount(pod: Pod, volume: Volume, wanted: VolumeMount, pod_dir: str) -> Mount:
    memory = in_memory(volume)
    return Mount(
        source=memory_volume_name(pod, volume) if memory else volume_path(volume, pod_dir),
        target=absolute(wanted.mount_path),
        read_only=wanted.read_only or is_projection(volume) or _is_only_read(volume),
        propagation=_PROPAGATION[wanted.mount_propagation],
        volume=memory,
    )


def _is_only_read(volume: Volume) -> bool:
    claim = volume.persistent_volume_claim
    return volume.image is not None or volume.csi is not None or (claim is not None and claim.read_only)


def absolute(path: str) -> str:
    """A path in a container, as its mount has it."""
    return posixpath.normpath(posixpath.join("/", path))


def _expanded(wanted: VolumeMount, env: Mapping[str, str]) -> str:
    """Raises Fault in the words of pkg/kubelet/container/helpers.go ExpandContainerVolumeMounts."""
    missing = sorted(name for name in references(wanted.sub_path_expr) if not env.get(name))
    if missing:
        raise Fault(f"missing value for {', '.join(missing)}")
    return expand(wanted.sub_path_expr, env) or wanted.sub_path


def _checked(path: str) -> str:
    """Raises Fault in the words of pkg/kubelet/kubelet_pods.go makeMounts."""
    if posixpath.isabs(path):
        raise Fault(f"error SubPath `{path}` must not be an absolute path")
    if not without_backsteps(path):
        raise Fault(f"unable to provision SubPath `{path}`: must not contain '..'")
    return path
