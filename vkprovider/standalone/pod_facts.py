"""What the Job rules need to know of one pod: ``read_pod`` reads it from the pod's object with its last status."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from vkprovider.model.base import Model
from vkprovider.model.pod import Pod, decode_pod, read_as

PENDING, RUNNING, SUCCEEDED, FAILED = "Pending", "Running", "Succeeded", "Failed"
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"
UNKNOWN_TIME = datetime.min.replace(tzinfo=UTC)


class Termination(Model, frozen=True, kw_only=True):
    exit_code: int = 0
    reason: str = ""
    finished_at: datetime | None = None


class StateReport(Model, frozen=True, kw_only=True):
    terminated: Termination | None = None


class ContainerReport(Model, frozen=True, kw_only=True):
    """The part of v1.ContainerStatus that Jobs look at."""

    name: str
    restart_count: int = 0
    state: StateReport = StateReport()
    last_state: StateReport = StateReport()


class ConditionReport(Model, frozen=True, kw_only=True):
    type: str
    status: str = "Unknown"
    last_transition_time: datetime | None = None


class PodReport(Model, frozen=True, kw_only=True):
    """The part of v1.PodStatus that Jobs look at."""

    phase: str = PENDING
    reason: str = ""
    conditions: tuple[ConditionReport, ...] = ()
    init_container_statuses: tuple[ContainerReport, ...] = ()
    container_statuses: tuple[ContainerReport, ...] = ()

    @property
    def all_statuses(self) -> tuple[ContainerReport, ...]:
        return self.init_container_statuses + self.container_statuses


class PodFact(msgspec.Struct, frozen=True, kw_only=True):
    """One pod at one look.

    ``index`` is None without a completion index. ``finished_at`` is the best estimate of when the pod ended, and
    means something only once it has. ``deleted_at``: when it was told to end, before it had ended by itself.
    ``restarts`` is the sum over all containers.
    """

    pod: Pod
    report: PodReport
    index: int | None
    created_at: datetime
    finished_at: datetime
    deleted_at: datetime | None
    ready: bool
    restarts: int

    @property
    def uid(self) -> str:
        return self.pod.uid

    @property
    def name(self) -> str:
        return self.pod.metadata.name

    @property
    def phase(self) -> str:
        return self.report.phase

    @property
    def deleting(self) -> bool:
        return self.deleted_at is not None

    @property
    def ended(self) -> bool:
        """Succeeded or Failed: nothing of the pod runs, or ever will."""
        return self.report.phase in (SUCCEEDED, FAILED)


def read_pod(raw: dict[str, Any]) -> PodFact:
    """The facts of a v1.Pod in its JSON form, status included. Raises SpecError where a value has the wrong type."""
    pod = decode_pod(raw)
    report = read_as(PodReport, raw.get("status") or {})
    return PodFact(
        pod=pod,
        report=report,
        index=_index(pod),
        created_at=pod.metadata.creation_timestamp or UNKNOWN_TIME,
        finished_at=_finished_at(pod, report),
        deleted_at=_deleted_at(pod),
        ready=any(c.type == "Ready" and c.status == "True" for c in report.conditions),
        restarts=sum(status.restart_count for status in report.all_statuses),
    )


def _index(pod: Pod) -> int | None:
    text = pod.metadata.annotations.get(COMPLETION_INDEX, "")
    return int(text) if text.isdecimal() else None


def _deleted_at(pod: Pod) -> datetime | None:
    """When the deletion was asked for: its timestamp is that of its end, one grace later."""
    meta = pod.metadata
    if meta.deletion_timestamp is None:
        return None
    return meta.deletion_timestamp - timedelta(seconds=meta.deletion_grace_period_seconds or 0)


def _finished_at(pod: Pod, report: PodReport) -> datetime:
    """The container that ended last, else when the pod stopped being ready, else when its deletion was asked for.

    pkg/controller/job/backoff_utils.go getFinishedTime.
    """
    last_end = _last_end(pod, report)
    if last_end is not None:
        return last_end
    for condition in report.conditions:
        if condition.type == "Ready" and condition.status == "False" and condition.last_transition_time is not None:
            return condition.last_transition_time
    return _deleted_at(pod) or pod.metadata.creation_timestamp or UNKNOWN_TIME


def _last_end(pod: Pod, report: PodReport) -> datetime | None:
    """When the last regular container or native sidecar ended; None while one of them has no known end."""
    native = {c.name for c in pod.spec.init_containers if c.restart_policy == "Always"}
    statuses = report.container_statuses + tuple(c for c in report.init_container_statuses if c.name in native)
    ends = [c.state.terminated.finished_at if c.state.terminated is not None else None for c in statuses]
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None
