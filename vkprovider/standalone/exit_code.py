"""The exit code of a whole run, from its final Jobs and Pods.

0 if every Job is Complete and every Pod Succeeded. Otherwise the code of the first object, in the order given, that
is not: its app's own exit code, where one app's failure decided; else 1. What decides:

- A Pod: its container that failed first. If no app or plain init container failed, a sidecar that ended by itself
  (one that is marked for the end only). Sidecars that vkprovider stopped never count, forgiven or not.
- A Job: the Pod that brought the verdict, the last to fail among those that count for the verdict's reason. Pods the
  Job controller ended itself decide nothing, unless restarts were what reached the limit: then the last code before
  a restart.
- A deadline (of a Job or a Pod): 1. What the app ended with then (0, 137, 143) tells of the signal, not of the app.
- An object that did not end, a Pod that was evicted, a code nobody knows: 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from vkprovider.core.sidecars import Kind, Role, classify
from vkprovider.model.job import Job, decode_job
from vkprovider.standalone.indexes import parse_indexes
from vkprovider.standalone.job_verdict import (
    COMPLETE,
    DEADLINE,
    FAILED,
    FAILED_INDEXES,
    MAX_FAILED_INDEXES,
    POD_FAILURE_POLICY,
)
from vkprovider.standalone.pod_facts import SUCCEEDED, UNKNOWN_TIME, PodFact, Termination, read_pod
from vkprovider.standalone.pod_failure_policy import match

UNKNOWN = 1
_INVENTED = "ContainerStatusUnknown"  # the reason of a code that no container ended with


def exit_code(jobs: Sequence[dict[str, Any]], pods: Sequence[dict[str, Any]]) -> int:
    """The exit code for these raw objects with their final status. ``pods`` are all pods, those of the Jobs included.

    Raises SpecError where a value of an object has the wrong type.
    """
    facts = [read_pod(raw) for raw in pods]
    uids = [(raw.get("metadata") or {}).get("uid", "") for raw in jobs]
    codes = [_job_code(raw, [pod for pod in facts if _owner(pod) == uid]) for raw, uid in zip(jobs, uids, strict=True)]
    codes += [_pod_code(pod) for pod in facts if _owner(pod) not in uids]
    return next((code for code in codes if code), 0)


def _owner(pod: PodFact) -> str | None:
    return next((ref.uid for ref in pod.pod.metadata.owner_references if ref.controller), None)


def _job_code(raw: dict[str, Any], pods: list[PodFact]) -> int:
    status = raw.get("status") or {}
    reasons = {c["type"]: c.get("reason", "") for c in status.get("conditions") or () if c.get("status") == "True"}
    if COMPLETE in reasons:
        return 0
    if FAILED not in reasons or reasons[FAILED] == DEADLINE:
        return UNKNOWN
    decisive = _candidates(decode_job(raw), reasons[FAILED], status.get("failedIndexes", ""), pods)
    if decisive:
        return _pod_code(max(decisive, key=lambda pod: pod.finished_at))
    return _restart_code(pods)


def _candidates(job: Job, reason: str, failed_indexes: str, pods: Iterable[PodFact]) -> list[PodFact]:
    """The pods that failed by themselves and count for the reason."""
    policy = job.spec.pod_failure_policy
    failed = [pod for pod in pods if pod.phase == FAILED and not pod.deleting and match(policy, pod).counts]
    if reason == POD_FAILURE_POLICY:
        return [pod for pod in failed if match(policy, pod).message]
    if reason in (FAILED_INDEXES, MAX_FAILED_INDEXES):
        indexes = parse_indexes(failed_indexes, job.spec.completions or 0)
        return [pod for pod in failed if pod.index in indexes]
    return failed


def _pod_code(pod: PodFact) -> int:
    if pod.phase == SUCCEEDED:
        return 0
    if pod.phase != FAILED or pod.report.reason == DEADLINE:
        return UNKNOWN
    ends = {status.name: status.state.terminated for status in pod.report.all_statuses}
    roles = classify(pod.pod).all
    decisive = [role for role in roles if role.kind in (Kind.APP, Kind.INIT)]
    return _first_failure(decisive, ends) or _first_failure([r for r in roles if r.kind is Kind.JOB], ends) or UNKNOWN


def _restart_code(pods: Iterable[PodFact]) -> int:
    """The code of the failure before the last restart, over all pods."""
    ends = [end for pod in pods for end in _before_restart(pod) if end.exit_code]
    return max(ends, key=lambda end: end.finished_at or UNKNOWN_TIME).exit_code if ends else UNKNOWN


def _before_restart(pod: PodFact) -> list[Termination]:
    decisive = {role.name for role in classify(pod.pod).all if role.kind in (Kind.APP, Kind.INIT)}
    ends = [status.last_state.terminated for status in pod.report.all_statuses if status.name in decisive]
    return [end for end in ends if end is not None]


def _first_failure(roles: Sequence[Role], ends: dict[str, Termination | None]) -> int:
    """The code of the container that failed first; 0 if none did."""
    found = [ends.get(role.name) for role in roles]
    failures = [end for end in found if end is not None and end.exit_code and end.reason != _INVENTED]
    return min(failures, key=lambda end: end.finished_at or UNKNOWN_TIME).exit_code if failures else 0
