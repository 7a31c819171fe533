"""What a pod's volumes are made of and where they lie. ``node.volume_writer`` makes them; nothing is touched here."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

import msgspec

from vkprovider.core.claimed import bound_path, claim_ref, claims
from vkprovider.core.nested import mount_points_in
from vkprovider.core.pod_logs import container_names, is_stdlog, logs_path, shared_name
from vkprovider.core.projections import (
    Fetched,
    File,
    NodeShare,
    is_projection,
    is_secret,
    object_refs,
    projected_files,
    without_backsteps,
)
from vkprovider.core.resources import pod_memory_limit
from vkprovider.errors import NotGranted, SpecError, VkError
from vkprovider.model.pod import Pod
from vkprovider.model.quantity import whole
from vkprovider.model.refs import ObjectRef
from vkprovider.model.volume import EmptyDir, Volume

MEMORY = "Memory"

_PLUGINS = {
    "config_map": "configmap",
    "secret": "secret",
    "downward_api": "downward-api",
    "projected": "projected",
    "persistent_volume_claim": "local-volume",
    "ephemeral": "local-volume",
    "image": "image",
}


class _Planned(msgspec.Struct, frozen=True, kw_only=True):
    name: str  # the pod's name for the volume


class EmptyDirectory(_Planned, frozen=True, kw_only=True):
    """A directory anyone in the pod may write to, made once."""

    path: str


class MemoryVolume(_Planned, frozen=True, kw_only=True):
    """An engine volume on tmpfs. It lives as long as a container holds it: the sandbox does, see ``core.mounts``."""

    engine_name: str
    options: Mapping[str, str]


class Projection(_Planned, frozen=True, kw_only=True):
    """Files made from objects, replaced all at once when they change. ``path`` is the volume's directory.

    ``mount_points`` are directories in it that other volumes are mounted on. What is ``secret`` belongs in memory.
    """

    path: str
    files: tuple[File, ...]
    mount_points: tuple[str, ...] = ()
    secret: bool = False


class Withheld(_Planned, frozen=True, kw_only=True):
    """Files that the pod may not have any more, or yet: those that it was given earlier stay. ``refusal`` says why."""

    path: str
    refusal: str


class HostPathCheck(_Planned, frozen=True, kw_only=True):
    """A path of the host that must be, or be made, what ``type`` says; "" is anything, and a directory if nothing."""

    path: str
    type: str


class ClaimedPath(_Planned, frozen=True, kw_only=True):
    """A directory of the host that a claim stands for. ``link`` is where the pod's containers have it from.

    ``type`` is as in ``HostPathCheck``. Where it is ``given_to_group`` the pod's fsGroup gets it.
    """

    link: str
    path: str
    type: str
    given_to_group: bool


class LogDirectory(_Planned, frozen=True, kw_only=True):
    """The logs of the pod's containers, with a directory for each, at ``path``.

    ``shared_name`` is for the directory where nodes may be told to keep all pods' logs.
    """

    path: str
    shared_name: str
    containers: tuple[str, ...]


PlannedVolume = EmptyDirectory | MemoryVolume | Projection | Withheld | HostPathCheck | ClaimedPath | LogDirectory


class VolumePlan(msgspec.Struct, frozen=True, kw_only=True):
    """All volumes of a pod. ``failures`` has a message for each that cannot be made from what there is now.

    With ``fs_group`` every volume but those of the host belongs to that group and is open to it; one that was there
    before is left alone ``on_root_mismatch`` where its root is so already.
    """

    pod_uid: str
    pod_dir: str
    volumes: tuple[PlannedVolume, ...]
    fs_group: int | None = None
    on_root_mismatch: bool = False
    failures: tuple[str, ...] = ()


def needed_objects(pod: Pod) -> frozenset[ObjectRef]:
    """The ConfigMaps and Secrets the pod's volumes are made from, and the claims that stand for some."""
    files = {ref for volume in pod.spec.volumes for ref in object_refs(pod, volume)}
    return frozenset(files.union(claims(pod)))


