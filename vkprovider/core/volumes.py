"""What a pod's volumes are made of and where they lie. ``node.volume_writer`` makes them; nothing is touched here."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping

import msgspec

from vkprovider.core.objects import Objects, config_map_bytes, not_found, secret_bytes
from vkprovider.core.resources import pod_memory_limit
from vkprovider.errors import SpecError
from vkprovider.model.pod import Pod
from vkprovider.model.quantity import whole
from vkprovider.model.refs import ObjectRef
from vkprovider.model.volume import ConfigMapVolume, EmptyDir, KeyToPath, SecretVolume, Volume

MEMORY = "Memory"

_MAX_PATH = 4096
_MAX_FILE_NAME = 255


class _Planned(msgspec.Struct, frozen=True, kw_only=True):
    name: str  # the pod's name for the volume


class EmptyDirectory(_Planned, frozen=True, kw_only=True):
    """A directory anyone in the pod may write to, made once."""

    path: str


class MemoryVolume(_Planned, frozen=True, kw_only=True):
    """An engine volume on tmpfs. It lives as long as a container holds it: the sandbox does, see ``core.mounts``."""

    engine_name: str
    options: Mapping[str, str]


class File(msgspec.Struct, frozen=True, kw_only=True):
    """``path`` is relative to the volume, clean, and cannot leave it."""

    path: str
    data: bytes
    mode: int


class Projection(_Planned, frozen=True, kw_only=True):
    """Files made from an object, replaced all at once when it changes. ``path`` is the volume's directory."""

    path: str
    files: tuple[File, ...]


class HostPathCheck(_Planned, frozen=True, kw_only=True):
    """A path of the host that must be, or be made, what ``type`` says; "" is anything, and a directory if nothing."""

    path: str
    type: str


PlannedVolume = EmptyDirectory | MemoryVolume | Projection | HostPathCheck


class VolumePlan(msgspec.Struct, frozen=True, kw_only=True):
    """All volumes of a pod. ``failures`` has a message for each that cannot be made from what there is now.

    With ``fs_group`` every volume but those of the host belongs to that group and is open to it.
    """

    pod_uid: str
    pod_dir: str
    volumes: tuple[PlannedVolume, ...]
    fs_group: int | None = None
    failures: tuple[str, ...] = ()


def needed_objects(pod: Pod) -> frozenset[ObjectRef]:
    """The ConfigMaps and Secrets the pod's volumes are made from."""
    return frozenset(ref for volume in pod.spec.volumes if (ref := _reference(pod, volume)) is not None)


def plan_volumes(pod: Pod, objects: Objects, pod_dir: str, node_memory: int) -> VolumePlan:
    """Plan every volume of the pod. ``objects`` holds all that ``needed_objects`` names.

    ``pod_dir`` is the absolute path of the pod's directory, ``node_memory`` the machine's memory in bytes.
    """
    planned: list[PlannedVolume] = []
    failures: list[str] = []
    for volume in pod.spec.volumes:
        try:
            planned.append(_plan(pod, volume, objects, pod_dir, node_memory))
        except SpecError as exc:
            failures.append(mount_failure(volume.name, str(exc)))
    return VolumePlan(
        pod_uid=pod.metadata.uid,
        pod_dir=pod_dir,
        volumes=tuple(planned),
        fs_group=pod.spec.security_context.fs_group,
        failures=tuple(failures),
    )


def mount_failure(volume: str, cause: str) -> str:
    """The message of the FailedMount event (pkg/volume/util/operationexecutor)."""
    return f'MountVolume.SetUp failed for volume "{volume}" : {cause}'


def volume_path(volume: Volume, pod_dir: str) -> str:
    """Where on the host a volume that is not in memory lies."""
    if volume.host_path is not None:
        return posixpath.normpath(volume.host_path.path)
    plugin = "configmap" if volume.config_map else "secret" if volume.secret else "empty-dir"
    return posixpath.join(pod_dir, "volumes", f"kubernetes.io~{plugin}", volume.name)


def in_memory(volume: Volume) -> bool:
    return volume.empty_dir is not None and volume.empty_dir.medium == MEMORY


