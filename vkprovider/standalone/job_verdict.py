"""Whether a Job has come to its end, and why. The order of the questions is job_controller.go syncJob's."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from vkprovider.model.job import Job, SuccessPolicy
from vkprovider.standalone.indexes import parse_indexes
from vkprovider.standalone.job_tally import Tally
from vkprovider.standalone.pod_failure_policy import match

COMPLETE, FAILED = "Complete", "Failed"
BACKOFF_LIMIT = "BackoffLimitExceeded"
DEADLINE = "DeadlineExceeded"
POD_FAILURE_POLICY = "PodFailurePolicy"
MAX_FAILED_INDEXES = "MaxFailedIndexesExceeded"
FAILED_INDEXES = "FailedIndexes"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How the Job ends: ``type`` is the condition it will have in the end, Complete or Failed."""

    type: str
    reason: str
    message: str


def judge(job: Job, tally: Tally, started_at: datetime | None, now: datetime) -> Verdict | None:
    """The verdict that follows from the pods and the time, or None while the Job goes on. Failure comes first."""
    return (
        _by_pod(job, tally)
        or _by_limits(job, tally, started_at, now)
        or _by_indexes(job, tally)
        or _by_success(job, tally)
    )


def deadline(job: Job, started_at: datetime | None) -> datetime | None:
    """When activeDeadlineSeconds will be used up; None where it is not counting."""
    seconds = job.spec.active_deadline_seconds
    if seconds is None or started_at is None or job.spec.suspend:
        return None
    return started_at + timedelta(seconds=seconds)


def _by_pod(job: Job, tally: Tally) -> Verdict | None:
    for pod in tally.failed:
        message = match(job.spec.pod_failure_policy, pod).message
        if message:
            return Verdict(type=FAILED, reason=POD_FAILURE_POLICY, message=message)
    return None


def _by_limits(job: Job, tally: Tally, started_at: datetime | None, now: datetime) -> Verdict | None:
    if tally.failures > job.spec.backoff_limit or _too_many_restarts(job, tally):
        return Verdict(type=FAILED, reason=BACKOFF_LIMIT, message="Job has reached the specified backoff limit")
    end = deadline(job, started_at)
    if end is not None and now >= end:
        return Verdict(type=FAILED, reason=DEADLINE, message="Job was active longer than specified deadline")
    return None


def _too_many_restarts(job: Job, tally: Tally) -> bool:
    """With OnFailure the restarts of pods that have not ended reach the limit; pods of 0 may restart not even once."""
    if job.spec.template.spec.restart_policy != "OnFailure":
        return False
    restarts = sum(pod.restarts for pod in tally.active + tally.leaving)
    return restarts >= max(job.spec.backoff_limit, 1)


def _by_indexes(job: Job, tally: Tally) -> Verdict | None:
    failed, most = len(tally.failed_indexes), job.spec.max_failed_indexes
    if most is not None and failed > most:
        message = "Job has exceeded the specified maximal number of failed indexes"
        return Verdict(type=FAILED, reason=MAX_FAILED_INDEXES, message=message)
    if failed and failed + len(tally.completed) >= (job.spec.completions or 0):
        return Verdict(type=FAILED, reason=FAILED_INDEXES, message="Job has failed indexes")
    return None


def _by_success(job: Job, tally: Tally) -> Verdict | None:
    rule = _met_rule(job.spec.success_policy, job.spec.completions or 0, tally.completed)
    if rule is not None:
        return Verdict(type=COMPLETE, reason="SuccessPolicy", message=f"Matched rules at index {rule}")
    if job.spec.completions is None:
        # A work queue: any success is enough, once every other pod has ended too (a suspended Job ends them).
        done = tally.successes > 0 and (not tally.active or job.spec.suspend)
    else:
        done = tally.successes >= job.spec.completions
    if not done:
        return None
    return Verdict(type=COMPLETE, reason="CompletionsReached", message="Reached expected number of succeeded pods")


def _met_rule(policy: SuccessPolicy | None, completions: int, completed: frozenset[int]) -> int | None:
    """The first rule of the success policy that is met (pkg/controller/job/success_policy.go)."""
    if policy is None or not completed:
        return None
    for position, rule in enumerate(policy.rules):
        wanted = None if rule.succeeded_indexes is None else parse_indexes(rule.succeeded_indexes, completions)
        if wanted is not None and not wanted:
            continue
        reached = completed if wanted is None else completed & wanted
        if reached == wanted or (rule.succeeded_count is not None and len(reached) >= rule.succeeded_count):
            return position
    return None
