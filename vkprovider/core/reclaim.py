"""Which pod a node ends when it runs low, and in which words: pkg/kubelet/eviction/helpers.go.

Pods that use more than they request go first, among those the ones of least priority, then the one that is furthest
above its requests. Of processes nobody requests any: there it is priority, then number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from vkprovider.core.admission import is_critical, priority
from vkprovider.core.claims import claim_if_readable
from vkprovider.core.resources import EPHEMERAL_STORAGE, MEMORY
from vkprovider.core.thresholds import INODES, PIDS, Readings, Threshold, resource_of
from vkprovider.core.view import Eviction
from vkprovider.model.pod import Pod
from vkprovider.model.quantity import in_binary, whole

EVICTED = "Evicted"
GRACE_SECONDS = 1  # immediateEvictionGracePeriodSeconds


class ContainerUse(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes; None where it was not measured. ``disk`` is the writable layer and the logs."""

    name: str
    memory: int | None = None
    disk: int | None = None


class PodUse(msgspec.Struct, frozen=True, kw_only=True):
    """What a pod uses, ``disk`` with its volumes there. Bytes, and pieces of processes."""

    containers: tuple[ContainerUse, ...] = ()
    disk: int = 0
    processes: int = 0

    @property
    def memory(self) -> int:
        return sum(container.memory or 0 for container in self.containers)


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A pod that could be ended; ``usage`` None where nobody can tell, and such a one goes first."""

    pod: Pod
    usage: PodUse | None = None


def choose(candidates: Iterable[Candidate], low: Threshold) -> Candidate | None:
    """The one to end; None where nobody may be: critical pods never are."""
    resource = resource_of(low)
    allowed = (candidate for candidate in candidates if not is_critical(candidate.pod))
    return min(allowed, key=lambda candidate: _rank(candidate, resource), default=None)


def pressure_eviction(candidate: Candidate, low: Threshold, readings: Readings) -> Eviction:
    """The end of the pod that was chosen: Failed, almost at once, and a Job need not count it against itself."""
    message = "".join(_sentences(candidate, resource_of(low), low, readings))
    return Eviction(reason=EVICTED, message=message, grace_seconds=GRACE_SECONDS, signal=low.signal)


def _rank(candidate: Candidate, resource: str) -> tuple[bool, bool, int, int]:
    """The least goes first."""
    pod, usage = candidate.pod, candidate.usage
    if usage is None:
        return False, False, priority(pod), 0
    if resource == PIDS:
        return True, False, priority(pod), -usage.processes
    used = usage.memory if resource == MEMORY else usage.disk
    requested = claim_if_readable(pod).amounts.get(MEMORY if resource == MEMORY else EPHEMERAL_STORAGE, 0)
    exceeds = used > (0 if resource == INODES else requested)
    return True, not exceeds, priority(pod), requested - used


def _sentences(candidate: Candidate, resource: str, low: Threshold, readings: Readings) -> Iterator[str]:
    reading = readings[low.signal]
    least = in_binary(low.amount(reading.capacity)) if low.least.endswith("%") else low.least
    available = str(reading.available) if resource in (INODES, PIDS) else in_binary(reading.available)
    yield f"The node was low on resource: {resource}. "
    yield f"Threshold quantity: {least}, available: {available}. "
    pod, usage = candidate.pod, candidate.usage
    if usage is None or resource not in (MEMORY, EPHEMERAL_STORAGE):
        return
    asked = pod.spec.resources.requests if pod.spec.resources is not None else {}
    if resource == MEMORY and MEMORY in asked:
        yield _larger(f"Pod {pod.metadata.name}", usage.memory, asked, resource)
    requests = {c.name: c.resources.requests for c in (*pod.spec.containers, *pod.spec.init_containers)}
    for container in _by_name(usage.containers):
        used = container.memory if resource == MEMORY else container.disk
        wanted = requests.get(container.name)
        if used is not None and wanted is not None and used > whole(wanted.get(resource, 0)):
            yield _larger(f"Container {container.name}", used, wanted, resource)


def _larger(who: str, used: int, requests: Mapping[str, Any], resource: str) -> str:
    wanted = requests.get(resource, 0)
    return f"{who} was using {in_binary(used)}, request is {wanted}, has larger consumption of {resource}. "


def _by_name(containers: Sequence[ContainerUse]) -> list[ContainerUse]:
    return sorted(containers, key=lambda container: container.name)
