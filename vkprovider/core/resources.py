"""Quantities of a pod spec as numbers for the kernel: shares, quota, bytes and the OOM score.

The arithmetic is pkg/kubelet/cm/helpers_linux.go, pkg/kubelet/qos/policy.go and pkg/apis/core/v1/helper/qos.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal

from vkprovider.model.container import Container, ResourceRequirements
from vkprovider.model.create import Limits
from vkprovider.model.pod import PodSpec
from vkprovider.model.quantity import millis, parse, whole

CPU = "cpu"
MEMORY = "memory"

GUARANTEED = "Guaranteed"
BURSTABLE = "Burstable"
BEST_EFFORT = "BestEffort"

SANDBOX_OOM_SCORE = -998
_GUARANTEED_OOM_SCORE = -997
_BEST_EFFORT_OOM_SCORE = 1000

_MIN_SHARES, _MAX_SHARES = 2, 262_144
_PERIOD_MICROS = 100_000
_MIN_QUOTA_MICROS = 1000


def qos_class(spec: PodSpec) -> str:
    """Guaranteed, Burstable or BestEffort, from the requests and limits of all init and regular containers."""
    containers = [*spec.containers, *spec.init_containers]
    requests = _total(containers, _request)
    limits = _total(containers, _limit)
    if not any(requests.values()) and not any(limits.values()):
        return BEST_EFFORT
    limited = all(_limit(container, name) > 0 for container in containers for name in (CPU, MEMORY))
    return GUARANTEED if limited and requests == limits else BURSTABLE


def container_limits(spec: PodSpec, container: Container, node_memory: int) -> Limits:
    """The cgroup settings of one container; ``node_memory`` is the machine's, in bytes."""
    return Limits(
        cpu_shares=_shares(container.resources),
        cpu_quota=_quota(container.resources),
        cpu_period=_PERIOD_MICROS,
        memory=max(0, whole(container.resources.limits.get(MEMORY, 0))),
        oom_score_adj=_oom_score(spec, container, node_memory),
    )


def pod_memory_limit(spec: PodSpec) -> int:
    """The memory in bytes all containers of a pod may use together, 0 if any of them has no limit."""
    if any(_limit(container, MEMORY) <= 0 for container in (*spec.containers, *spec.init_containers)):
        return 0
    sidecars, peak = Decimal(0), Decimal(0)
    for container in spec.init_containers:
        peak = max(peak, sidecars + _limit(container, MEMORY))
        if container.restart_policy == "Always":
            sidecars += _limit(container, MEMORY)
    return _ceil(max(peak, sidecars + sum(_limit(container, MEMORY) for container in spec.containers)))


def _request(container: Container, name: str) -> Decimal:
    """A request; where only a limit is set it is that, as the API server defaults it (pkg/apis/core/v1/defaults.go)."""
    requests = container.resources.requests
    return parse(requests[name]) if name in requests else _limit(container, name)


def _limit(container: Container, name: str) -> Decimal:
    return parse(container.resources.limits.get(name, 0))


def _total(containers: list[Container], amount: Callable[[Container, str], Decimal]) -> dict[str, Decimal]:
    return {name: sum((amount(container, name) for container in containers), Decimal(0)) for name in (CPU, MEMORY)}


def _shares(resources: ResourceRequirements) -> int:
    request = millis(resources.requests.get(CPU, resources.limits.get(CPU, 0)))
    return min(max(request * 1024 // 1000, _MIN_SHARES), _MAX_SHARES)


def _quota(resources: ResourceRequirements) -> int:
    limit = millis(resources.limits.get(CPU, 0))
    return max(limit * _PERIOD_MICROS // 1000, _MIN_QUOTA_MICROS) if limit > 0 else 0


def _oom_score(spec: PodSpec, container: Container, node_memory: int) -> int:
    """How likely the kernel takes this container when memory is out: the less of its request it uses, the later."""
    qos = qos_class(spec)
    if qos == GUARANTEED:
        return _GUARANTEED_OOM_SCORE
    if qos == BEST_EFFORT:
        return _BEST_EFFORT_OOM_SCORE
    score = _burstable_score(container, node_memory)
    if container.restart_policy == "Always" and container in spec.init_containers:
        # A sidecar must not be taken before the containers it serves.
        least = min(spec.containers, key=lambda regular: _request(regular, MEMORY))
        score = min(score, _burstable_score(least, node_memory))
    return min(max(score, 1000 + _GUARANTEED_OOM_SCORE), _BEST_EFFORT_OOM_SCORE - 1)


def _burstable_score(container: Container, node_memory: int) -> int:
    return 1000 - 1000 * _ceil(_request(container, MEMORY)) // node_memory


def _ceil(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_CEILING))
