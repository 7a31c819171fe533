"""``control`` by example: given a Job, its pods and the time, what is decided."""

from __future__ import annotations

from typing import Any

import pytest

from tests.standalone.job_given import after_start, at, decide, ends, indexes, job, pod, said
from vkprovider.model.job import Job
from vkprovider.standalone.job_view import JobRecord
from vkprovider.standalone.pod_facts import PodFact

LIMIT = "BackoffLimitExceeded"
POLICY = "PodFailurePolicy"
INDEXED: dict[str, Any] = {"completionMode": "Indexed"}
PER_INDEX: dict[str, Any] = INDEXED | {"backoffLimitPerIndex": 1}

Pods = list[tuple[Any, ...]]  # (phase, facts), the ordinal is the place in the list


def pods_of(owner: Job, described: Pods) -> list[PodFact]:
    return [pod(owner, n, phase, **(facts[0] if facts else {})) for n, (phase, *facts) in enumerate(described)]


def failing(reason: str) -> list[tuple[str, str]]:
    return [("FailureTarget", reason), ("Failed", reason)]


def succeeding(reason: str) -> list[tuple[str, str]]:
    return [("SuccessCriteriaMet", reason), ("Complete", reason)]


OK, RUNS = ("Succeeded",), ("Running",)


def bad(end: float, **facts: Any) -> tuple[str, dict[str, Any]]:
    return ("Failed", {"end": end} | facts)


# name: (Job spec, pods, seconds now, pods to create, seconds of wake_at)
CREATION: dict[str, tuple[dict[str, Any], Pods, float, int, float | None]] = {
    "a plain job starts one pod": ({}, [], 0, 1, None),
    "as many as parallelism allows": ({"completions": 5, "parallelism": 3}, [], 0, 3, None),
    "no more than are left to complete": ({"completions": 3, "parallelism": 3}, [OK, RUNS], 9, 1, None),
    "nothing while enough run": ({"completions": 3, "parallelism": 2}, [OK, RUNS, RUNS], 9, 0, None),
    "a work queue starts parallelism": ({"parallelism": 3}, [], 0, 3, None),
    "a work queue replaces a failed pod": ({"parallelism": 2}, [bad(0), RUNS], 10, 1, None),
    "a work queue starts no more after a success": ({"parallelism": 3}, [OK, RUNS, bad(0)], 99, 0, None),
    "the first failure waits 10 s": ({}, [bad(5)], 14, 0, 15),
    "and then is replaced": ({}, [bad(5)], 15, 1, None),
    "the second waits 20 s": ({}, [bad(5), bad(30)], 49, 0, 50),
    "the third waits 40 s": ({}, [bad(5), bad(30), bad(60)], 99, 0, 100),
    "never more than 10 min": ({"backoffLimit": 99}, [bad(n) for n in range(30)], 50, 0, 629),
    "a success ends the back-off": ({"completions": 2}, [bad(5), ("Succeeded", {"end": 7})], 8, 1, None),
    "a failure in the same second is before it": ({"completions": 2}, [bad(5), ("Succeeded", {"end": 5})], 6, 1, None),
    "a failure after it begins a new one": (
        {"completions": 9},
        [bad(1), bad(2), ("Succeeded", {"end": 3}), bad(4)],
        13,
        0,
        14,
    ),
    "a back-off holds no other pod up": ({"completions": 5, "parallelism": 2}, [bad(5), RUNS], 9, 0, 15),
    "a pod being deleted is replaced after the back-off": ({}, [("Running", {"deleted": 5})], 15, 1, None),
    "which counts from the deletion": ({}, [("Failed", {"deleted": 5, "end": 9})], 15, 1, None),
    "under policy Failed only when it has ended": (
        {"podReplacementPolicy": "Failed"},
        [("Running", {"deleted": 5})],
        99,
        0,
        None,
    ),
    "then it is replaced": (
        {"podReplacementPolicy": "Failed"},
        [("Failed", {"deleted": 5, "end": 9})],
        19,
        1,
        None,
    ),
    "parallelism 0 starts nothing": ({"parallelism": 0, "completions": 1}, [], 0, 0, None),
    "the deadline is watched": ({"activeDeadlineSeconds": 30}, [RUNS], 9, 0, 30),
    "the back-off comes before the deadline": ({"activeDeadlineSeconds": 30}, [bad(5)], 9, 0, 15),
}


