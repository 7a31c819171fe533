"""spec.podFailurePolicy of a Job: what the failure of one pod means (pkg/controller/job/pod_failure_policy.go)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from vkprovider.model.job import OnExitCodes, PodFailurePolicy, PodFailureRule
from vkprovider.standalone.pod_facts import ContainerReport, PodFact

FAIL_JOB, FAIL_INDEX, IGNORE = "FailJob", "FailIndex", "Ignore"


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """The rule that matched a failed pod; ``action`` is "" where none did. ``message`` says why the Job must fail."""

    action: str = ""
    message: str = ""

    @property
    def counts(self) -> bool:
        """Whether the failure counts towards the back-off limits."""
        return self.action != IGNORE


def match(policy: PodFailurePolicy | None, pod: PodFact) -> Match:
    """The first rule that matches the pod's exit codes or conditions."""
    for position, rule in enumerate(policy.rules if policy is not None else ()):
        cause = _cause(rule, pod)
        if cause:
            message = f"{cause} matching {rule.action} rule at index {position}" if rule.action == FAIL_JOB else ""
            return Match(action=rule.action, message=message)
    return Match()


def _cause(rule: PodFailureRule, pod: PodFact) -> str:
    """What of the pod the rule matches, in the Job controller's words; "" if nothing."""
    where = f"{pod.pod.metadata.namespace}/{pod.name}"
    if rule.on_exit_codes is not None:
        report = pod.report
        for statuses in (report.container_statuses, report.init_container_statuses):
            found = _matching(rule.on_exit_codes, statuses)
            if found is not None:
                name, code = found
                return f"Container {name} for pod {where} failed with exit code {code}"
        return ""
    wanted = {(pattern.type, pattern.status) for pattern in rule.on_pod_conditions}
    for condition in pod.report.conditions:
        if (condition.type, condition.status) in wanted:
            return f"Pod {where} has condition {condition.type}"
    return ""


def _matching(wanted: OnExitCodes, statuses: Iterable[ContainerReport]) -> tuple[str, int] | None:
    """The first ended container whose code matches. A code of 0 never does, nor does a container that still runs."""
    for status in statuses:
        end = status.state.terminated
        if end is None or end.exit_code == 0 or wanted.container_name not in (None, status.name):
            continue
        if (end.exit_code in wanted.values) == (wanted.operator == "In"):
            return status.name, end.exit_code
    return None
