"""Which pods a Job makes, and when: given a Job, its pods and the time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.standalone.job_given import (
    INDEXED,
    OK,
    PER_INDEX,
    RUNS,
    Pods,
    after_start,
    bad,
    decide,
    ends,
    indexes,
    job,
    place,
    pods_of,
    said,
)

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
