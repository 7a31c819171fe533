"""Whether a container's own restart policy makes sense: validateContainerRestartPolicy of core/validation."""

from __future__ import annotations

from collections.abc import Iterator

from vkprovider.model.container import Container, ExitCodes
from vkprovider.model.findings import Finding, one_of, required, too_many

_RULES_MAX = 20
_CODES_MAX = 255


def restarting(container: Container, path: str) -> Iterator[Finding]:
    """Findings on the restart policy of a container and on its rules, each judged for itself."""
    rules = container.restart_policy_rules
    if container.restart_policy is not None:
        yield from one_of(f"{path}.restartPolicy", container.restart_policy, ("Always", "OnFailure", "Never"))
    elif rules:
        yield required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used")
    if len(rules) > _RULES_MAX:
        yield too_many(f"{path}.restartPolicyRules", len(rules), _RULES_MAX)
    for place, rule in enumerate(rules):
        at = f"{path}.restartPolicyRules[{place}]"
        yield from one_of(f"{at}.action", rule.action, ("Restart",))
        if rule.exit_codes is None:
            yield required(f"{at}.exitCodes", "must be specified")
        else:
            yield from _exit_codes(rule.exit_codes, f"{at}.exitCodes")


def _exit_codes(codes: ExitCodes, path: str) -> Iterator[Finding]:
    yield from one_of(f"{path}.operator", codes.operator, ("In", "NotIn"))
    if not codes.values:
        yield required(f"{path}.values", "at least one value must be specified")
    elif len(codes.values) > _CODES_MAX:
        yield too_many(f"{path}.values", len(codes.values), _CODES_MAX)
