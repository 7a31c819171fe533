"""When a Job has come to its end, and why: given a Job, its pods and the time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.standalone.job_given import (
    INDEXED,
    LIMIT,
    OK,
    PER_INDEX,
    POLICY,
    RUNS,
    Pods,
    bad,
    codes,
    decide,
    ends,
    enough,
    failing,
    job,
    place,
    pods_of,
    rules,
    succeeding,
)

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
