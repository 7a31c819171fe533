"""Which pods a set is for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sidecarset.given import NODE, Raw, a_pod, a_set
from vkprovider.sidecarset.matching import covers, matching

SPACE = {"kubernetes.io/metadata.name": "default", "team": "a"}
KEY = next(iter(NODE))


def requirement(operator: str, *values: str, key: str = KEY) -> Raw:
    given = {"values": list(values)} if values else {}
    return {"selector": {"matchExpressions": [{"key": key, "operator": operator, **given}]}}


@pytest.mark.parametrize(
    ("spec", "matches"),
    [
        ({}, True),
        ({"selector": {"matchLabels": {KEY: "false"}}}, False),
        ({"selector": {"matchLabels": {**NODE, "other": "x"}}}, False),
        ({"selector": {}}, False),
        ({"selector": None}, False),
        (requirement("In", "false", "true"), True),
        (requirement("In", "false"), False),
        (requirement("NotIn", "true"), False),
        (requirement("NotIn", "x", key="absent"), True),
        (requirement("Exists"), True),
        (requirement("Exists", key="absent"), False),
        (requirement("DoesNotExist"), False),
        (requirement("DoesNotExist", key="absent"), True),
        (requirement("Gt", "1"), False),
        ({"selector": {"matchLabels": NODE, **requirement("DoesNotExist")["selector"]}}, False),
        ({"namespace": "default"}, True),
        ({"namespace": "other"}, False),
        ({"namespaceSelector": {"matchLabels": {"team": "a"}}}, True),
        ({"namespaceSelector": {"matchLabels": {"team": "b"}}}, False),
        ({"namespaceSelector": {}}, True),
        ({"namespace": "other", "namespaceSelector": {"matchLabels": {"team": "a"}}}, False),
        ({"injectionStrategy": {"paused": True}}, False),
    ],
)
def test_a_set_matches(spec: dict[str, Any], matches: bool) -> None:
    assert bool(matching(a_pod(), "default", SPACE, [a_set(**spec)])) is matches


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_no_set_is_for_a_pod_that_is_over(phase: str) -> None:
    assert matching({**a_pod(), "status": {"phase": phase}}, "default", SPACE, [a_set()]) == ()


def test_no_set_is_for_a_pod_that_is_being_deleted() -> None:
    pod = a_pod()
    pod["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:00Z"
    assert matching(pod, "default", SPACE, [a_set()]) == ()


def test_without_a_namespace_a_pod_is_in_the_default_one() -> None:
    assert matching(a_pod(), "", {}, [a_set(namespace="default")])


def test_sets_come_by_name() -> None:
    found = matching(a_pod(), "default", SPACE, [a_set("b"), a_set("c", namespace="x"), a_set("a")])
    assert [each.name for each in found] == ["a", "b"]


def test_a_paused_set_still_covers_the_pods_that_it_has_injected() -> None:
    assert covers(a_set(injectionStrategy={"paused": True}), a_pod(), "default", SPACE)
