"""What an API server would give to new objects: the same for the same run, another for every other."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from vkprovider.standalone.identity import identify

NOW = datetime(2026, 1, 1, 12, 0, 0, 999999, tzinfo=UTC)


def raw(kind: str = "Pod", namespace: str = "default", **metadata: Any) -> dict[str, Any]:
    named = metadata or {"name": "p"}
    spec = {"template": {"spec": {}}} if kind == "Job" else {}
    return {"kind": kind, "metadata": {"namespace": namespace} | named, "spec": spec}


def uid(made: dict[str, Any]) -> str:
    return str(made["metadata"]["uid"])


def test_an_object_gets_uid_and_creation_time():
    given = raw()
    made = identify(given, "run", 0, NOW)
    assert str(uuid.UUID(uid(made))) == uid(made)
    assert made["metadata"]["creationTimestamp"] == "2026-01-01T12:00:00Z"
    assert made["metadata"]["name"] == "p"
    assert given == raw()


def test_a_status_that_it_had_elsewhere_is_left_behind():
    assert "status" not in identify(raw() | {"status": {"phase": "Failed"}}, "run", 0, NOW)


def test_a_resumed_run_finds_its_own_again():
    assert identify(raw(), "run", 0, NOW) == identify(raw(), "run", 0, NOW)
    assert identify(raw(generateName="p-"), "run", 3, NOW) == identify(raw(generateName="p-"), "run", 3, NOW)


@pytest.mark.parametrize(
    ("other", "run_id"),
    [
        (raw(), "another run"),
        (raw(kind="Job"), "run"),
        (raw(namespace="another"), "run"),
        (raw(name="q"), "run"),
    ],
)
def test_everything_else_is_another_object(other: dict[str, Any], run_id: str):
    assert uid(identify(other, run_id, 0, NOW)) != uid(identify(raw(), "run", 0, NOW))


def test_names_are_generated_as_an_api_server_does():
    names = [identify(raw(generateName="p-"), "run", number, NOW)["metadata"]["name"] for number in range(100)]
    assert all(re.fullmatch(r"p-[bcdfghjklmnpqrstvwxz2456789]{5}", name) for name in names)
    assert len(set(names)) == 100


def test_a_name_wins_over_a_generated_one():
    assert identify(raw(name="p", generateName="q-"), "run", 0, NOW)["metadata"]["name"] == "p"


def test_a_job_gets_the_selector_of_its_pods():
    made = identify(raw(kind="Job"), "run", 0, NOW)
    assert made["spec"]["selector"]["matchLabels"] == {"batch.kubernetes.io/controller-uid": uid(made)}
    assert made["spec"]["template"]["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "p"


def test_a_pod_gets_no_selector():
    assert "selector" not in identify(raw(), "run", 0, NOW)["spec"]
