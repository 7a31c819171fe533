"""The course of a Job, look by look: its end, suspension, cancellation, time to live."""

from __future__ import annotations

from typing import Any

import pytest

from tests.standalone.job_given import (
    LIMIT,
    PER_INDEX,
    after_start,
    at,
    codes,
    decide,
    ends,
    enough,
    failing,
    job,
    pod,
    rules,
    said,
    succeeding,
)
from vkprovider.standalone.job_view import JobRecord


def test_a_failed_job_ends_its_pods_before_it_is_called_failed() -> None:
    owner = job(completions=3, parallelism=3, backoffLimit=0)
    others = [pod(owner, 1, ready=True), pod(owner, 2, "Pending")]
    first = decide(owner, pod(owner, 0, "Failed", end=5), *others, now=6)
    assert [(d.name, d.grace_seconds) for d in first.delete] == [
        (p.name, 5) for p in sorted(others, key=lambda p: p.name)
    ]
    assert said(first) == ["SuccessfulDelete", "SuccessfulDelete"]
    assert first.status == {
        "failed": 3,  # in a failed Job every pod that has not ended has failed
        "ready": 0,
        "terminating": 2,
        "startTime": "2024-05-01T12:00:00Z",
        "conditions": [
            {
                "type": "FailureTarget",
                "status": "True",
                "lastProbeTime": "2024-05-01T12:00:06Z",
                "lastTransitionTime": "2024-05-01T12:00:06Z",
                "reason": LIMIT,
                "message": "Job has reached the specified backoff limit",
            }
        ],
    }
    leaving = [
        pod(owner, 0, "Failed", end=5),
        pod(owner, 1, "Succeeded", deleted=6, end=7),
        pod(owner, 2, "Pending", deleted=6),
    ]
    waits = decide(owner, *leaving, now=8, record=first.record)
    assert (waits.delete, waits.events, waits.finished, ends(waits)) == ((), (), False, [("FailureTarget", LIMIT)])
    leaving[2] = pod(owner, 2, "Failed", deleted=6, end=9)
    last = decide(owner, *leaving, now=10, record=waits.record)
    assert (ends(last), last.finished, said(last)) == (failing(LIMIT), True, [LIMIT])
    assert (last.events[0].type, last.status["failed"], last.status["terminating"]) == ("Warning", 3, 0)
    assert last.status["conditions"][1]["lastTransitionTime"] == "2024-05-01T12:00:10Z"
    assert "completionTime" not in last.status
    assert decide(owner, *leaving, now=99, record=last.record).events == ()


def test_a_job_whose_success_policy_is_met_ends_the_rest_without_counting_it() -> None:
    owner = job(**enough(succeededCount=1))
    done, other = pod(owner, 0, "Succeeded", index=2), pod(owner, 1, index=0)
    first = decide(owner, done, other, now=6)
    assert [deletion.uid for deletion in first.delete] == [other.uid]
    assert (first.status["succeeded"], "failed" in first.status) == (1, False)
    other = pod(owner, 1, "Failed", index=0, deleted=6, end=7)
    last = decide(owner, done, other, now=8, record=first.record)
    assert (last.status["completedIndexes"], "failed" in last.status) == ("2", False)
    assert (ends(last), said(last)) == (succeeding("SuccessPolicy"), ["Completed"])
    assert last.status["conditions"][0]["message"] == "Matched rules at index 0"
    assert last.status["completionTime"] == "2024-05-01T12:00:08Z"


def test_a_complete_job_says_so_once_and_when() -> None:
    owner = job()
    decision = decide(owner, pod(owner, 0, "Succeeded", end=3), now=4)
    assert decision.status["completionTime"] == "2024-05-01T12:00:04Z"
    assert decision.status["conditions"][1]["message"] == "Reached expected number of succeeded pods"
    assert [(e.type, e.reason, e.message) for e in decision.events] == [("Normal", "Completed", "Job completed")]
    assert (decision.status["succeeded"], "active" in decision.status, decision.status["ready"]) == (1, False, 0)


@pytest.mark.parametrize(
    ("ttl", "now", "wake", "gone"),
    [(None, 99, None, False), (7, 10, 11, False), (7, 11, None, True), (0, 4, None, True)],
)
def test_time_to_live(ttl: int | None, now: float, wake: float | None, gone: bool) -> None:
    owner = job(ttlSecondsAfterFinished=ttl)
    done = pod(owner, 0, "Succeeded", end=3)
    finished = decide(owner, done, now=4)
    decision = decide(owner, done, now=now, record=finished.record)
    assert (after_start(decision.wake_at), decision.gone, decision.finished) == (wake, gone, True)


def test_a_first_look_starts_the_clock_and_names_what_it_made() -> None:
    decision = decide(job(activeDeadlineSeconds=60), now=5, record=JobRecord())
    assert decision.record.start_time == at(5)
    assert (decision.status["startTime"], after_start(decision.wake_at)) == ("2024-05-01T12:00:05Z", 65)
    assert decision.events[0].message == f"Created pod: {decision.create[0]['metadata']['name']}"
    assert decision.status["active"] == 1


def test_a_suspended_job_makes_nothing_and_says_so() -> None:
    owner = job(suspend=True, activeDeadlineSeconds=1)
    first = decide(owner, now=5, record=JobRecord())
    assert (first.create, first.wake_at, first.finished, said(first)) == ((), None, False, ["Suspended"])
    assert (ends(first), "startTime" in first.status) == ([("Suspended", "JobSuspended")], False)
    assert first.blocked == "Job default/work is suspended (spec.suspend is true)"
    assert decide(owner, now=99, record=first.record).events == ()


