"""The v1.JobStatus that users see."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from vkprovider.core.exits import timestamp
from vkprovider.model.job import Job
from vkprovider.standalone.indexes import format_indexes
from vkprovider.standalone.job_tally import Tally
from vkprovider.standalone.job_verdict import COMPLETE, FAILED
from vkprovider.standalone.job_view import JobRecord

_INTERIM = {COMPLETE: "SuccessCriteriaMet", FAILED: "FailureTarget"}


class Headcount(msgspec.Struct, frozen=True, kw_only=True):
    """The pods that have not ended, once the decision has been carried out."""

    active: int = 0
    ready: int = 0
    terminating: int = 0


def build_status(job: Job, record: JobRecord, tally: Tally, headcount: Headcount) -> dict[str, Any]:
    """The whole status. As in the API, zero counts are left out, except ``ready`` and ``terminating``."""
    outcome = record.outcome
    status: dict[str, Any] = {
        "active": headcount.active,
        "succeeded": outcome.succeeded if outcome is not None else tally.successes,
        "failed": outcome.failed if outcome is not None else tally.failures,
    }
    if job.indexed:
        text = outcome.completed_indexes if outcome is not None else format_indexes(tally.completed)
        status["completedIndexes"] = text
    status["conditions"] = conditions(record)
    if record.start_time is not None:
        status["startTime"] = timestamp(record.start_time)
    if outcome is not None and outcome.verdict.type == COMPLETE and record.finished_at is not None:
        status["completionTime"] = timestamp(record.finished_at)
    status = {key: value for key, value in status.items() if value}
    if job.indexed and job.spec.backoff_limit_per_index is not None:
        text = outcome.failed_indexes if outcome is not None else format_indexes(tally.failed_indexes)
        status["failedIndexes"] = text
    return status | {"ready": headcount.ready, "terminating": headcount.terminating}


def conditions(record: JobRecord) -> list[dict[str, str]]:
    """Suspended if it ever was; what the end will be as soon as that is decided; the end, when nothing runs."""
    listed = []
    if record.suspension is not None:
        word = "suspended" if record.suspension.suspended else "resumed"
        status = "True" if record.suspension.suspended else "False"
        reason, message = f"Job{word.capitalize()}", f"Job {word}"
        listed.append(_condition("Suspended", status, reason, message, record.suspension.since))
    outcome = record.outcome
    if outcome is not None:
        verdict = outcome.verdict
        ends = [(_INTERIM[verdict.type], outcome.at)]
        if record.finished_at is not None:
            ends.append((verdict.type, record.finished_at))
        listed += [_condition(kind, "True", verdict.reason, verdict.message, at) for kind, at in ends]
    return listed


def _condition(kind: str, status: str, reason: str, message: str, at: datetime) -> dict[str, str]:
    time = timestamp(at)
    return {
        "type": kind,
        "status": status,
        "lastProbeTime": time,
        "lastTransitionTime": time,
        "reason": reason,
        "message": message,
    }
