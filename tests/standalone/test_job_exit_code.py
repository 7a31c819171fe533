"""The exit code of a run, from final objects."""

from __future__ import annotations

from typing import Any

import pytest

from tests.standalone.job_given import JOB_UID, decide, ended, job, pod_raw
from vkprovider.model.job import Job
from vkprovider.standalone.exit_code import exit_code
from vkprovider.standalone.pod_facts import read_pod

Raw = dict[str, Any]


def lone_pod(phase: str, reason: str = "", **states: Raw) -> Raw:
    """A Pod of its own with the apps ``a`` and ``b``, and more containers by name."""
    apps: list[Raw] = [{"name": "a"}, {"name": "b"}]
    apps.append({"name": "marked", "env": [{"name": "__IS_SIDECAR__", "value": "true"}]})
    apps.append({"name": "last", "env": [{"name": "KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT", "value": "true"}]})
    inits = [{"name": "init"}, {"name": "native", "restartPolicy": "Always"}]
    return {
        "metadata": {"name": "p", "uid": f"uid of {states}"},
        "spec": {"containers": apps, "initContainers": inits},
        "status": {
            "phase": phase,
            "reason": reason,
            "containerStatuses": [{"name": n, "state": s} for n, s in states.items() if n not in ("init", "native")],
            "initContainerStatuses": [{"name": n, "state": s} for n, s in states.items() if n in ("init", "native")],
        },
    }


@pytest.mark.parametrize(
    ("pod", "code"),
    [
        (lone_pod("Succeeded", a=ended(0, 1)), 0),
        (lone_pod("Failed", a=ended(3, 1)), 3),
        (lone_pod("Failed", a=ended(0, 1), b=ended(4, 2)), 4),
        (lone_pod("Failed", a=ended(5, 9), b=ended(4, 2)), 4),
        (lone_pod("Failed", a=ended(5, 2), b=ended(4, 2)), 5),
        (lone_pod("Failed", init=ended(6, 1), a={"waiting": {}}), 6),
        (lone_pod("Failed", a=ended(3, 9), marked=ended(137, 1), native=ended(143, 1)), 3),
        (lone_pod("Failed", a=ended(0, 1), native=ended(143, 1)), 1),
        (lone_pod("Failed", a=ended(0, 1), last=ended(7, 1)), 7),
        (lone_pod("Failed", a=ended(3, 9), last=ended(7, 1)), 3),
        (lone_pod("Failed", "DeadlineExceeded", a=ended(137, 1)), 1),
        (lone_pod("Failed", "Evicted"), 1),
        (lone_pod("Failed", a=ended(137, 1, "ContainerStatusUnknown")), 1),
        (lone_pod("Succeeded", a=ended(0, 1), last=ended(137, 2)), 0),
        (lone_pod("Running", a=ended(3, 1)), 1),
        (lone_pod("Pending"), 1),
    ],
    ids=[
        "succeeded",
        "the app's code",
        "the app that failed",
        "the one that failed first",
        "the first listed of two at once",
        "an init container",
        "sidecars do not count",
        "not even alone",
        "a sidecar for the end that failed by itself",
        "after the apps",
        "a deadline",
        "evicted",
        "an invented code",
        "stopped at the end",
        "not ended",
        "never started",
    ],
)
def test_a_pod(pod: Raw, code: int) -> None:
    assert exit_code([], [pod]) == code


def finished(owner: Job, *pods: Raw, now: float = 60) -> Raw:
    """The Job with the status it has at the end, after one more look at these pods."""
    decision = decide(owner, *map(read_pod, pods), now=now)
    assert decision.finished
    return owner.raw | {"status": decision.status}


def test_a_complete_job_is_a_success_whatever_failed_on_the_way() -> None:
    owner = job()
    pods = [pod_raw(owner, 0, "Failed", code=9, end=1), pod_raw(owner, 1, "Succeeded", end=20)]
    assert exit_code([finished(owner, *pods)], pods) == 0