def test_suspension_ends_pods_without_counting_them_and_resumption_starts_anew() -> None:
    running = job(activeDeadlineSeconds=20)
    suspended = job(activeDeadlineSeconds=20, suspend=True)
    first = decide(suspended, pod(running, 0), now=5)
    assert (len(first.delete), said(first), first.blocked) == (1, ["Suspended", "SuccessfulDelete"], "")
    ended = pod(running, 0, "Failed", deleted=5, end=7)
    idle = decide(suspended, ended, now=30, record=first.record)
    assert (idle.delete, "failed" in idle.status, idle.blocked != "") == ((), False, True)
    resumed = decide(running, ended, now=40, record=idle.record)
    assert (len(resumed.create), said(resumed)) == (1, ["Resumed", "SuccessfulCreate"])
    assert (ends(resumed), after_start(resumed.wake_at)) == ([("not Suspended", "JobResumed")], 60)


def test_a_deletion_decided_but_not_done_is_decided_again() -> None:
    owner = job(suspend=True)
    first = decide(owner, pod(owner, 0), now=5)
    again = decide(owner, pod(owner, 0), now=6, record=first.record)
    assert again.delete == first.delete
    assert decide(job(), pod(owner, 0), now=7, record=again.record).delete == first.delete


def test_a_cancelled_job_ends_its_pods_and_has_no_verdict() -> None:
    owner = job(completions=2, backoffLimit=0)
    first = decide(owner, pod(owner, 0), now=5, cancelled=True)
    assert (len(first.delete), first.create, first.finished) == (1, (), False)
    last = decide(owner, pod(owner, 0, "Failed", deleted=5, end=7), now=8, record=first.record)
    assert (last.finished, ends(last), "failed" in last.status, last.create) == (True, [], False, ())


def test_a_verdict_outlasts_a_cancellation() -> None:
    owner = job(backoffLimit=0, completions=2, parallelism=2)
    failed = decide(owner, pod(owner, 0, "Failed"), pod(owner, 1), now=5)
    gone = pod(owner, 1, "Failed", deleted=5, end=6)
    last = decide(owner, pod(owner, 0, "Failed"), gone, now=7, record=failed.record, cancelled=True)
    assert ends(last) == failing(LIMIT)
    after = decide(owner, pod(owner, 0, "Failed"), gone, now=99, record=last.record, cancelled=True)
    assert after.record == last.record
    assert not last.record.cancelled


def test_a_pod_on_its_way_out_counts_as_failed_when_the_job_fails() -> None:
    owner = job(completions=3, parallelism=2, backoffLimit=0, podReplacementPolicy="Failed")
    decision = decide(owner, pod(owner, 0, "Failed"), pod(owner, 1, deleted=3), now=5)
    assert (decision.status["failed"], decision.status["terminating"], decision.delete) == (2, 1, ())


def test_the_failed_indexes_stand_as_they_were_at_the_verdict() -> None:
    owner = job(**(PER_INDEX | {"backoffLimitPerIndex": 0, "completions": 3, "maxFailedIndexes": 0, "parallelism": 2}))
    first = decide(owner, pod(owner, 0, "Failed", index=1), pod(owner, 1, index=2), now=5)
    ended = pod(owner, 1, "Failed", index=2, deleted=5, end=6)
    last = decide(owner, pod(owner, 0, "Failed", index=1), ended, now=7, record=first.record)
    assert (last.status["failedIndexes"], last.status["failed"]) == ("1", 2)


def test_ready_pods_are_counted() -> None:
    owner = job(completions=3, parallelism=3)
    decision = decide(owner, pod(owner, 0, ready=True), pod(owner, 1), pod(owner, 2, ready=True, deleted=1), now=5)
    assert (decision.status["ready"], decision.status["active"], decision.status["terminating"]) == (1, 2, 1)


@pytest.mark.parametrize(("spec", "blocked"), [({"parallelism": 0, "completions": 1}, True), ({}, False)])
def test_a_job_that_can_run_nothing_says_so(spec: dict[str, Any], blocked: bool) -> None:
    said_so = decide(job(**spec)).blocked
    assert said_so == ("Job default/work can run no pods (spec.parallelism is 0)" if blocked else "")


def test_a_replacement_knows_the_failures_of_its_index() -> None:
    owner = job(**(PER_INDEX | {"backoffLimitPerIndex": 5, "completions": 1}), **rules(codes("Ignore", 42)))
    failures = [pod(owner, n, "Failed", index=0, code=code, end=n) for n, code in enumerate((1, 42, 42))]
    (made,) = decide(owner, *failures, now=99).create
    annotations = made["metadata"]["annotations"]
    assert annotations["batch.kubernetes.io/job-index-failure-count"] == "1"
    assert annotations["batch.kubernetes.io/job-index-ignored-failure-count"] == "2"


def test_the_order_of_the_pods_does_not_matter() -> None:
    owner = job(completions=4, parallelism=4, backoffLimit=0)
    pods = [pod(owner, n, phase, created=n) for n, phase in enumerate(("Failed", "Running", "Succeeded", "Pending"))]
    assert decide(owner, *pods, now=5) == decide(owner, *reversed(pods), now=5)
