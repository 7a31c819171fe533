"""Containers that ask for capabilities which the engine's host lets nobody have: they get all the others."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from vkprovider.model.create import ContainerCreate, DeviceMapping

_ALL = "ALL"
_EVERY_DEVICE = DeviceMapping(source="/dev", target="/dev")
_UNCONFINED = ("seccomp=unconfined", "apparmor=unconfined", "label=disable")


def without(spec: ContainerCreate, withheld: Collection[str], *, known: bool) -> ContainerCreate:
    """The same without the capabilities ``withheld``, by their names without ``CAP_``.

    Where they are ``known`` to the engine it means by all capabilities those that there are, and refuses the names of
    others. Else it gives a privileged container all or does not start it: it becomes one with all that there are, every
    device and nothing that confines it; what it has less is that its /sys is read-only at first.
    """
    if not withheld:
        return spec
    added = tuple(name for name in spec.cap_add if name not in withheld)
    if known:
        dropped = tuple(name for name in spec.cap_drop if name not in withheld)
        return msgspec.structs.replace(spec, cap_add=added, cap_drop=dropped)
    if spec.privileged:
        return msgspec.structs.replace(
            spec,
            privileged=False,
            cap_add=(_ALL,),
            cap_drop=tuple(withheld),
            security_opts=_UNCONFINED,
            unmasked=True,
            devices=(_EVERY_DEVICE, *spec.devices),
        )
    dropped = spec.cap_drop + (tuple(withheld) if _ALL in added else ())
    return msgspec.structs.replace(spec, cap_add=added, cap_drop=dropped)
