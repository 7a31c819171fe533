"""What a sidecar gets of the pod's own containers: their volume mounts, and variables of theirs.

pkg/control/sidecarcontrol/util.go GetInjectedVolumeMountsAndEnvs and GetSidecarTransferEnvs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vkprovider.model import names
from vkprovider.sidecarset.model import ENABLED, Raw, SidecarContainer, TransferEnvVar

INJECTED = "IS_INJECTED"  # the variable by which an injected container is known

_EXPANDED = re.compile(r"\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)")
_KEYED_FIELD = re.compile(r"metadata\.(annotations|labels)\['(.*)'\]", re.DOTALL)


def shared_mounts(rules: SidecarContainer, pod: Mapping[str, Any]) -> tuple[list[Raw], list[Raw]]:
    """The mounts of the pod's own containers, and the variables that their ``subPathExpr`` name; none unless shared."""
    if rules.share_volume_policy.type != ENABLED:
        return [], []
    mounts: list[Raw] = []
    variables: list[Raw] = []
    for container in _own(pod):
        for mount in container.get("volumeMounts") or ():
            mounts.append(mount)
            for name in _EXPANDED.findall(mount.get("subPathExpr") or ""):
                variables += _variable(container, name)
    return mounts, variables


def transferred(rules: SidecarContainer, pod: Mapping[str, Any]) -> list[Raw]:
    """The variables that ``transferEnv`` names. A container or a variable that is not there is passed over."""
    containers = {container["name"]: container for container in _containers(pod)}
    found: list[Raw] = []
    for transfer in rules.transfer_env:
        source = containers.get(_source(transfer, pod))
        if source is not None:
            for name in sorted({transfer.env_name, *transfer.env_names} - {""}):
                found += _variable(source, name, last=True)
    return found


def with_mounts(container: Mapping[str, Any], additional: Sequence[Raw]) -> list[Raw]:
    """The container's mounts, and those of ``additional`` whose place is free (pkg/util/pods.go MergeVolumeMounts)."""
    merged = list(container.get("volumeMounts") or ())
    taken = {mount.get("mountPath") for mount in merged}
    taken |= {device.get("devicePath") for device in container.get("volumeDevices") or ()}
    for mount in additional:
        if mount.get("mountPath") not in taken:
            merged.append(mount)
            taken.add(mount.get("mountPath"))
    return merged


def by_name(given: Sequence[Raw], additional: Sequence[Raw]) -> list[Raw]:
    """``given`` as it is, and of ``additional`` the first of each name that is not among them."""
    merged = list(given)
    taken = {item.get("name") for item in given}
    for item in additional:
        if item.get("name") not in taken:
            merged.append(item)
            taken.add(item.get("name"))
    return merged


def _containers(pod: Mapping[str, Any]) -> Sequence[Raw]:
    found: Sequence[Raw] = (pod.get("spec") or {}).get("containers") or ()
    return found


def _own(pod: Mapping[str, Any]) -> Iterator[Raw]:
    """The pod's containers but for those that some set has injected."""
    for container in _containers(pod):
        first = _variable(container, INJECTED)
        if not (first and first[0].get("value") == "true"):
            yield container


def _variable(container: Mapping[str, Any], name: str, *, last: bool = False) -> list[Raw]:
    """The definition of a variable, if there is one; of several the first or the last."""
    found = [variable for variable in container.get("env") or () if variable.get("name") == name]
    return found[-1:] if last else found[:1]


def _source(transfer: TransferEnvVar, pod: Mapping[str, Any]) -> str:
    """The container to take from, "" where a label or annotation should name it and does not."""
    origin = transfer.source_container_name_from
    if origin is None or origin.field_ref is None:
        return transfer.source_container_name
    keyed = _KEYED_FIELD.fullmatch(origin.field_ref.field_path)
    if keyed is None or names.qualified(keyed[2].lower() if keyed[1] == "annotations" else keyed[2]):
        return ""
    marks = (pod.get("metadata") or {}).get(keyed[1]) or {}
    return str(marks.get(keyed[2], ""))
