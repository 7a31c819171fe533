"""Label selectors: what they are, whether one holds for labels, and whether it makes sense."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vkprovider.model import names
from vkprovider.model.base import Model
from vkprovider.model.findings import Finding, each, forbidden, invalid, required


class LabelSelectorRequirement(Model, frozen=True, kw_only=True):
    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(Model, frozen=True, kw_only=True):
    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether a selector holds for labels; an empty one does for all."""
    return selector.match_labels.items() <= labels.items() and all(
        _holds(requirement, labels.get(requirement.key)) for requirement in selector.match_expressions
    )


def is_empty(selector: LabelSelector) -> bool:
    return not (selector.match_labels or selector.match_expressions)


def selector_findings(selector: LabelSelector, path: str) -> Iterator[Finding]:
    """ValidateLabelSelector of apimachinery/pkg/apis/meta/v1/validation."""
    for key, value in selector.match_labels.items():
        yield from each(f"{path}.matchLabels", key, names.qualified(key))
        yield from each(f"{path}.matchLabels[{key}]", value, names.label_value(value))
    for place, requirement in enumerate(selector.match_expressions):
        at = f"{path}.matchExpressions[{place}]"
        if requirement.operator in ("In", "NotIn"):
            if not requirement.values:
                yield required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif requirement.operator in ("Exists", "DoesNotExist"):
            if requirement.values:
                rule = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                yield forbidden(f"{at}.values", rule)
        else:
            yield invalid(f"{at}.operator", requirement.operator, "not a valid selector operator")
        yield from each(f"{at}.key", requirement.key, names.qualified(requirement.key))
        for number, value in enumerate(requirement.values):
            yield from each(f"{at}.values[{number}]", value, names.label_value(value))


def _holds(requirement: LabelSelectorRequirement, value: str | None) -> bool:
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return False
