"""Whether volumes and mounts make sense: ValidateVolumes and ValidateVolumeMounts of core/validation/validation.go."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from vkprovider.model import names
from vkprovider.model.container import Container, VolumeMount
from vkprovider.model.findings import Finding, duplicate, each, forbidden, invalid, not_found, one_of, required
from vkprovider.model.validate_path import no_backsteps, relative
from vkprovider.model.validate_projection import downward_volume, object_volume, projected_volume
from vkprovider.model.validate_resources import amount
from vkprovider.model.volume import STDLOG, EmptyDir, HostPath, ImageVolume, Volume

_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_RECURSIONS = ("Disabled", "Enabled", "IfPossible")


def volumes(declared: Iterable[Volume], path: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for place, volume in enumerate(declared):
        at = f"{path}[{place}]"
        if not volume.name:
            yield required(f"{at}.name")
        else:
            yield from each(f"{at}.name", volume.name, names.label(volume.name))
            if volume.name in seen:
                yield duplicate(f"{at}.name", volume.name)
        seen.add(volume.name)
        yield from _source(volume, at)
        if volume.csi is not None:
            yield from one_of(f"{at}.csi.driver", volume.csi.driver, (STDLOG,))


def mounts(container: Container, declared: Collection[str], path: str) -> Iterator[Finding]:
    """Findings on a container's mounts; ``declared`` are the names of the pod's volumes."""
    seen: set[str] = set()
    for place, mount in enumerate(container.volume_mounts):
        at = f"{path}[{place}]"
        if not mount.name:
            yield required(f"{at}.name")
        elif mount.name not in declared:
            yield not_found(f"{at}.name", mount.name, "the pod has no volume of that name")
        if not mount.mount_path:
            yield required(f"{at}.mountPath")
        elif mount.mount_path in seen:
            yield invalid(f"{at}.mountPath", mount.mount_path, "must be unique")
        seen.add(mount.mount_path)
        yield from relative(mount.sub_path, f"{at}.subPath")
        if mount.sub_path and mount.sub_path_expr:
            yield invalid(f"{at}.subPathExpr", mount.sub_path_expr, "subPathExpr and subPath are mutually exclusive")
        yield from relative(mount.sub_path_expr, f"{at}.subPathExpr")
        yield from _propagation(container, mount, f"{at}.mountPropagation")
        yield from _recursion(mount, f"{at}.recursiveReadOnly")


def _propagation(container: Container, mount: VolumeMount, path: str) -> Iterator[Finding]:
    yield from one_of(path, mount.mount_propagation, _PROPAGATIONS)
    privileged = container.security_context is not None and container.security_context.privileged
    if mount.mount_propagation == "Bidirectional" and not privileged:
        yield forbidden(path, "Bidirectional mount propagation is available only to privileged containers")


def _recursion(mount: VolumeMount, path: str) -> Iterator[Finding]:
    """validateMountRecursiveReadOnly."""
    yield from one_of(path, mount.recursive_read_only, _RECURSIONS)
    if mount.recursive_read_only in ("Enabled", "IfPossible"):
        if not mount.read_only:
            yield forbidden(path, "may only be specified when readOnly is true")
        if mount.mount_propagation != "None":
            yield forbidden(path, "may only be specified when mountPropagation is None or not specified")


def _source(volume: Volume, path: str) -> Iterator[Finding]:
    sources = {
        "emptyDir": volume.empty_dir,
        "hostPath": volume.host_path,
        "secret": volume.secret,
        "configMap": volume.config_map,
        "downwardAPI": volume.downward_api,
        "projected": volume.projected,
        "persistentVolumeClaim": volume.persistent_volume_claim,
        "ephemeral": volume.ephemeral,
        "image": volume.image,
        "csi": volume.csi,
    }
    given = [name for name, source in sources.items() if source is not None]
    if not given:
        yield required(path, "must specify a volume type")
    for name in given[1:]:
        yield forbidden(f"{path}.{name}", "may not specify more than 1 volume type")
    if volume.empty_dir is not None:
        yield from _empty_dir(volume.empty_dir, f"{path}.emptyDir")
    if volume.host_path is not None:
        yield from _host_path(volume.host_path, f"{path}.hostPath")
    if volume.image is not None:
        yield from _image(volume.image, f"{path}.image")
    yield from _of_objects(volume, path)


def _of_objects(volume: Volume, path: str) -> Iterator[Finding]:
    """Of those sources that are made from other objects, or stand for one."""
    if volume.secret is not None:
        yield from object_volume(volume.secret, volume.secret.secret_name, f"{path}.secret", "secretName")
    if volume.config_map is not None:
        yield from object_volume(volume.config_map, volume.config_map.name, f"{path}.configMap", "name")
    if volume.downward_api is not None:
        yield from downward_volume(volume.downward_api, f"{path}.downwardAPI")
    if volume.projected is not None:
        yield from projected_volume(volume.projected, f"{path}.projected")
    yield from _claims(volume, path)


def _claims(volume: Volume, path: str) -> Iterator[Finding]:
    if volume.persistent_volume_claim is not None and not volume.persistent_volume_claim.claim_name:
        yield required(f"{path}.persistentVolumeClaim.claimName")
    if volume.ephemeral is not None and not volume.ephemeral.volume_claim_template:
        yield required(f"{path}.ephemeral.volumeClaimTemplate")


def _empty_dir(source: EmptyDir, path: str) -> Iterator[Finding]:
    yield from one_of(f"{path}.medium", source.medium, ("", "Memory"))
    if source.size_limit is not None:
        yield from amount(source.size_limit, f"{path}.sizeLimit")


def _image(source: ImageVolume, path: str) -> Iterator[Finding]:
    if not source.reference:
        yield required(f"{path}.reference")
    if source.pull_policy:
        yield from one_of(f"{path}.pullPolicy", source.pull_policy, ("Always", "IfNotPresent", "Never"))


def _host_path(source: HostPath, path: str) -> Iterator[Finding]:
    if not source.path:
        yield required(f"{path}.path")
    elif not source.path.startswith("/"):  # the API server leaves this to the node
        yield invalid(f"{path}.path", source.path, "must be an absolute path")
    yield from no_backsteps(source.path, f"{path}.path")
    yield from one_of(f"{path}.type", source.type, _HOST_PATH_TYPES)
