"""Whether a Job makes sense, as the API server would judge it: pkg/apis/batch/validation/validation.go."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from vkprovider.model import names
from vkprovider.model.findings import (
    Finding,
    duplicate,
    each,
    invalid,
    not_negative,
    one_of,
    required,
    show,
    too_long,
    too_many,
)
from vkprovider.model.job import Job, JobSpec, OnExitCodes, PodFailureRule, SuccessPolicyRule
from vkprovider.model.selectors import selects
from vkprovider.model.validation import marks_findings, metadata_findings, spec_findings

_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_RULES_MAX = 20
_EXIT_CODES_MAX = 255
_HUGE = 100_000  # completions, parallelism and failed indexes of an Indexed Job
_LARGE = 10_000  # the same, where a back-off limit per index is to be kept for more than _HUGE completions
_INDEXES_MAX = 64 * 1024


def job_findings(job: Job) -> Iterator[Finding]:
    """What is wrong with a Job that is to be created, its defaults filled in."""
    spec = job.spec
    yield from metadata_findings(job.metadata)
    if len(job.metadata.name) > names.LABEL_MAX:  # it becomes a label of the pods
        yield invalid("metadata.name", job.metadata.name, f"must be no more than {names.LABEL_MAX} characters")
    elif job.indexed and spec.completions and not names.subdomain(job.metadata.name):
        host = f"{job.metadata.name}-{spec.completions - 1}"
        if names.label(host):
            yield invalid("metadata.name", job.metadata.name, f"its pods could not have the host name {host}")
    yield from _numbers(spec)
    yield from one_of("spec.completionMode", spec.completion_mode, ("NonIndexed", "Indexed"))
    yield from _indexed(spec) if job.indexed else _not_indexed(spec)
    yield from _selector(spec)
    yield from _pod_failure_policy(spec)
    replacement = ("Failed",) if spec.pod_failure_policy is not None else ("Failed", "TerminatingOrFailed")
    yield from one_of("spec.podReplacementPolicy", spec.pod_replacement_policy, replacement)
    yield from marks_findings(spec.template.metadata, "spec.template.metadata")
    yield from _restart_policy(spec)
    for finding in spec_findings(spec.template.spec, "spec.template.spec"):
        if finding.path != "spec.template.spec.restartPolicy":
            yield finding


def _numbers(spec: JobSpec) -> Iterator[Finding]:
    yield from not_negative("spec.parallelism", spec.parallelism)
    yield from not_negative("spec.completions", spec.completions)
    yield from not_negative("spec.activeDeadlineSeconds", spec.active_deadline_seconds)
    yield from not_negative("spec.backoffLimit", spec.backoff_limit)
    yield from not_negative("spec.ttlSecondsAfterFinished", spec.ttl_seconds_after_finished)
    yield from not_negative("spec.backoffLimitPerIndex", spec.backoff_limit_per_index)
    yield from not_negative("spec.maxFailedIndexes", spec.max_failed_indexes)
    if spec.max_failed_indexes is not None and spec.backoff_limit_per_index is None:
        yield required("spec.backoffLimitPerIndex", "when maxFailedIndexes is specified")


def _restart_policy(spec: JobSpec) -> Iterator[Finding]:
    """It has to be given, for its default, Always, would never let a Job end."""
    path, policy = "spec.template.spec.restartPolicy", spec.template.spec.restart_policy
    if policy == "Always":
        yield required(path, 'valid values: "OnFailure", "Never"')
    elif policy != "Never" and spec.pod_failure_policy is not None:
        yield invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')
    else:
        yield from one_of(path, policy, ("OnFailure", "Never"))


def _not_indexed(spec: JobSpec) -> Iterator[Finding]:
    if spec.backoff_limit_per_index is not None:
        yield invalid("spec.backoffLimitPerIndex", spec.backoff_limit_per_index, "requires indexed completion mode")
    if spec.max_failed_indexes is not None:
        yield invalid("spec.maxFailedIndexes", spec.max_failed_indexes, "requires indexed completion mode")
    if spec.success_policy is not None:
        yield Finding("spec.successPolicy", "Invalid value: requires indexed completion mode")


def _indexed(spec: JobSpec) -> Iterator[Finding]:
    completions, failed = spec.completions, spec.max_failed_indexes
    if completions is None:
        yield required("spec.completions", "when completion mode is Indexed")
        return
    if spec.parallelism > _HUGE:
        rule = f"must be less than or equal to {_HUGE} when completion mode is Indexed"
        yield invalid("spec.parallelism", spec.parallelism, rule)
    if failed is not None and failed > min(completions, _HUGE):
        rule = "must be less than or equal to completions" if failed > completions else f"must be at most {_HUGE}"
        yield invalid("spec.maxFailedIndexes", failed, rule)
    if completions > _HUGE and spec.backoff_limit_per_index is not None:
        rule = f"when completions are above {_HUGE} and used with backoff limit per index"
        if failed is None:
            yield required("spec.maxFailedIndexes", f"must be specified when completions is above {_HUGE}")
        elif failed > _LARGE:
            yield invalid("spec.maxFailedIndexes", failed, f"must be less than or equal to {_LARGE} {rule}")
        if spec.parallelism > _LARGE:
            yield invalid("spec.parallelism", spec.parallelism, f"must be less than or equal to {_LARGE} {rule}")
    if spec.success_policy is not None:
        yield from _success_policy(spec.success_policy.rules, completions)


def _success_policy(rules: Collection[SuccessPolicyRule], completions: int) -> Iterator[Finding]:
    path = "spec.successPolicy.rules"
    if not rules:
        yield required(path, "at least one rules must be specified when the successPolicy is specified")
    if len(rules) > _RULES_MAX:
        yield too_many(path, len(rules), _RULES_MAX)
    for place, rule in enumerate(rules):
        yield from _success_rule(rule, completions, f"{path}[{place}]")


def _success_rule(rule: SuccessPolicyRule, completions: int, path: str) -> Iterator[Finding]:
    indexes, count = rule.succeeded_indexes, rule.succeeded_count
    total = completions
    if indexes is None and count is None:
        yield required(path, "at least one of succeededCount or succeededIndexes must be specified")
    if indexes is not None:
        at = f"{path}.succeededIndexes"
        if len(indexes) > _INDEXES_MAX:
            yield too_long(at, _INDEXES_MAX)
        try:
            total = count_indexes(indexes, completions)
        except ValueError as exc:
            yield invalid(at, indexes, f"error parsing succeededIndexes: {exc}")
    at = f"{path}.succeededCount"
    yield from not_negative(at, count)
    if count is not None and count > completions:
        rule_text = f"must be less than or equal to {completions} (the number of specified completions)"
        yield invalid(at, count, rule_text)
    elif count is not None and count > total:
        rule_text = f"must be less than or equal to {total} (the number of indexes in succeededIndexes)"
        yield invalid(at, count, rule_text)


def count_indexes(text: str, completions: int) -> int:
    """How many indexes a list such as "0,2-4" names. Raises ValueError where it is none, or one is too large."""
    total, last = 0, -1
    for interval in text.split(",") if text else ():
        ends = interval.split("-")
        if len(ends) > 2:
            raise ValueError(f"the fragment {show(interval)} has more than two parts separated by '-'")
        for end in ends:
            if not (end.isascii() and end.isdigit()):
                raise ValueError(f"cannot convert string to integer for index: {show(end)}")
            if len(end) > len(str(completions)) or int(end) >= completions:
                raise ValueError(f"too large index: {show(end)}")
        first, final = int(ends[0]), int(ends[-1])
        for low, high in ((last, first), (first, final)) if len(ends) == 2 else ((last, first),):
            if low >= high:
                raise ValueError(f"non-increasing order, previous: {low}, current: {high}")
        total, last = total + final - first + 1, final
    return total


def _pod_failure_policy(spec: JobSpec) -> Iterator[Finding]:
    if spec.pod_failure_policy is None:
        return
    path, rules = "spec.podFailurePolicy.rules", spec.pod_failure_policy.rules
    if len(rules) > _RULES_MAX:
        yield too_many(path, len(rules), _RULES_MAX)
    pod = spec.template.spec
    known = {container.name for container in (*pod.containers, *pod.init_containers)}
    for place, rule in enumerate(rules):
        yield from _failure_rule(rule, known, f"{path}[{place}]")
        if rule.action == "FailIndex" and spec.backoff_limit_per_index is None:
            yield invalid(f"{path}[{place}].action", rule.action, "requires the backoffLimitPerIndex to be set")


def _failure_rule(rule: PodFailureRule, known: Collection[str], path: str) -> Iterator[Finding]:
    yield from one_of(f"{path}.action", rule.action, _ACTIONS)
    if rule.on_exit_codes is not None and rule.on_pod_conditions:
        yield Finding(path, "Invalid value: specifying both OnExitCodes and OnPodConditions is not supported")
    if rule.on_exit_codes is None and not rule.on_pod_conditions:
        yield Finding(path, "Invalid value: specifying one of OnExitCodes and OnPodConditions is required")
    if rule.on_exit_codes is not None:
        yield from _exit_codes(rule.on_exit_codes, known, f"{path}.onExitCodes")
    if len(rule.on_pod_conditions) > _RULES_MAX:
        yield too_many(f"{path}.onPodConditions", len(rule.on_pod_conditions), _RULES_MAX)
    for place, condition in enumerate(rule.on_pod_conditions):
        at = f"{path}.onPodConditions[{place}]"
        yield from each(f"{at}.type", condition.type, names.qualified(condition.type))
        yield from one_of(f"{at}.status", condition.status, ("False", "True", "Unknown"))


def _exit_codes(codes: OnExitCodes, known: Collection[str], path: str) -> Iterator[Finding]:
    yield from one_of(f"{path}.operator", codes.operator, ("In", "NotIn"))
    if codes.container_name is not None and codes.container_name not in known:
        rule = "must be one of the container or initContainer names in the pod template"
        yield invalid(f"{path}.containerName", codes.container_name, rule)
    at = f"{path}.values"
    if not codes.values:
        yield invalid(at, codes.values, "at least one value is required")
    if len(codes.values) > _EXIT_CODES_MAX:
        yield too_many(at, len(codes.values), _EXIT_CODES_MAX)
        return
    for place, value in enumerate(codes.values):
        if value == 0 and codes.operator == "In":
            yield invalid(f"{at}[{place}]", value, "must not be 0 for the In operator")
        if value in codes.values[:place]:
            yield duplicate(f"{at}[{place}]", value)
    if list(codes.values) != sorted(codes.values):
        yield invalid(at, codes.values, "must be ordered")


def _selector(spec: JobSpec) -> Iterator[Finding]:
    if spec.selector is None and spec.manual_selector:
        yield required("spec.selector")
    elif spec.selector is not None and not spec.manual_selector:
        yield Finding("spec.selector", "Invalid value: `selector` not auto-generated: leave it out")
    elif spec.selector is not None and not selects(spec.selector, spec.template.metadata.labels):
        rule = "`selector` does not match template `labels`"
        yield invalid("spec.template.metadata.labels", spec.template.metadata.labels, rule)
