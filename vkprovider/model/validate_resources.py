"""Whether resource requests and limits make sense. validation.go ValidateContainerResourceRequirements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from vkprovider.errors import SpecError
from vkprovider.model.container import ResourceRequirements
from vkprovider.model.findings import Finding, invalid
from vkprovider.model.quantity import parse
from vkprovider.model.unsupported import REFUSAL

Quantity = str | int | float

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
