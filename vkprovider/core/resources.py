"""Quantities of a pod spec as numbers for the kernel: shares, quota, bytes and the OOM score.

The arithmetic is pkg/kubelet/cm/helpers_linux.go, pkg/kubelet/kuberuntime/kuberuntime_container_linux.go,
pkg/kubelet/qos/policy.go and pkg/apis/core/v1/helper/qos.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal

from vkprovider.model.container import Container, ResourceRequirements
from vkprovider.model.create import Limits
from vkprovider.model.pod import PodSpec
from vkprovider.model.quantity import parse

CPU = "cpu"
MEMORY = "memory"
EPHEMERAL_STORAGE = "ephemeral-storage"

GUARANTEED = "Guaranteed"
BURSTABLE = "Burstable"
BEST_EFFORT = "BestEffort"

SANDBOX_OOM_SCORE = -998
_GUARANTEED_OOM_SCORE = -997
_BEST_EFFORT_OOM_SCORE = 1000

_NODE_CRITICAL = "system-node-critical"

_MIN_SHARES, _MAX_SHARES = 2, 262_144
_PERIOD_MICROS = 100_000
_MIN_QUOTA_MICROS = 1000


def qos_class(spec: PodSpec) -> str:
    """Guaranteed, Burstable or BestEffort, from the requests and limits of the pod as a whole where it has any, else
    from those of all init and regular containers.
    """
    if spec.resources is not None:
        return _qos_of_whole(spec, spec.resources)
    containers = [*spec.containers, *spec.init_containers]
    requests = _total(containers, _request)
    limits = _total(containers, _limit)
    if not any(requests.values()) and not any(limits.values()):
        return BEST_EFFORT
    limited = all(_limit(container, name) > 0 for container in containers for name in (CPU, MEMORY))
    return GUARANTEED if limited and requests == limits else BURSTABLE


def container_limits(spec: PodSpec, container: Container, node_memory: int) -> Limits:
    """The cgroup settings of one container; ``node_memory`` is the machine's, in bytes. Where it has no limit of its
    own that of the pod is its limit too.
    """
    requests = container.resources.requests
    cpu = _limit_in(spec, container, CPU)
    return Limits(
        cpu_shares=_shares(parse(requests[CPU]) if CPU in requests else cpu),
        cpu_quota=_quota(cpu),
        cpu_period=_PERIOD_MICROS,
        memory=max(0, _ceil(_limit_in(spec, container, MEMORY))),
        oom_score_adj=_oom_score(spec, container, node_memory),
    )


def pod_limits(spec: PodSpec, pids: int = 0) -> Limits | None:
    """What all containers may use together; None where the pod as a whole has no limits. ``pids`` is the node's."""
    limits = spec.resources.limits if spec.resources is not None else {}
    if not limits and not pids:
        return None
    overhead = {name: parse(quantity) for name, quantity in spec.overhead.items()}
    cpu, memory = (
        parse(limits[name]) + overhead.get(name, 0) if name in limits else Decimal(0) for name in (CPU, MEMORY)
    )
    requested = whole_requests(spec).get(CPU) or _peak(spec, _request, CPU)
    return Limits(
        cpu_shares=_shares(requested + overhead.get(CPU, 0)),
        cpu_quota=_quota(cpu),
        cpu_period=_PERIOD_MICROS,
        memory=max(0, _ceil(memory)),
        pids=pids,
    )


def unshared_limits(spec: PodSpec) -> str:
    """What is to be said where the engine cannot limit a pod as a whole; "" of a pod for which that is no matter."""
    if pod_limits(spec) is None or len(spec.containers) + len(spec.init_containers) == 1:
        return ""
    named = ", ".join(f"{name} {limit}" for name, limit in spec.resources.limits.items()) if spec.resources else ""
    return (
        f"the limits of the pod as a whole ({named}) hold for each of its containers by itself: this engine's cgroups "
        "cannot be shared by a pod from here (a Docker engine on this machine with the cgroup driver cgroupfs can)"
    )


def pod_memory_limit(spec: PodSpec) -> int:
    """The memory in bytes all containers of a pod may use together, 0 if there is no end to it."""
    whole_pod = pod_limits(spec)
    if whole_pod is not None and whole_pod.memory:
        return whole_pod.memory
    if any(_limit(container, MEMORY) <= 0 for container in (*spec.containers, *spec.init_containers)):
        return 0
    return _ceil(_peak(spec, _limit, MEMORY))


def most_allowed(spec: PodSpec, name: str) -> int:
    """The sum of the containers' limits of a resource, in whole units; those without one count as nothing."""
    return _ceil(_peak(spec, _limit, name))


