"""Jobs that the API server would not take, and its words for it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from vkprovider.model import defaults
from vkprovider.model.job import decode_job
from vkprovider.model.validate_job import count_indexes, job_findings

POD = {"restartPolicy": "Never", "containers": [{"name": "app", "image": "busybox"}]}
INDEXED = {"completionMode": "Indexed", "completions": 5}
FAIL = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}}


def findings(name: str = "j", pod: dict[str, Any] = POD, **spec: Any) -> list[str]:
    template = {"metadata": {"labels": {"app": "x"}}, "spec": pod}
    raw = {"metadata": {"name": name}, "spec": {"template": template} | spec}
    return [str(finding) for finding in job_findings(decode_job(defaults.job(raw)))]


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"completions": 3, "parallelism": 0, "backoffLimit": 0, "ttlSecondsAfterFinished": 0, "suspend": True},
        INDEXED | {"backoffLimitPerIndex": 1, "maxFailedIndexes": 5, "podReplacementPolicy": "Failed"},
        INDEXED | {"successPolicy": {"rules": [{"succeededIndexes": "0,2-4", "succeededCount": 4}]}},
        {
            "podFailurePolicy": {
                "rules": [FAIL, {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]
            }
        },
        {"manualSelector": True, "selector": {"matchLabels": {"app": "x"}}},
        {
            "manualSelector": True,
            "selector": {
                "matchExpressions": [
                    {"key": "app", "operator": "In", "values": ["x", "y"]},
                    {"key": "app", "operator": "NotIn", "values": ["z"]},
                    {"key": "app", "operator": "Exists"},
                    {"key": "other", "operator": "DoesNotExist"},
                ]
            },
        },
    ],
)
def test_a_job_is_fine(spec: dict[str, Any]) -> None:
    assert findings(**spec) == []


NEGATIVE = "must be greater than or equal to 0"
INDEXED_ONLY = "requires indexed completion mode"

BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "negative numbers": (
        {
            "parallelism": -1,
            "completions": -2,
            "activeDeadlineSeconds": -3,
            "backoffLimit": -4,
            "ttlSecondsAfterFinished": -5,
        },
        [
            f"spec.parallelism: Invalid value: -1: {NEGATIVE}",
            f"spec.completions: Invalid value: -2: {NEGATIVE}",
            f"spec.activeDeadlineSeconds: Invalid value: -3: {NEGATIVE}",
            f"spec.backoffLimit: Invalid value: -4: {NEGATIVE}",
            f"spec.ttlSecondsAfterFinished: Invalid value: -5: {NEGATIVE}",
        ],
    ),
    "completion mode": (
        {"completionMode": "indexed"},
        ['spec.completionMode: Unsupported value: "indexed": supported values: "NonIndexed", "Indexed"'],
    ),
    "indexed without completions": (
        {"completionMode": "Indexed", "parallelism": 2},
        ["spec.completions: Required value: when completion mode is Indexed"],
    ),
    "limits per index without indexes": (
        {"backoffLimitPerIndex": 1, "maxFailedIndexes": 1},
        [
            f"spec.backoffLimitPerIndex: Invalid value: 1: {INDEXED_ONLY}",
            f"spec.maxFailedIndexes: Invalid value: 1: {INDEXED_ONLY}",
        ],
    ),
    "failed indexes without a limit per index": (
        INDEXED | {"maxFailedIndexes": 1},
        ["spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"],
    ),
    "more failed indexes than there are": (
        INDEXED | {"maxFailedIndexes": 6, "backoffLimitPerIndex": 0},
        ["spec.maxFailedIndexes: Invalid value: 6: must be less than or equal to completions"],
    ),
    "parallelism of an indexed Job": (
        INDEXED | {"parallelism": 100001},
        [
            "spec.parallelism: Invalid value: 100001: "
            "must be less than or equal to 100000 when completion mode is Indexed"
        ],
    ),
    "success policy without indexes": (
        {"successPolicy": {"rules": [{"succeededCount": 1}]}},
        [f"spec.successPolicy: Invalid value: {INDEXED_ONLY}"],
    ),
    "success policy without rules": (
        INDEXED | {"successPolicy": {}},
        [
            "spec.successPolicy.rules: Required value: "
            "at least one rules must be specified when the successPolicy is specified"
        ],
    ),
    "empty success rule": (
        INDEXED | {"successPolicy": {"rules": [{}]}},
        [
            "spec.successPolicy.rules[0]: Required value: "
            "at least one of succeededCount or succeededIndexes must be specified"
        ],
    ),
    "succeeded indexes": (
        INDEXED | {"successPolicy": {"rules": [{"succeededIndexes": "0-9"}]}},
        [
            'spec.successPolicy.rules[0].succeededIndexes: Invalid value: "0-9": '
            'error parsing succeededIndexes: too large index: "9"'
        ],
    ),
    "succeeded count": (
        INDEXED | {"successPolicy": {"rules": [{"succeededCount": 6}, {"succeededIndexes": "1", "succeededCount": 2}]}},
        [
            "spec.successPolicy.rules[0].succeededCount: Invalid value: 6: "
            "must be less than or equal to 5 (the number of specified completions)",
            "spec.successPolicy.rules[1].succeededCount: Invalid value: 2: "
            "must be less than or equal to 1 (the number of indexes in succeededIndexes)",
        ],
    ),
    "action": (
        {"podFailurePolicy": {"rules": [FAIL | {"action": "Fail"}]}},
        [
            'spec.podFailurePolicy.rules[0].action: Unsupported value: "Fail": '
            'supported values: "Count", "FailIndex", "FailJob", "Ignore"'
        ],
    ),
    "FailIndex": (
        {"podFailurePolicy": {"rules": [FAIL | {"action": "FailIndex"}]}},
        [
            'spec.podFailurePolicy.rules[0].action: Invalid value: "FailIndex": '
            "requires the backoffLimitPerIndex to be set"
        ],
    ),
    "rule without a requirement": (
        {"podFailurePolicy": {"rules": [{"action": "Count"}]}},
        [
            "spec.podFailurePolicy.rules[0]: Invalid value: "
            "specifying one of OnExitCodes and OnPodConditions is required"
        ],
    ),
    "rule with two requirements": (
        {"podFailurePolicy": {"rules": [FAIL | {"onPodConditions": [{"type": "A", "status": "yes"}]}]}},
        [
            "spec.podFailurePolicy.rules[0]: Invalid value: "
            "specifying both OnExitCodes and OnPodConditions is not supported",
            'spec.podFailurePolicy.rules[0].onPodConditions[0].status: Unsupported value: "yes": '
            'supported values: "False", "True", "Unknown"',
        ],
    ),
    "exit codes": (
        {
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "Count",
                        "onExitCodes": {"containerName": "b", "operator": "In", "values": [2, 0, 2]},
                    },
                    {"action": "Count", "onExitCodes": {"operator": "Not", "values": []}},
                ]
            }
        },
        [
            'spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "b": '
            "must be one of the container or initContainer names in the pod template",
            "spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator",
            "spec.podFailurePolicy.rules[0].onExitCodes.values[2]: Duplicate value: 2",
            "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [2, 0, 2]: must be ordered",
            'spec.podFailurePolicy.rules[1].onExitCodes.operator: Unsupported value: "Not": '
            'supported values: "In", "NotIn"',
            "spec.podFailurePolicy.rules[1].onExitCodes.values: Invalid value: []: at least one value is required",
        ],
    ),
    "too many exit codes": (
        {
            "podFailurePolicy": {
                "rules": [{"action": "Count", "onExitCodes": {"operator": "In", "values": list(range(1, 257))}}]
            }
        },
        ["spec.podFailurePolicy.rules[0].onExitCodes.values: Too many: 256: must have at most 255 items"],
    ),
    "too many rules": (
        {"podFailurePolicy": {"rules": [FAIL] * 21}},
        ["spec.podFailurePolicy.rules: Too many: 21: must have at most 20 items"],
    ),
    "replacement": (
        {"podReplacementPolicy": "Always"},
        ['spec.podReplacementPolicy: Unsupported value: "Always": supported values: "Failed", "TerminatingOrFailed"'],
    ),
    "replacement beside a failure policy": (
        {"podReplacementPolicy": "TerminatingOrFailed", "podFailurePolicy": {"rules": [FAIL]}},
        ['spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"'],
    ),
    "no restart policy": (
        {"pod": {"containers": POD["containers"]}},
        ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
    ),
    "restart policy": (
        {"pod": POD | {"restartPolicy": "Sometimes"}},
        ['spec.template.spec.restartPolicy: Unsupported value: "Sometimes": supported values: "OnFailure", "Never"'],
    ),
    "restart policy beside a failure policy": (
        {"pod": POD | {"restartPolicy": "OnFailure"}, "podFailurePolicy": {"rules": [FAIL]}},
        [
            'spec.template.spec.restartPolicy: Invalid value: "OnFailure": '
            'only "Never" is supported when podFailurePolicy is specified'
        ],
    ),
    "pod": (
        {"pod": {"restartPolicy": "Never"}},
        ["spec.template.spec.containers: Required value"],
    ),
    "selector": (
        {"selector": {"matchLabels": {"app": "x"}}},
        ["spec.selector: Invalid value: `selector` not auto-generated: leave it out"],
    ),
    "no manual selector": ({"manualSelector": True}, ["spec.selector: Required value"]),
    "manual selector": (
        {"manualSelector": True, "selector": {"matchLabels": {"app": "y"}}},
        ['spec.template.metadata.labels: Invalid value: {"app": "x"}: `selector` does not match template `labels`'],
    ),
    "long name": (
        {"name": "a" * 64},
        [f'metadata.name: Invalid value: "{"a" * 64}": must be no more than 63 characters'],
    ),
    "name without room for an index": (
        INDEXED | {"name": "a" * 62},
        [f'metadata.name: Invalid value: "{"a" * 62}": its pods could not have the host name {"a" * 62}-4'],
    ),
    "many completions": (
        {"completionMode": "Indexed", "completions": 100001, "backoffLimitPerIndex": 1, "parallelism": 10001},
        [
            "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000",
            "spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 "
            "when completions are above 100000 and used with backoff limit per index",
        ],
    ),
}


@pytest.mark.parametrize(("given", "lines"), BAD.values(), ids=BAD)
def test_a_job_is_refused(given: dict[str, Any], lines: list[str]) -> None:
    assert findings(**given) == lines


@pytest.mark.parametrize(("text", "count"), [("", 0), ("0", 1), ("0,2-4", 4), ("1-2,3,4", 4)])
def test_indexes_are_counted(text: str, count: int) -> None:
    assert count_indexes(text, 5) == count


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("5", 'too large index: "5"'),
        ("99999999999", 'too large index: "99999999999"'),
        ("a", 'cannot convert string to integer for index: "a"'),
        ("1,", 'cannot convert string to integer for index: ""'),
        ("-1", 'cannot convert string to integer for index: ""'),
        ("1-2-3", "the fragment \"1-2-3\" has more than two parts separated by '-'"),
        ("2,1", "non-increasing order, previous: 2, current: 1"),
        ("2-2", "non-increasing order, previous: 2, current: 2"),
        ("1-3,3", "non-increasing order, previous: 3, current: 3"),
    ],
)
def test_what_is_no_list_of_indexes_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}$"):
        count_indexes(text, 5)
