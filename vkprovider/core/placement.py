"""Whether a pod may be on a node by what both declare: selectors, node affinity, taints and tolerations.

The rules are component-helpers' scheduling/corev1 (nodeaffinity and helpers.go), which scheduler and kubelet share.
They are read from the raw spec: a node honours them only at the door.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

Json = Mapping[str, Any]
Match = Callable[[str | None, list[str]], bool]

NO_SCHEDULE = "NoSchedule"
PREFER_NO_SCHEDULE = "PreferNoSchedule"
NO_EXECUTE = "NoExecute"
EFFECTS = (NO_SCHEDULE, PREFER_NO_SCHEDULE, NO_EXECUTE)

_NAME = "metadata.name"
_INTEGER = re.compile(r"^[+-]?[0-9]+$")  # what Go's ParseInt takes


class Taint(msgspec.Struct, frozen=True, kw_only=True):
    """A taint of a node, as in its spec; a server's ``timeAdded`` is not part of it."""

    key: str
    value: str = ""
    effect: str = NO_SCHEDULE

    def __str__(self) -> str:
        """As ``kubectl taint`` writes it."""
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


def tolerates(tolerations: Iterable[Json], taint: Taint) -> bool:
    """Whether any of a pod's tolerations is for this taint (api/core/v1/toleration.go)."""
    return any(_tolerates(toleration, taint) for toleration in tolerations)


def matches_node(spec: Json, name: str, labels: Mapping[str, str]) -> bool:
    """Whether a node is one that the pod's nodeSelector and required node affinity ask for."""
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    return selects_node(affinity.get("requiredDuringSchedulingIgnoredDuringExecution"), name, labels)


def selects_node(selector: Json | None, name: str, labels: Mapping[str, str]) -> bool:
    """Whether a node is one of those that a v1.NodeSelector is for; without a selector any is."""
    if selector is None:
        return True
    return any(_term_matches(term, name, labels) for term in selector.get("nodeSelectorTerms") or ())


def _tolerates(toleration: Json, taint: Taint) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.effect:
        return False
    if toleration.get("key") and toleration["key"] != taint.key:
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Equal":
        return bool(toleration.get("value", "") == taint.value)
    return bool(operator == "Exists")


def _term_matches(term: Json, name: str, labels: Mapping[str, str]) -> bool:
    """All expressions of a term hold; a term without any selects nothing."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return all(_holds(_OPERATORS, expression, labels.get(expression["key"])) for expression in expressions) and all(
        _holds(_FIELD_OPERATORS, field, name if field["key"] == _NAME else None) for field in fields
    )


def _holds(operators: Mapping[str, Match], requirement: Json, actual: str | None) -> bool:
    """An operator that is not known holds for nothing, as with a scheduler that is older than the API server."""
    match = operators.get(requirement["operator"])
    return match is not None and match(actual, list(requirement.get("values") or ()))


def _compared(sign: int) -> Match:
    """The node's value must be greater (sign 1) or less (-1) than the one that is asked for, both being integers."""

    def match(actual: str | None, values: list[str]) -> bool:
        if actual is None or len(values) != 1 or not all(_INTEGER.match(text) for text in (actual, *values)):
            return False
        return (int(actual) - int(values[0])) * sign > 0

    return match


_FIELD_OPERATORS: dict[str, Match] = {
    "In": lambda actual, values: actual in values,
    "NotIn": lambda actual, values: actual not in values,
}
_OPERATORS: dict[str, Match] = _FIELD_OPERATORS | {
    "Exists": lambda actual, _: actual is not None,
    "DoesNotExist": lambda actual, _: actual is None,
    "Gt": _compared(1),
    "Lt": _compared(-1),
}
