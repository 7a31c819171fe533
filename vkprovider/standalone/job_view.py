"""What a decision about a Job is made from, what it says, and what must survive a kill -9 in between."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from vkprovider.model.job import Job
from vkprovider.standalone.job_verdict import Verdict
from vkprovider.standalone.pod_facts import PodFact


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The verdict and the counts as they stood with it: what happens to the pods afterwards changes neither."""

    verdict: Verdict
    at: datetime
    succeeded: int = 0
    failed: int = 0
    completed_indexes: str = ""
    failed_indexes: str = ""


class Suspension(msgspec.Struct, frozen=True, kw_only=True):
    suspended: bool
    since: datetime


class JobRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is remembered of a Job between two looks, besides its pods.

    ``dismissed``: uids of pods told to end by suspension or cancellation, which count neither as succeeded nor as
    failed. ``finished_at``: when the last pod had ended after the outcome.
    """

    version: int = 1
    start_time: datetime | None = None
    suspension: Suspension | None = None
    cancelled: bool = False
    dismissed: tuple[str, ...] = ()
    outcome: Outcome | None = None
    finished_at: datetime | None = None


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """The Job, every pod it ever had (in any order), and the time.

    ``cancelled``: the user wants it to end now, whatever it has reached. Once seen that is remembered.
    ``job.spec.suspend`` may differ from look to look; the rest of the Job may not.
    """

    job: Job
    now: datetime
    pods: tuple[PodFact, ...] = ()
    record: JobRecord = JobRecord()
    cancelled: bool = False


class PodDeletion(msgspec.Struct, frozen=True, kw_only=True):
    """A pod to end in good order. It is asked for at each look until the pod bears a deletion timestamp."""

    uid: str
    name: str
    grace_seconds: int


class JobEvent(msgspec.Struct, frozen=True, kw_only=True):
    type: str  # Normal or Warning
    reason: str
    message: str


class JobDecision(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that follows from one look at a Job.

    ``create`` are complete v1.Pods. ``status`` is the whole v1.JobStatus, as it stands once the decision has been
    carried out. ``wake_at`` is when to look again even if nothing happens. ``finished``: nothing of the Job runs or
    ever will. ``gone``: its time to live is over as well, and the Job and its pods are to be removed. ``blocked``
    says why the Job cannot go on unless it is changed; "" if it can.
    """

    create: tuple[dict[str, Any], ...] = ()
    delete: tuple[PodDeletion, ...] = ()
    status: dict[str, Any]
    events: tuple[JobEvent, ...] = ()
    record: JobRecord
    wake_at: datetime | None = None
    finished: bool = False
    gone: bool = False
    blocked: str = ""