@pytest.mark.parametrize("name", CREATION)
def test_creation(name: str) -> None:
    spec, described, now, created, wake = CREATION[name]
    owner = job(**spec)
    decision = decide(owner, *pods_of(owner, described), now=now)
    assert (len(decision.create), after_start(decision.wake_at)) == (created, wake)
    assert said(decision) == ["SuccessfulCreate"] * created
    assert (decision.delete, ends(decision), decision.finished) == ((), [], False)


def place(phase: str, index: int, **facts: Any) -> tuple[str, dict[str, Any]]:
    return (phase, {"index": index} | facts)


# name: (Job spec, pods, seconds now, indexes to create, seconds of wake_at, status)
INDEXES: dict[str, tuple[dict[str, Any], Pods, float, list[int], float | None, dict[str, Any]]] = {
    "lowest first": ({"completions": 5, "parallelism": 2}, [], 0, [0, 1], None, {"active": 2}),
    "gaps are filled": (
        {"completions": 6, "parallelism": 4},
        [place("Succeeded", 0), place("Running", 2), place("Succeeded", 3)],
        9,
        [1, 4, 5],
        None,
        {"completedIndexes": "0,3", "succeeded": 2, "active": 4},
    ),
    "an index counts once": (
        {"completions": 3, "parallelism": 3},
        [place("Succeeded", 0), place("Succeeded", 0)],
        9,
        [1, 2],
        None,
        {"completedIndexes": "0", "succeeded": 1},
    ),
    "one back-off for all": (
        {"completions": 3, "parallelism": 3},
        [place("Failed", 0, end=5), place("Running", 1)],
        14,
        [],
        15,
        {"failed": 1, "active": 1},
    ),
    "a back-off for each": (
        PER_INDEX | {"completions": 3, "parallelism": 3},
        [place("Failed", 0, end=5), place("Failed", 1, end=0)],
        10,
        [1, 2],
        15,
        {"failedIndexes": "", "active": 2},
    ),
    "a later index does not overtake": (
        PER_INDEX | {"completions": 3, "parallelism": 1},
        [place("Failed", 0, end=5)],
        9,
        [],
        15,
        {},
    ),
    "a failed index gets no more pods": (
        PER_INDEX | {"completions": 3, "parallelism": 3},
        [place("Failed", 1, end=0), place("Failed", 1, end=20)],
        99,
        [0, 2],
        None,
        {"failedIndexes": "1", "failed": 2},
    ),
    "an index that is leaving is replaced": (
        {"completions": 2, "parallelism": 2},
        [place("Running", 0, deleted=0)],
        10,
        [0, 1],
        None,
        {"terminating": 1, "failed": 1, "active": 2},
    ),
    "but keeps its place under policy Failed": (
        {"completions": 2, "parallelism": 2, "podReplacementPolicy": "Failed"},
        [place("Running", 0, deleted=0)],
        10,
        [1],
        None,
        {"terminating": 1, "active": 1},
    ),
}


@pytest.mark.parametrize("name", INDEXES)
def test_indexes(name: str) -> None:
    spec, described, now, created, wake, status = INDEXES[name]
    owner = job(**(INDEXED | spec))
    decision = decide(owner, *pods_of(owner, described), now=now)
    assert (indexes(decision), after_start(decision.wake_at)) == (created, wake)
    assert {key: decision.status.get(key) for key in status} == status


def rules(*listed: dict[str, Any]) -> dict[str, Any]:
    return {"podFailurePolicy": {"rules": list(listed)}}


def codes(action: str, *values: int) -> dict[str, Any]:
    return {"action": action, "onExitCodes": {"operator": "In", "values": values}}