def memory_volume_name(pod: Pod, volume: Volume) -> str:
    """The engine's name for a volume in memory."""
    return f"vkprovider_{pod.metadata.uid}_{volume.name}"


def without_backsteps(path: str) -> bool:
    """Whether no element of a path is ``..`` (pkg/volume/validation ValidatePathNoBacksteps)."""
    return ".." not in path.split("/")


def _plan(pod: Pod, volume: Volume, objects: Objects, pod_dir: str, node_memory: int) -> PlannedVolume:
    """Raises SpecError where the volume cannot be made."""
    path = volume_path(volume, pod_dir)
    if volume.config_map is not None:
        return Projection(name=volume.name, path=path, files=_config_map_files(pod, volume.config_map, objects))
    if volume.secret is not None:
        return Projection(name=volume.name, path=path, files=_secret_files(pod, volume.secret, objects))
    if volume.host_path is not None:
        if not without_backsteps(volume.host_path.path):
            raise SpecError(f"invalid HostPath `{volume.host_path.path}`: must not contain '..'")
        return HostPathCheck(name=volume.name, path=path, type=volume.host_path.type)
    if volume.empty_dir is None and _has_unknown_source(pod, volume):
        raise SpecError("no volume plugin matched")
    return _plan_empty_dir(pod, volume, path, node_memory)


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


def _reference(pod: Pod, volume: Volume) -> ObjectRef | None:
    if volume.config_map is not None:
        return ObjectRef("ConfigMap", pod.metadata.namespace, volume.config_map.name)
    if volume.secret is not None:
        return ObjectRef("Secret", pod.metadata.namespace, volume.secret.secret_name)
    return None


def _config_map_files(pod: Pod, source: ConfigMapVolume, objects: Objects) -> tuple[File, ...]:
    ref = ObjectRef("ConfigMap", pod.metadata.namespace, source.name)
    raw = objects[ref]
    if raw is None and not source.optional:
        raise SpecError(not_found(ref))
    missing = None if source.optional else "configmap references non-existent config key"
    return _files(config_map_bytes(raw or {}), source.items, source.default_mode, missing)


def _secret_files(pod: Pod, source: SecretVolume, objects: Objects) -> tuple[File, ...]:
    ref = ObjectRef("Secret", pod.metadata.namespace, source.secret_name)
    raw = objects[ref]
    if raw is None and not source.optional:
        raise SpecError(not_found(ref))
    missing = None if source.optional else "references non-existent secret key"
    return _files(secret_bytes(raw or {}), source.items, source.default_mode, missing)


def _files(
    content: Mapping[str, bytes], items: Iterable[KeyToPath], default_mode: int, missing: str | None
) -> tuple[File, ...]:
    """The files of a volume: all keys, or the chosen ones. ``missing`` is the complaint about an absent key."""
    chosen = tuple(items) or tuple(KeyToPath(key=key, path=key) for key in sorted(content))
    files: dict[str, File] = {}
    for item in chosen:
        if item.key in content:
            path = _clean(item.path)
            mode = default_mode if item.mode is None else item.mode
            files[path] = File(path=path, data=content[item.key], mode=mode)
        elif missing is not None:
            raise SpecError(f"{missing}: {item.key}")
    return tuple(files.values())


def _clean(path: str) -> str:
    """A path inside a volume. Raises SpecError by the rules of pkg/volume/util/atomic_writer.go validatePath."""
    elements = path.split("/")
    if not path:
        raise SpecError('invalid path: must not be empty: ""')
    if posixpath.isabs(path):
        raise SpecError(f"invalid path: must be relative path: {path}")
    if len(path) > _MAX_PATH:
        raise SpecError(f"invalid path: must be less than or equal to {_MAX_PATH} characters")
    if not without_backsteps(path):
        raise SpecError(f"invalid path: must not contain '..': {path}")
    if any(len(element) > _MAX_FILE_NAME for element in elements):
        raise SpecError(f"invalid path: filenames must be less than or equal to {_MAX_FILE_NAME} characters")
    if elements[0].startswith(".."):
        raise SpecError(f"invalid path: must not start with '..': {path}")
    return posixpath.normpath(path)
