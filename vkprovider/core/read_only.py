"""Mounts that are read-only with all that is mounted below them, on engines with a runtime that can do it."""

from __future__ import annotations

import msgspec

from vkprovider.core.faults import Fault
from vkprovider.core.mounts import absolute
from vkprovider.model.container import Container, VolumeMount
from vkprovider.model.create import Mount

DISABLED, IF_POSSIBLE, ENABLED = "Disabled", "IfPossible", "Enabled"


def is_recursive(wanted: VolumeMount, *, able: bool) -> bool:
    """Whether a mount is to be read-only in all of its depth; ``able`` says if the pod's runtime can make it so.

    Raises Fault in the words of pkg/kubelet/kubelet_pods.go resolveRecursiveReadOnly.
    """
    if wanted.recursive_read_only == DISABLED:
        return False
    asked = f'volume "{wanted.name}" requested recursive read-only mode, but it is not'
    if not wanted.read_only:
        raise Fault(f"{asked} read-only")
    if wanted.mount_propagation != "None":
        raise Fault(f'{asked} compatible with propagation "{wanted.mount_propagation}"')
    if wanted.recursive_read_only not in (IF_POSSIBLE, ENABLED):
        raise Fault(f'unknown recursive read-only mode "{wanted.recursive_read_only}"')
    if wanted.recursive_read_only == ENABLED and not able:
        raise Fault(f"{asked} supported by the runtime")
    return able


def effective_mode(wanted: VolumeMount, *, able: bool) -> str:
    """What the status of a container says of a read-only mount."""
    try:
        return ENABLED if is_recursive(wanted, able=able) else DISABLED
    except Fault:
        return DISABLED


def in_depth(container: Container, mounts: tuple[Mount, ...], *, able: bool) -> tuple[Mount, ...]:
    """The container's mounts, with those marked that are to be so. Raises Fault."""
    deep = {absolute(wanted.mount_path) for wanted in container.volume_mounts if is_recursive(wanted, able=able)}
    return tuple(
        msgspec.structs.replace(mount, recursive_read_only=True) if mount.target in deep else mount for mount in mounts
    )
