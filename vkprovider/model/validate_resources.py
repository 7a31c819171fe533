"""Whether resource requests and limits make sense. validation.go ValidateContainerResourceRequirements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from vkprovider.errors import SpecError
from vkprovider.model.container import ResourceRequirements
from vkprovider.model.findings import Finding, invalid, one_of
from vkprovider.model.pod import PodSpec
from vkprovider.model.quantity import parse
from vkprovider.model.unsupported import REFUSAL

Quantity = str | int | float

_WHOLE_POD = ("cpu", "memory")
_STANDARD = ("cpu", "memory", "ephemeral-storage")
_INT64 = 2**63 - 1


def resources(asked: ResourceRequirements, path: str) -> Iterator[Finding]:
    yield from _list(asked.limits, f"{path}.limits")
    # What was taken over from the limits is not complained about twice.
    own = {name: request for name, request in asked.requests.items() if asked.limits.get(name) != request}
    yield from _list(own, f"{path}.requests")
    for name, request in asked.requests.items():
        limit = asked.limits.get(name)
        if limit is not None and _exceeds(request, limit):
            rule = f"must be less than or equal to {name} limit of {limit}"
            yield invalid(f"{path}.requests[{name}]", request, rule)


def pod_resources(spec: PodSpec, path: str) -> Iterator[Finding]:
    """Those of a pod as a whole (ValidatePodResourceRequirements, validatePodResourceConsistency)."""
    if spec.resources is None:
        return
    at = f"{path}.resources"
    known = {kind: _known(quantities) for kind, quantities in _kinds(spec.resources)}
    for kind, quantities in _kinds(spec.resources):
        for name in quantities.keys() - known[kind].keys():
            yield from one_of(f"{at}.{kind}[{name}]", name, _WHOLE_POD)
    yield from resources(ResourceRequirements(limits=known["limits"], requests=known["requests"]), at)
    for place, container in enumerate(spec.containers):
        for name, most in known["limits"].items():
            limit = container.resources.limits.get(name, 0)
            if _exceeds(limit, most):
                rule = f"must be less than or equal to pod limits of {most}"
                yield invalid(f"{path}.containers[{place}].resources.limits[{name}]", limit, rule)


def _kinds(asked: ResourceRequirements) -> tuple[tuple[str, Mapping[str, Quantity]], ...]:
    return ("limits", asked.limits), ("requests", asked.requests)


def _known(quantities: Mapping[str, Quantity]) -> dict[str, Quantity]:
    return {name: quantity for name, quantity in quantities.items() if name in _WHOLE_POD}


def amount(quantity: Quantity, path: str) -> Iterator[Finding]:
    """A finding unless ``quantity`` is one that is not negative and fits the API's 64 bits."""
    value = _value(quantity)
    if value is None:
        example = "a number with a suffix or none, as 2, 500m, 128Mi or 1.5Gi"
        yield invalid(path, quantity, f"must be a quantity: {example}")
    elif value < 0:
        yield invalid(path, quantity, "must be greater than or equal to 0")
    elif value > _INT64:
        yield invalid(path, quantity, f"must be less than or equal to {_INT64}")


def _list(quantities: Mapping[str, Quantity], path: str) -> Iterator[Finding]:
    for name, quantity in quantities.items():
        at = f"{path}[{name}]"
        if name.startswith("hugepages-") or "/" in name:
            yield Finding(at, REFUSAL)
        elif name not in _STANDARD:
            yield invalid(at, name, "must be a standard resource for containers")
        yield from amount(quantity, at)


def _exceeds(request: Quantity, limit: Quantity) -> bool:
    asked, allowed = _value(request), _value(limit)
    return asked is not None and allowed is not None and asked > allowed


def _value(quantity: Quantity) -> Decimal | None:
    try:
        return parse(quantity)
    except SpecError:
        return None