def enough(**rule: Any) -> dict[str, Any]:
    return {"completions": 4, "parallelism": 4, "successPolicy": {"rules": [rule]}} | INDEXED


OPEN: list[tuple[str, str]] = []

# name: (Job spec, pods, seconds now, conditions)
VERDICTS: dict[str, tuple[dict[str, Any], Pods, float, list[tuple[str, str]]]] = {
    "one success is enough": ({}, [OK], 9, succeeding("CompletionsReached")),
    "each completion is needed": ({"completions": 2}, [OK], 9, OPEN),
    "no completions are needed": ({"completions": 0}, [], 0, succeeding("CompletionsReached")),
    "a work queue waits for the rest": ({"parallelism": 2}, [OK, RUNS], 9, OPEN),
    "unless it is suspended": (
        {"parallelism": 2, "suspend": True},
        [OK, RUNS],
        9,
        [("SuccessCriteriaMet", "CompletionsReached")],
    ),
    "whose failures do not matter": ({"parallelism": 2}, [OK, bad(1)], 9, succeeding("CompletionsReached")),
    "backoffLimit 2, two failures": ({"backoffLimit": 2}, [bad(1), bad(2)], 9, OPEN),
    "backoffLimit 2, three failures": ({"backoffLimit": 2}, [bad(1), bad(2), bad(3)], 9, failing(LIMIT)),
    "backoffLimit 0": ({"backoffLimit": 0}, [bad(1)], 9, failing(LIMIT)),
    "a deletion is a failure": ({"backoffLimit": 0}, [("Failed", {"deleted": 1, "end": 3})], 9, failing(LIMIT)),
    "and remains one whatever it ends with": (
        {"backoffLimit": 0},
        [("Succeeded", {"deleted": 1, "end": 3})],
        9,
        failing(LIMIT),
    ),
    "under policy Failed the end counts": (
        {"backoffLimit": 0, "podReplacementPolicy": "Failed"},
        [("Succeeded", {"deleted": 1, "end": 3})],
        9,
        succeeding("CompletionsReached"),
    ),
    "restarts below the limit": ({"restart": "OnFailure", "backoffLimit": 2}, [("Running", {"restarts": 1})], 9, OPEN),
    "restarts at the limit": (
        {"restart": "OnFailure", "backoffLimit": 2},
        [("Running", {"restarts": 2})],
        9,
        [("FailureTarget", LIMIT)],
    ),
    "restarts are summed up": (
        {"restart": "OnFailure", "backoffLimit": 3, "completions": 2, "parallelism": 2},
        [("Pending", {"restarts": 1}), ("Running", {"restarts": 2})],
        9,
        [("FailureTarget", LIMIT)],
    ),
    "those of a pod that is being deleted too": (
        {"restart": "OnFailure", "backoffLimit": 2, "podReplacementPolicy": "Failed"},
        [("Running", {"restarts": 2, "deleted": 3})],
        9,
        [("FailureTarget", LIMIT)],
    ),
    "no restart is allowed": (
        {"restart": "OnFailure", "backoffLimit": 0},
        [("Running", {"restarts": 1})],
        9,
        [("FailureTarget", LIMIT)],
    ),
    "but none has happened": ({"restart": "OnFailure", "backoffLimit": 0}, [RUNS], 9, OPEN),
    "restarts of an ended pod are over": (
        {"restart": "OnFailure", "backoffLimit": 2},
        [("Succeeded", {"restarts": 5})],
        9,
        succeeding("CompletionsReached"),
    ),
    "restarts do not count under Never": ({"backoffLimit": 2}, [("Running", {"restarts": 5})], 9, OPEN),
    "before the deadline": ({"activeDeadlineSeconds": 30}, [RUNS], 29, OPEN),
    "at the deadline": ({"activeDeadlineSeconds": 30}, [RUNS], 30, [("FailureTarget", "DeadlineExceeded")]),
    "the limit comes before the deadline": (
        {"backoffLimit": 0, "activeDeadlineSeconds": 1},
        [bad(1)],
        9,
        failing(LIMIT),
    ),
    "the deadline comes before success": ({"activeDeadlineSeconds": 9}, [OK], 9, failing("DeadlineExceeded")),
    "FailJob": (rules(codes("FailJob", 42)), [bad(1, code=42)], 9, failing(POLICY)),
    "FailJob comes before the limit": (
        rules(codes("FailJob", 42)) | {"backoffLimit": 0},
        [bad(1, code=42)],
        9,
        failing(POLICY),
    ),
    "ignored failures do not count": (
        rules(codes("Ignore", 42)) | {"backoffLimit": 0},
        [bad(1, code=42), bad(2, code=42)],
        9,
        OPEN,
    ),
    "counted ones do": (rules(codes("Count", 42)) | {"backoffLimit": 0}, [bad(1, code=42)], 9, failing(LIMIT)),
    "all indexes": (
        INDEXED | {"completions": 2, "parallelism": 2},
        [place("Succeeded", 1), place("Succeeded", 0)],
        9,
        succeeding("CompletionsReached"),
    ),
    "one index twice is not two": (
        INDEXED | {"completions": 2},
        [place("Succeeded", 1), place("Succeeded", 1)],
        9,
        OPEN,
    ),
    "a failed index with others open": (
        PER_INDEX | {"completions": 2},
        [place("Failed", 0, end=1), place("Failed", 0, end=2)],
        9,
        OPEN,
    ),
    "failed indexes at the end": (
        PER_INDEX | {"completions": 2},
        [place("Failed", 0, end=1), place("Failed", 0, end=2), place("Succeeded", 1)],
        9,
        failing("FailedIndexes"),
    ),
    "too many failed indexes": (
        PER_INDEX | {"completions": 9, "backoffLimitPerIndex": 0, "maxFailedIndexes": 1},
        [place("Failed", 0, end=1), place("Failed", 5, end=2)],
        9,
        failing("MaxFailedIndexesExceeded"),
    ),
    "as many failed indexes as are allowed": (
        PER_INDEX | {"completions": 9, "backoffLimitPerIndex": 0, "maxFailedIndexes": 1},
        [place("Failed", 0, end=1)],
        9,
        OPEN,
    ),
    "FailIndex gives up at the first failure": (
        PER_INDEX | {"completions": 1} | rules(codes("FailIndex", 42)),
        [place("Failed", 0, end=1, code=42)],
        9,
        failing("FailedIndexes"),
    ),
    "ignored failures do not fail an index": (
        PER_INDEX | {"completions": 1} | rules(codes("Ignore", 42)),
        [place("Failed", 0, end=n, code=42) for n in range(5)],
        9,
        OPEN,
    ),
    "success policy: one index of the wanted ones": (
        enough(succeededIndexes="1-3", succeededCount=1),
        [place("Succeeded", 2), place("Running", 0)],
        9,
        [("SuccessCriteriaMet", "SuccessPolicy")],
    ),
    "success policy: an index that is not wanted": (
        enough(succeededIndexes="1-3", succeededCount=1),
        [place("Succeeded", 0)],
        9,
        OPEN,
    ),
    "success policy: all the wanted ones": (
        enough(succeededIndexes="0,2"),
        [place("Succeeded", 0), place("Succeeded", 2)],
        9,
        succeeding("SuccessPolicy"),
    ),
    "success policy: a count of any": (
        enough(succeededCount=2),
        [place("Succeeded", 0), place("Succeeded", 3)],
        9,
        succeeding("SuccessPolicy"),
    ),
    "success policy: a count not reached": (enough(succeededCount=2), [place("Succeeded", 0)], 9, OPEN),
    "success policy: nothing wanted is out of range": (enough(succeededIndexes="7"), [place("Succeeded", 0)], 9, OPEN),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_verdicts(name: str) -> None:
    spec, described, now, conditions = VERDICTS[name]
    owner = job(**spec)
    decision = decide(owner, *pods_of(owner, described), now=now)
    assert ends(decision) == conditions
    assert decision.finished == (len(conditions) == 2)
    assert not (conditions and decision.create)


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
