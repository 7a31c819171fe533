"""Jobs as they are read."""

from __future__ import annotations

from typing import Any

import pytest

from vkprovider.errors import SpecError
from vkprovider.model.job import JobSpec, decode_job
from vkprovider.model.refs import PodKey

RAW: dict[str, Any] = {
    "metadata": {"name": "j", "namespace": "ns", "uid": "u"},
    "spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {"restartPolicy": "Never"}}},
}


def spec(**fields: Any) -> JobSpec:
    return decode_job({**RAW, "spec": RAW["spec"] | fields}).spec


def test_a_job_knows_itself_and_keeps_what_was_written() -> None:
    job = decode_job(RAW)
    assert (job.key, job.uid, job.indexed) == (PodKey("ns", "j"), "u", False)
    assert job.raw is RAW
    assert job.spec.template.metadata.labels == {"a": "b"}


def test_a_raw_job_reads_with_its_defaults() -> None:
    read = spec()
    assert (read.completions, read.parallelism, read.backoff_limit, read.suspend) == (1, 1, 6, False)


def test_a_work_queue_has_no_completions() -> None:
    assert spec(parallelism=3).completions is None


def test_limits_per_index_lift_the_limit_of_the_job() -> None:
    assert spec(completionMode="Indexed", completions=3, backoffLimitPerIndex=1).backoff_limit == 2**31 - 1


def test_policies_are_read() -> None:
    rules = [
        {"action": "FailJob", "onExitCodes": {"containerName": "a", "operator": "In", "values": [1, 2]}},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
    ]
    read = spec(podFailurePolicy={"rules": rules}, successPolicy={"rules": [{"succeededIndexes": "0,2-4"}]})
    assert read.pod_failure_policy is not None
    first, second = read.pod_failure_policy.rules
    assert first.on_exit_codes is not None
    assert (first.on_exit_codes.container_name, first.on_exit_codes.values) == ("a", (1, 2))
    assert second.on_pod_conditions[0].status == "True"
    assert read.success_policy is not None
    assert read.success_policy.rules[0].succeeded_indexes == "0,2-4"
    assert read.pod_replacement_policy == "Failed"


def test_a_wrong_type_is_told_with_its_path() -> None:
    with pytest.raises(SpecError) as caught:
        spec(backoffLimit="six")
    assert str(caught.value) == "spec.backoffLimit: Expected `int`, got `str`"
