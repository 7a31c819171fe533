"""What a pod has been given of its node, as against what its specification asks for by now.

The specification of a running pod may change its requests and limits of cpu and memory. Until the node has agreed the
pod lives by what it was given: every other part of the core sees the pod ``as_allocated``.
Source: pkg/kubelet/allocation/allocation_manager.go (UpdatePodFromAllocation, IsResizableContainer).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from vkprovider.core.record import PodRecord
from vkprovider.core.resources import CPU, MEMORY
from vkprovider.model.container import Container, ResourceRequirements
from vkprovider.model.observed import ContainerState
from vkprovider.model.pod import Pod, PodSpec
from vkprovider.model.quantity import parse

RESIZABLE = (CPU, MEMORY)


def resizable(spec: PodSpec) -> tuple[Container, ...]:
    """The containers whose resources may change while they run: the regular ones and native sidecars."""
    return (*(c for c in spec.init_containers if c.restart_policy == "Always"), *spec.containers)


def asked(spec: PodSpec) -> dict[str, ResourceRequirements]:
    """What the specification asks for, by container."""
    return {container.name: container.resources for container in resizable(spec)}


def as_allocated(pod: Pod, record: PodRecord) -> Pod:
    """The pod with the resources it has been given; the pod itself where it asks for just those."""
    given = {name: r for name, r in asked(pod.spec).items() if record.allocated.get(name, r) != r}
    if not given:
        return pod
    spec = msgspec.structs.replace(
        pod.spec,
        init_containers=tuple(_with(c, record) if c.name in given else c for c in pod.spec.init_containers),
        containers=tuple(_with(c, record) if c.name in given else c for c in pod.spec.containers),
    )
    return msgspec.structs.replace(pod, spec=spec)


def applied(record: PodRecord, instance: ContainerState, container: Container) -> ResourceRequirements:
    """What an instance runs with: what it was last resized to, or else was created with."""
    return record.resized.get(instance.id) or instance.resources or container.resources


def same(one: ResourceRequirements, other: ResourceRequirements) -> bool:
    """Whether two ask for the same cpu and memory, however they spell it."""
    return one == other or amounts(one) == amounts(other)


def amounts(resources: ResourceRequirements) -> Mapping[tuple[str, str], Decimal]:
    """The exact values of what may be resized, by ("limits" or "requests", resource name)."""
    return {
        (kind, name): parse(quantities[name])
        for kind, quantities in (("limits", resources.limits), ("requests", resources.requests))
        for name in RESIZABLE
        if name in quantities
    }


def _with(container: Container, record: PodRecord) -> Container:
    return msgspec.structs.replace(container, resources=record.allocated[container.name])
