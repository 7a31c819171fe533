"""The Job controller of standalone mode: ``control(view) -> JobDecision``, pure, total, and level-triggered.

The rules are pkg/controller/job/job_controller.go's; finalizers and uncounted pods are not needed, because here no
pod of a Job is forgotten before the Job is. What the caller must do, so that a kill -9 at any point loses nothing:

1. Write ``decision.record`` first, durably, if it differs from the view's.
2. Write each pod of ``decision.create`` durably, one after the other, before anything of it runs. A pod that is
   there already (same uid) is the one meant.
3. Write ``deletionTimestamp`` and ``deletionGracePeriodSeconds`` of each pod of ``decision.delete`` into its object
   before it is signalled. No pod that has ended is ever marked so.
4. Write each pod's final status durably; until then it counts as running.
5. Keep all of these until ``gone``, or until the whole run is over and cleaned up.

The next view shows what has been done of a decision, and what is left of it is decided again. Events alone are said
at most once: those of a change are lost if the kill comes between the record and them.

Compared with job_controller.go look by look, it differs on purpose in what follows from having every pod at hand:
pods ended by suspension or cancellation never count, and suspension forgets no index's failures; a pod deleted while
it ran has failed even if its good end is seen first; failures show in ``status.failed`` at once, and the active pods
in ``status.active`` also while another waits for its back-off; a resumed Job's deadline counts from its resumption.

::

            ┌──── suspended ◀────┐                   FailureTarget /              Failed /
            ▼                    ▼                   SuccessCriteriaMet           Complete
        running ── verdict ──────┴──▶ pods are deleted ── none runs ──▶ finished ── ttl ──▶ gone
            └───── cancelled ──▶ pods are deleted ── none runs ──▶ finished, without a verdict
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from vkprovider.standalone.indexes import format_indexes
from vkprovider.standalone.job_backoff import find_lack
from vkprovider.standalone.job_status import Headcount, build_status
from vkprovider.standalone.job_tally import Tally, tally
from vkprovider.standalone.job_template import Place, free_ordinals, make_pod
from vkprovider.standalone.job_verdict import COMPLETE, FAILED, Verdict, deadline, judge
from vkprovider.standalone.job_view import (
    JobDecision,
    JobEvent,
    JobRecord,
    JobView,
    Outcome,
    PodDeletion,
    Suspension,
)
from vkprovider.standalone.pod_facts import PodFact
from vkprovider.standalone.pod_failure_policy import match


def control(view: JobView) -> JobDecision:
    """Decide what a Job needs now. Equal views give equal decisions."""
    record = _begin(view)
    pods = tally(view.job, view.pods, record.dismissed)
    if record.outcome is None and not record.cancelled:
        verdict = judge(view.job, pods, record.start_time, view.now)
        record = record if verdict is None else replace(record, outcome=_settle(view, pods, verdict))
    if record.outcome is not None:
        return _end(view, pods, record)
    if record.cancelled or view.job.spec.suspend:
        return _rest(view, pods, record)
    return _go_on(view, pods, record)


def _begin(view: JobView) -> JobRecord:
    """The record with a cancellation noted, and the time of a start or a resumption, from which the deadline counts."""
    record = view.record
    if record.outcome is not None:
        return record
    starts = not view.job.spec.suspend and (record.start_time is None or _suspended(record))
    return replace(
        record,
        cancelled=record.cancelled or view.cancelled,
        start_time=view.now if starts else record.start_time,
    )


def _suspended(record: JobRecord) -> bool:
    return record.suspension is not None and record.suspension.suspended


def _note_suspension(view: JobView, record: JobRecord) -> tuple[JobRecord, tuple[JobEvent, ...]]:
    """The record and the events of a Job that goes on, suspended or not as its spec says now."""
    suspend = view.job.spec.suspend
    if suspend == _suspended(record):
        return record, ()
    word = "suspended" if suspend else "resumed"
    event = JobEvent(type="Normal", reason=word.capitalize(), message=f"Job {word}")
    return replace(record, suspension=Suspension(suspended=suspend, since=view.now)), (event,)


def _settle(view: JobView, pods: Tally, verdict: Verdict) -> Outcome:
    """The outcome with its final counts. In a failed Job every pod that has not ended counts as failed."""
    failed = pods.failures
    if verdict.type == FAILED:
        failed += sum(match(view.job.spec.pod_failure_policy, pod).counts for pod in pods.open)
    return Outcome(
        verdict=verdict,
        at=view.now,
        succeeded=pods.successes,
        failed=failed,
        completed_indexes=format_indexes(pods.completed),
        failed_indexes=format_indexes(pods.failed_indexes),
    )


def _end(view: JobView, pods: Tally, record: JobRecord) -> JobDecision:
    """The verdict stands: end what runs; the terminal condition comes when nothing does."""
    outcome = record.outcome
    assert outcome is not None
    unfinished = len(pods.active) + len(pods.leaving)
    events = _deleted(pods.active)
    if record.finished_at is None and not unfinished:
        record = replace(record, finished_at=view.now)
        events += (_last_word(outcome.verdict),)
    expiry = _expiry(view.job.spec.ttl_seconds_after_finished, record.finished_at)
    gone = expiry is not None and expiry <= view.now
    return JobDecision(
        delete=_deletions(pods, pods.active),
        status=build_status(view.job, record, pods, Headcount(terminating=unfinished)),
        events=events,
        record=record,
        wake_at=None if gone else expiry,
        finished=record.finished_at is not None,
        gone=gone,
    )


def _rest(view: JobView, pods: Tally, record: JobRecord) -> JobDecision:
    """Suspended or cancelled: end what runs, without counting it, and make nothing new."""
    record, events = _note_suspension(view, record) if not record.cancelled else (record, ())
    record = replace(record, dismissed=record.dismissed + tuple(pod.uid for pod in pods.active))
    unfinished = len(pods.active) + len(pods.leaving)
    idle = not unfinished and not record.cancelled
    return JobDecision(
        delete=_deletions(pods, pods.active),
        status=build_status(view.job, record, pods, Headcount(terminating=unfinished)),
        events=events + _deleted(pods.active),
        record=record,
        finished=record.cancelled and not unfinished,
        blocked=f"Job {view.job.key} is suspended (spec.suspend is true)" if idle else "",
    )


def _go_on(view: JobView, pods: Tally, record: JobRecord) -> JobDecision:
    """Make the pods that are missing, each as soon as its back-off allows."""
    job = view.job
    record, events = _note_suspension(view, record)
    lack = find_lack(job, pods, view.now)
    limited = job.spec.backoff_limit_per_index is not None
    create = tuple(
        make_pod(
            job,
            Place(
                ordinal=ordinal,
                index=index,
                failures=pods.failures_of(index) if limited and index is not None else None,
            ),
            view.now,
        )
        for index, ordinal in zip(lack.places, free_ordinals(job, view.pods), strict=False)
    )
    created = tuple(
        JobEvent(type="Normal", reason="SuccessfulCreate", message=f"Created pod: {pod['metadata']['name']}")
        for pod in create
    )
    headcount = Headcount(
        active=len(pods.active) + len(create),
        ready=sum(pod.ready for pod in pods.active),
        terminating=len(pods.leaving),
    )
    wake_at = min((at for at in (lack.retry_at, deadline(job, record.start_time)) if at is not None), default=None)
    stuck = not headcount.active and not headcount.terminating and wake_at is None
    return JobDecision(
        create=create,
        delete=_deletions(pods, ()),
        status=build_status(job, record, pods, headcount),
        events=events + created,
        record=record,
        wake_at=wake_at,
        blocked=f"Job {job.key} can run no pods (spec.parallelism is {job.spec.parallelism})" if stuck else "",
    )


def _deletions(pods: Tally, chosen: tuple[PodFact, ...]) -> tuple[PodDeletion, ...]:
    """``chosen``, and those dismissed before whose deletion has not been written down yet."""
    return tuple(
        PodDeletion(uid=pod.uid, name=pod.name, grace_seconds=pod.pod.spec.termination_grace_period_seconds)
        for pod in chosen + tuple(pod for pod in pods.leaving if not pod.deleting)
    )


def _deleted(pods: tuple[PodFact, ...]) -> tuple[JobEvent, ...]:
    return tuple(JobEvent(type="Normal", reason="SuccessfulDelete", message=f"Deleted pod: {pod.name}") for pod in pods)


def _last_word(verdict: Verdict) -> JobEvent:
    if verdict.type == COMPLETE:
        return JobEvent(type="Normal", reason="Completed", message="Job completed")
    return JobEvent(type="Warning", reason=verdict.reason, message=verdict.message)


def _expiry(ttl_seconds: int | None, finished_at: datetime | None) -> datetime | None:
    if ttl_seconds is None or finished_at is None:
        return None
    return finished_at + timedelta(seconds=ttl_seconds)
