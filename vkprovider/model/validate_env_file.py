"""Whether variables from files make sense: validateFileKeySelector and validateFileKeyRefVolumes of
core/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from vkprovider.model import names
from vkprovider.model.container import Container, FileKeySelector
from vkprovider.model.findings import Finding, each, invalid, not_found, required
from vkprovider.model.pod import PodSpec
from vkprovider.model.validate_path import no_backsteps


def env_file(selector: FileKeySelector, path: str) -> Iterator[Finding]:
    if not selector.key:
        yield required(f"{path}.key")
    else:
        yield from each(f"{path}.key", selector.key, names.env_name(selector.key))
    if not selector.volume_name:
        yield required(f"{path}.volumeName")
    else:
        yield from each(f"{path}.volumeName", selector.volume_name, names.label(selector.volume_name))
    if not selector.path:
        yield required(f"{path}.path")
    else:
        yield from no_backsteps(selector.path, f"{path}.path")


def env_file_volumes(spec: PodSpec, container: Container, path: str) -> Iterator[Finding]:
    """The volumes that files are in must be there, and be an emptyDir; ``path`` is that of the container."""
    declared = {volume.name for volume in spec.volumes}
    empty = {volume.name for volume in spec.volumes if volume.empty_dir is not None}
    for place, variable in enumerate(container.env):
        file = variable.value_from and variable.value_from.file_key_ref
        if file and file.volume_name not in empty:
            yield _volume(file.volume_name, declared, f"{path}.env[{place}].valueFrom.fileKeyRef.volumeName")


def _volume(name: str, declared: Collection[str], path: str) -> Finding:
    if name not in declared:
        return not_found(path, name, "the pod has no volume of that name")
    return invalid(path, name, "referenced volume must be of type emptyDir")