def test_the_failure_that_reached_the_limit_gives_the_code() -> None:
    owner = job(backoffLimit=1)
    pods = [pod_raw(owner, 0, "Failed", code=9, end=30), pod_raw(owner, 1, "Failed", code=8, end=20)]
    assert exit_code([finished(owner, *pods)], pods) == 9


def test_pods_the_controller_ended_give_no_code() -> None:
    owner = job(backoffLimit=0)
    pods = [pod_raw(owner, 0, "Failed", code=9, end=1), pod_raw(owner, 1, "Failed", code=143, end=5, deleted=4)]
    assert exit_code([finished(owner, *pods)], pods) == 9


def test_ignored_failures_give_no_code() -> None:
    rule = {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [42]}}
    owner = job(backoffLimit=0, podFailurePolicy={"rules": [rule]})
    pods = [pod_raw(owner, 0, "Failed", code=9, end=1), pod_raw(owner, 1, "Failed", code=42, end=5)]
    assert exit_code([finished(owner, *pods)], pods) == 9


def test_the_failure_a_policy_named_gives_the_code() -> None:
    rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}
    owner = job(backoffLimit=5, podFailurePolicy={"rules": [rule]})
    pods = [pod_raw(owner, 0, "Failed", code=42, end=1), pod_raw(owner, 1, "Failed", code=9, end=5)]
    assert exit_code([finished(owner, *pods)], pods) == 42


def test_a_failed_index_gives_the_code() -> None:
    owner = job(completionMode="Indexed", completions=2, backoffLimitPerIndex=1)
    pods = [pod_raw(owner, n, "Failed", index=0, code=3 + n, end=n) for n in range(2)]
    pods.append(pod_raw(owner, 2, "Failed", index=1, code=9, end=40))
    pods.append(pod_raw(owner, 3, "Succeeded", index=1, end=50))
    assert exit_code([finished(owner, *pods)], pods) == 4


def test_too_many_restarts_give_the_code_before_the_last_restart() -> None:
    owner = job(restart="OnFailure", backoffLimit=1, completions=2, parallelism=2)
    pods = [pod_raw(owner, n, "Failed", code=143, end=9, deleted=8, restarts=1) for n in range(2)]
    for n, raw in enumerate(pods):
        raw["status"]["containerStatuses"][0]["lastState"] = ended(20 + n, 5 - n)
    failed = finished(job(backoffLimit=0, completions=2, parallelism=2), *pods)
    assert exit_code([owner.raw | {"status": failed["status"]}], pods) == 20


def test_a_deadline_gives_1() -> None:
    owner = job(activeDeadlineSeconds=5)
    pods = [pod_raw(owner, 0, "Failed", code=9, end=1)]
    assert exit_code([finished(owner, *pods)], pods) == 1


@pytest.mark.parametrize("status", [{}, {"conditions": [{"type": "Suspended", "status": "True"}]}])
def test_a_job_that_did_not_end_gives_1(status: Raw) -> None:
    assert exit_code([job().raw | {"status": status}], []) == 1


def test_a_limit_reached_by_deletions_alone_gives_1() -> None:
    owner = job(backoffLimit=0)
    pods = [pod_raw(owner, 0, "Failed", code=143, end=5, deleted=4)]
    assert exit_code([finished(owner, *pods)], pods) == 1


def test_several_objects_give_the_first_failure_in_their_order() -> None:
    complete, failed = job(), job(backoffLimit=0)
    good, bad = pod_raw(complete, 0, "Succeeded"), pod_raw(failed, 0, "Failed", code=9)
    bad["metadata"]["ownerReferences"][0]["uid"] = "other"
    failed.raw["metadata"]["uid"] = "other"
    jobs = [finished(complete, good), finished(failed, bad)]
    alone = [lone_pod("Succeeded"), lone_pod("Failed", a=ended(3, 1)), lone_pod("Failed", a=ended(4, 0))]
    assert jobs[0]["metadata"]["uid"] == JOB_UID
    assert exit_code(jobs, [*alone, bad, good]) == 9
    assert exit_code(jobs[:1], [*alone, good]) == 3
    assert exit_code(jobs[:1], [alone[0], good]) == 0
    assert exit_code([], []) == 0