def plan_volumes(pod: Pod, fetched: Fetched, pod_dir: str, node: NodeShare) -> VolumePlan:
    """Plan every volume of the pod. ``pod_dir`` is the absolute path of the pod's directory."""
    planned: list[PlannedVolume] = []
    failures: list[str] = []
    for volume in pod.spec.volumes:
        if volume.image is not None:
            continue  # its containers bring it, each with its own image
        try:
            planned.append(_plan(pod, volume, fetched, pod_dir, node))
        except NotGranted as exc:
            planned.append(Withheld(name=volume.name, path=volume_path(volume, pod_dir), refusal=str(exc)))
        except VkError as exc:
            failures.append(mount_failure(volume.name, str(exc)))
    return VolumePlan(
        pod_uid=pod.metadata.uid,
        pod_dir=pod_dir,
        volumes=tuple(planned),
        fs_group=pod.spec.security_context.fs_group,
        on_root_mismatch=pod.spec.security_context.fs_group_change_policy == "OnRootMismatch",
        failures=tuple(failures),
    )


def mount_failure(volume: str, cause: str) -> str:
    """The message of the FailedMount event (pkg/volume/util/operationexecutor)."""
    return f'MountVolume.SetUp failed for volume "{volume}" : {cause}'


def volume_path(volume: Volume, pod_dir: str) -> str:
    """Where on the host a volume that is not in memory lies."""
    if volume.host_path is not None:
        return posixpath.normpath(volume.host_path.path)
    if volume.csi is not None:
        return logs_path(pod_dir)
    plugin = next((name for field, name in _PLUGINS.items() if getattr(volume, field) is not None), "empty-dir")
    return posixpath.join(pod_dir, "volumes", f"kubernetes.io~{plugin}", volume.name)


def in_memory(volume: Volume) -> bool:
    return volume.empty_dir is not None and volume.empty_dir.medium == MEMORY


def memory_volume_name(pod: Pod, volume: Volume) -> str:
    """The engine's name for a volume in memory."""
    return f"vkprovider_{pod.metadata.uid}_{volume.name}"


def _plan(pod: Pod, volume: Volume, fetched: Fetched, pod_dir: str, node: NodeShare) -> PlannedVolume:
    """Raises VkError where the volume cannot be made."""
    path = volume_path(volume, pod_dir)
    if is_projection(volume):
        return Projection(
            name=volume.name,
            path=path,
            files=projected_files(pod, volume, fetched, node),
            mount_points=mount_points_in(pod, volume.name),
            secret=is_secret(volume),
        )
    if volume.host_path is not None:
        if not without_backsteps(volume.host_path.path):
            raise SpecError(f"invalid HostPath `{volume.host_path.path}`: must not contain '..'")
        return HostPathCheck(name=volume.name, path=path, type=volume.host_path.type)
    claim = claim_ref(pod, volume)
    if claim is not None:
        owner = pod if volume.ephemeral is not None else None
        bound = bound_path(claim, fetched.objects, owner, node.labels)
        kind, shared = bound.type, bound.given_to_group
        return ClaimedPath(name=volume.name, link=path, path=bound.path, type=kind, given_to_group=shared)
    if volume.csi is not None:
        if not is_stdlog(volume):
            raise SpecError(f"driver name {volume.csi.driver} not found in the list of registered CSI drivers")
        return LogDirectory(name=volume.name, path=path, shared_name=shared_name(pod), containers=container_names(pod))
    if volume.empty_dir is None and _has_unknown_source(pod, volume):
        raise SpecError("no volume plugin matched")
    return _plan_empty_dir(pod, volume, path, node.memory)


def _has_unknown_source(pod: Pod, volume: Volume) -> bool:
    """Whether the object as it came names a source vkprovider does not read; none at all means emptyDir."""
    volumes = (pod.raw.get("spec") or {}).get("volumes") or ()
    return any(raw.keys() - {"name"} for raw in volumes if raw.get("name") == volume.name)


def _plan_empty_dir(pod: Pod, volume: Volume, path: str, node_memory: int) -> PlannedVolume:
    source = volume.empty_dir or EmptyDir()
    if source.medium == "":
        return EmptyDirectory(name=volume.name, path=path)
    if source.medium != MEMORY:
        raise SpecError(f'unknown storage medium "{source.medium}"')
    sizes = (node_memory, pod_memory_limit(pod.spec), whole(source.size_limit or 0))
    group = pod.spec.security_context.fs_group
    # A tmpfs is world-writable and sticky by itself; a group adds setgid, as for any other volume.
    access = "mode=1777" if group is None else f"mode=3777,gid={group}"
    return MemoryVolume(
        name=volume.name,
        engine_name=memory_volume_name(pod, volume),
        options={"type": "tmpfs", "device": "tmpfs", "o": f"size={min(s for s in sizes if s > 0)},{access}"},
    )