def _request(container: Container, name: str) -> Decimal:
    """A request; where only a limit is set it is that, as the API server defaults it (pkg/apis/core/v1/defaults.go)."""
    requests = container.resources.requests
    return parse(requests[name]) if name in requests else _limit(container, name)


def _limit(container: Container, name: str) -> Decimal:
    return parse(container.resources.limits.get(name, 0))


def _limit_in(spec: PodSpec, container: Container, name: str) -> Decimal:
    """A container's limit, or else its pod's."""
    own = _limit(container, name)
    if own or spec.resources is None:
        return own
    return parse(spec.resources.limits.get(name, 0))


def whole_requests(spec: PodSpec) -> dict[str, Decimal]:
    """What the pod requests as a whole, by resource. With limits of its own, what it does not name is what its
    containers request, or else its limit, as the API server fills it in (defaults.go defaultPodRequests).
    """
    if spec.resources is None:
        return {}
    filled: dict[str, Decimal] = {}
    if spec.resources.limits:
        totals = {name: _peak(spec, _request, name) for name in (CPU, MEMORY)}
        filled = {name: parse(limit) for name, limit in spec.resources.limits.items()}
        filled |= {name: total for name, total in totals.items() if total}
    return filled | {name: parse(request) for name, request in spec.resources.requests.items()}


def _qos_of_whole(spec: PodSpec, resources: ResourceRequirements) -> str:
    limits = {name: amount for name in (CPU, MEMORY) if (amount := parse(resources.limits.get(name, 0)))}
    requests = {name: amount for name, amount in whole_requests(spec).items() if amount and name in (CPU, MEMORY)}
    if not requests and not limits:
        return BEST_EFFORT
    return GUARANTEED if len(limits) == len((CPU, MEMORY)) and requests == limits else BURSTABLE


def _total(containers: list[Container], amount: Callable[[Container, str], Decimal]) -> dict[str, Decimal]:
    return {name: sum((amount(container, name) for container in containers), Decimal(0)) for name in (CPU, MEMORY)}


def _shares(request: Decimal) -> int:
    return min(max(_ceil(request * 1000) * 1024 // 1000, _MIN_SHARES), _MAX_SHARES)


def _quota(limit: Decimal) -> int:
    return max(_ceil(limit * 1000) * _PERIOD_MICROS // 1000, _MIN_QUOTA_MICROS) if limit > 0 else 0


def _oom_score(spec: PodSpec, container: Container, node_memory: int) -> int:
    """How likely the kernel takes this container when memory is out: the less of its request it uses, the later."""
    qos = qos_class(spec)
    if qos == GUARANTEED or spec.priority_class_name == _NODE_CRITICAL:
        return _GUARANTEED_OOM_SCORE
    if qos == BEST_EFFORT:
        return _BEST_EFFORT_OOM_SCORE
    share = _unclaimed_share(spec)
    score = _burstable_score(_ceil(_request(container, MEMORY)) + share, node_memory)
    if container.restart_policy == "Always" and container in spec.init_containers:
        # A sidecar must not be taken before the containers it serves.
        least = min(_ceil(_request(regular, MEMORY)) for regular in spec.containers)
        score = min(score, _burstable_score(least + share, node_memory))
    return min(max(score, 1000 + _GUARANTEED_OOM_SCORE), _BEST_EFFORT_OOM_SCORE - 1)


def _unclaimed_share(spec: PodSpec) -> int:
    """What no container has asked for of the pod's memory, in equal parts (remainingPodMemReqPerContainer)."""
    requested = whole_requests(spec).get(MEMORY)
    if not requested:
        return 0
    claimed = _ceil(_peak(spec, _request, MEMORY))
    unclaimed = max(0, _ceil(requested) - claimed)
    return unclaimed // (len(spec.containers) + len(spec.init_containers))


def _peak(spec: PodSpec, amount: Callable[[Container, str], Decimal], name: str) -> Decimal:
    """The most that containers have together: sidecars all the time, plain init containers one after the other."""
    sidecars, peak = Decimal(0), Decimal(0)
    for container in spec.init_containers:
        peak = max(peak, sidecars + amount(container, name))
        if container.restart_policy == "Always":
            sidecars += amount(container, name)
    return max(peak, sidecars + sum((amount(container, name) for container in spec.containers), Decimal(0)))


def _burstable_score(request: int, node_memory: int) -> int:
    return 1000 - 1000 * request // node_memory


def _ceil(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_CEILING))
