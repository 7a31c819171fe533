"""What a pod takes of a node for as long as it is there: resources by its requests, and ports of the host.

The arithmetic is component-helpers/resource/helpers.go PodRequests; units are those of the scheduler: thousandths of
a cpu, whole units of everything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from vkprovider.core.resources import CPU, whole_requests
from vkprovider.errors import SpecError
from vkprovider.model.container import Container
from vkprovider.model.pod import Pod
from vkprovider.model.quantity import millis, parse, whole

_ANY_ADDRESS = "0.0.0.0"
_Amounts = dict[str, Decimal]


class HostPort(msgspec.Struct, frozen=True, order=True):
    """A port of the host; ``ip`` 0.0.0.0 is every address."""

    port: int
    protocol: str = "TCP"
    ip: str = _ANY_ADDRESS


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A pod's share: ``amounts`` by resource name, cpu in thousandths."""

    amounts: Mapping[str, int] = {}
    ports: frozenset[HostPort] = frozenset()


def claim(pod: Pod) -> Claim:
    """What ``pod`` takes, sidecars for its whole life and plain init containers one after the other.

    Raises SpecError where a quantity cannot be read.
    """
    overhead = {name: parse(quantity) for name, quantity in pod.spec.overhead.items()}
    total = _added(_requests(pod) | whole_requests(pod.spec), overhead)
    return Claim(amounts={name: in_units(name, amount) for name, amount in total.items()}, ports=_host_ports(pod))


def claim_if_readable(pod: Pod) -> Claim:
    """What ``pod`` takes; nothing where a quantity of it cannot be read."""
    try:
        return claim(pod)
    except SpecError:
        return Claim()


def in_units(name: str, quantity: Decimal | str | int | float) -> int:
    """A quantity of the resource ``name`` as the scheduler counts it, rounded up."""
    return millis(str(quantity)) if name == CPU else whole(str(quantity))


def collide(one: frozenset[HostPort], other: frozenset[HostPort]) -> bool:
    """Whether two pods want the same port of the host (pkg/scheduler/framework/types.go HostPortInfo)."""
    return any(
        a.port == b.port and a.protocol == b.protocol and (a.ip == b.ip or _ANY_ADDRESS in (a.ip, b.ip))
        for a in one
        for b in other
    )


def _requests(pod: Pod) -> _Amounts:
    sidecars: _Amounts = {}
    peak: _Amounts = {}
    for container in pod.spec.init_containers:
        asked = _asked(container)
        peak = _greatest(peak, _added(sidecars, asked))
        if container.restart_policy == "Always":
            sidecars = _added(sidecars, asked)
    return _greatest(peak, _added(sidecars, *map(_asked, pod.spec.containers)))


def _asked(container: Container) -> _Amounts:
    """Requests; a resource with a limit alone is requested to that, as the API server defaults it (defaults.go)."""
    resources = container.resources
    return {name: parse(quantity) for name, quantity in (resources.limits | resources.requests).items()}


def _added(*lists: _Amounts) -> _Amounts:
    return {name: sum((one.get(name, Decimal(0)) for one in lists), Decimal(0)) for name in _names(lists)}


def _greatest(*lists: _Amounts) -> _Amounts:
    return {name: max(one.get(name, Decimal(0)) for one in lists) for name in _names(lists)}


def _names(lists: Iterable[_Amounts]) -> list[str]:
    return list(dict.fromkeys(name for one in lists for name in one))


def _host_ports(pod: Pod) -> frozenset[HostPort]:
    """Of the containers that run all the while: a plain init container's port is free again in time."""
    lasting = [c for c in pod.spec.init_containers if c.restart_policy == "Always"]
    return frozenset(
        HostPort(port.host_port, port.protocol or "TCP", port.host_ip or _ANY_ADDRESS)
        for container in (*lasting, *pod.spec.containers)
        for port in container.ports
        if port.host_port > 0
    )
