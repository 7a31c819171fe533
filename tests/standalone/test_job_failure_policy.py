from __future__ import annotations

from typing import Any

import pytest

from tests.standalone.job_given import decide, ended, ends, job, pod_raw
from vkprovider.standalone.pod_facts import PodFact, read_pod
from vkprovider.standalone.pod_failure_policy import Match, match


def failed_pod(**facts: Any) -> PodFact:
    """A failed pod of the apps a (exit 0), b (exit 42) and c (exit 7), with an init container that ended with 3."""
    raw = pod_raw(job(), 0, "Failed", **facts)
    raw["metadata"]["name"] = "work-x"
    codes = {"a": 0, "b": 42, "c": 7}
    raw["status"]["containerStatuses"] = [{"name": name, "state": ended(code, 1)} for name, code in codes.items()]
    raw["status"]["initContainerStatuses"] = [{"name": "init", "state": ended(3, 1)}]
    return read_pod(raw)


def policy(*rules: dict[str, Any]) -> Any:
    return job(podFailurePolicy={"rules": list(rules)}).spec.pod_failure_policy


def on_codes(operator: str, *values: int, action: str = "Ignore", container: str | None = None) -> dict[str, Any]:
    return {"action": action, "onExitCodes": {"operator": operator, "values": values, "containerName": container}}


def on_condition(kind: str, action: str = "Ignore", **status: str) -> dict[str, Any]:
    return {"action": action, "onPodConditions": [{"type": kind} | status]}


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        (on_codes("In", 7, 8), True),
        (on_codes("In", 8), False),
        (on_codes("In", 0), False),
        (on_codes("In", 3), True),
        (on_codes("NotIn", 42), True),
        (on_codes("NotIn", 42, 7, 3), False),
        (on_codes("In", 42, container="b"), True),
        (on_codes("In", 42, container="c"), False),
        (on_codes("NotIn", 1, container="a"), False),
        (on_condition("DisruptionTarget"), True),
        (on_condition("DisruptionTarget", status="False"), False),
        (on_condition("ConfigIssue"), False),
    ],
)
def test_what_a_rule_matches(rule: dict[str, Any], matches: bool) -> None:
    found = match(policy(rule), failed_pod(condition="DisruptionTarget"))
    assert found == Match(action="Ignore" if matches else "")


def test_a_container_that_still_runs_has_no_code() -> None:
    raw = pod_raw(job(), 0, "Running")
    assert match(policy(on_codes("NotIn", 1)), read_pod(raw)) == Match()


def test_the_first_rule_that_matches_decides() -> None:
    rules = policy(on_codes("In", 99), on_codes("In", 42, action="Count"), on_codes("In", 42, action="FailJob"))
    assert match(rules, failed_pod()) == Match(action="Count")


def test_the_job_controllers_words() -> None:
    by_code = match(policy(on_codes("In", 1), on_codes("In", 42, action="FailJob")), failed_pod())
    said = "Container b for pod default/work-x failed with exit code 42 matching FailJob rule at index 1"
    assert by_code == Match(action="FailJob", message=said)
    by_condition = match(policy(on_condition("Bad", "FailJob")), failed_pod(condition="Bad"))
    said = "Pod default/work-x has condition Bad matching FailJob rule at index 0"
    assert by_condition == Match(action="FailJob", message=said)


def test_a_pod_that_is_being_deleted_is_not_judged_before_it_has_ended() -> None:
    owner = job(podFailurePolicy={"rules": [on_codes("In", 42, action="FailJob")]})
    leaving = read_pod(pod_raw(owner, 0, "Running", deleted=1))
    waiting = decide(owner, leaving, now=60)
    assert (ends(waiting), waiting.create) == ([], ())
    gone = read_pod(pod_raw(owner, 0, "Failed", deleted=1, code=42, end=3))
    assert ends(decide(owner, gone, now=60)) == [("FailureTarget", "PodFailurePolicy"), ("Failed", "PodFailurePolicy")]
