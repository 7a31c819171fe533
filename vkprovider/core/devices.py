"""Devices that containers ask for by the name of an extended resource, and which of them each one is given.

As in pkg/kubelet/cm/devicemanager: a device belongs to one container until its pod is over, but what a plain init
container had goes on to those that follow it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from vkprovider.core.actions import PodEvent
from vkprovider.core.faults import Fault
from vkprovider.core.view import Eviction, PodView
from vkprovider.model.container import Container
from vkprovider.model.create import DeviceMapping
from vkprovider.model.pod import PodSpec
from vkprovider.model.quantity import whole

NVIDIA_GPU = "nvidia.com/gpu"
UNEXPECTED = "UnexpectedAdmissionError"  # pkg/kubelet/cm/admission/errors.go

Given = Mapping[str, Sequence[str]]  # ids of devices, by resource


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One that can be given away. ``mapping`` is None for a GPU: the engine knows by its ``id`` what belongs to it."""

    id: str
    mapping: DeviceMapping | None = None


class Shortage(Exception):
    """There are fewer devices than a container wants."""


def assign_devices(view: PodView) -> tuple[PodView, tuple[PodEvent, ...]]:
    """The view with the devices that the pod is given from now on, written down before anything is created with them.

    Where there are not enough the pod is turned away: its end is the one that ``eviction`` then asks for.
    """
    room, record = view.room, view.record
    going = record.ending is not None or view.pod.metadata.deletion_timestamp is not None
    if room is None or record.devices or going or not wants_devices(view.pod.spec, room.devices):
        return view, ()
    try:
        devices = allot(view.pod.spec, room.devices)
    except Shortage as shortage:
        message = f"Allocate failed due to {shortage}, which is unexpected"
        why = Eviction(reason=UNEXPECTED, message=f"Pod was rejected: {message}", grace_seconds=0, disruption=False)
        return msgspec.structs.replace(view, eviction=why), (
            PodEvent(type="Warning", reason=UNEXPECTED, message=message),
        )
    return msgspec.structs.replace(view, record=msgspec.structs.replace(record, devices=devices)), ()


def wants_devices(spec: PodSpec, names: Iterable[str]) -> bool:
    """Whether any container asks for a device of one of these names."""
    return any(_asked(container, name) for container in (*spec.init_containers, *spec.containers) for name in names)


def allot(spec: PodSpec, free: Mapping[str, Sequence[str]]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Devices for each container that asks for some, by its name and the resource's. Raises Shortage."""
    given: dict[str, dict[str, tuple[str, ...]]] = {}
    for name, ids in free.items():
        left, reusable = list(ids), list[str]()
        for container in (*spec.init_containers, *spec.containers):
            wanted = _asked(container, name)
            if not wanted:
                continue
            source = reusable + [device for device in left if device not in reusable]
            if wanted > len(source):
                numbers = f"Requested: {wanted}, Available: {len(source)}"
                raise Shortage(f"requested number of devices unavailable for {name}. {numbers}")
            taken = source[:wanted]
            given.setdefault(container.name, {})[name] = tuple(taken)
            left = [device for device in left if device not in taken]
            reusable = [device for device in reusable if device not in taken]
            if container in spec.init_containers and container.restart_policy != "Always":
                reusable += taken
    return given


def mapped(given: Given, devices: Mapping[str, Sequence[Device]]) -> tuple[tuple[DeviceMapping, ...], tuple[str, ...]]:
    """The files of the devices that a container was given, and the ids of its GPUs. Raises Fault for one that the node
    does not have any more.
    """
    found: list[Device] = []
    for name, ids in given.items():
        known = {device.id: device for device in devices.get(name, ())}
        for each in ids:
            if each not in known:
                raise Fault(f"the device {each} ({name}) is not one of this node's any more")
            found.append(known[each])
    files = tuple(dict.fromkeys(device.mapping for device in found if device.mapping is not None))
    return files, tuple(device.id for device in found if device.mapping is None)


def _asked(container: Container, name: str) -> int:
    resources = container.resources
    return whole(resources.limits.get(name, resources.requests.get(name, 0)))
