"""What a set may not do beside others, or to what it was before."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sidecarset.given import a_set
from vkprovider.sidecarset.conflicts import may_meet, with_older, with_others

A, B = {"matchLabels": {"app": "a"}}, {"matchLabels": {"app": "b"}}


def expression(operator: str, *values: str, key: str = "app") -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]}


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ({"selector": A}, {"selector": A}, True),
        ({"selector": A}, {"selector": B}, False),
        ({"selector": A}, {"selector": {"matchLabels": {"tier": "x"}}}, True),
        ({"selector": A}, {"selector": expression("In", "a", "b")}, True),
        ({"selector": A}, {"selector": expression("In", "b")}, False),
        ({"selector": A}, {"selector": expression("NotIn", "a")}, False),
        ({"selector": A}, {"selector": expression("NotIn", "b")}, True),
        ({"selector": A}, {"selector": expression("Exists")}, True),
        ({"selector": A}, {"selector": expression("Exists", key="tier")}, False),
        ({"selector": A}, {"selector": expression("DoesNotExist")}, False),
        ({"selector": expression("Exists")}, {"selector": expression("DoesNotExist")}, False),
        ({"selector": expression("In", "a")}, {"selector": expression("In", "b")}, False),
        ({"namespace": "x"}, {"namespace": "y"}, False),
        ({"namespace": "x"}, {}, True),
        ({"namespaceSelector": A}, {"namespaceSelector": B}, False),
        ({"namespaceSelector": A}, {}, True),
    ],
)
def test_two_sets_may_meet_in_a_pod(one: dict[str, Any], other: dict[str, Any], meet: bool) -> None:
    first, second = a_set("a", **one), a_set("b", **other)
    assert may_meet(first, second) is meet
    assert may_meet(second, first) is meet


def said(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    rest = {"containers": [{"name": "other"}]}
    return [str(finding) for finding in with_others(a_set("a", **one), [a_set("b", **{**rest, **other}), a_set("a")])]


@pytest.mark.parametrize("group", ["containers", "initContainers"])
def test_a_container_is_of_one_set(group: str) -> None:
    taken = {group: [{"name": "x"}]}
    assert said(taken, taken) == ['spec.containers: Invalid value: "x": container x already exist in b']


def test_sets_that_never_meet_may_have_the_same_containers() -> None:
    assert said({"selector": A}, {"selector": B, "containers": [{"name": "filebeat"}]}) == []


def test_volumes_of_one_name_must_be_the_same() -> None:
    volume, another = {"name": "v", "emptyDir": {}}, {"name": "v", "hostPath": {"path": "/v"}}
    assert said({"volumes": [volume]}, {"volumes": [volume]}) == []
    complaint = 'spec.volumes: Invalid value: "v": volume v is in conflict with sidecarset b'
    assert said({"volumes": [volume]}, {"volumes": [another]}) == [complaint]


@pytest.mark.parametrize(
    ("one", "other", "conflict"),
    [
        ("Overwrite", "Overwrite", True),
        ("Overwrite", "MergePatchJson", True),
        ("MergePatchJson", "Overwrite", True),
        ("MergePatchJson", "MergePatchJson", False),
        ("Retain", "Overwrite", False),
        ("Overwrite", "Retain", False),
    ],
)
def test_one_set_may_overwrite_an_annotation(one: str, other: str, conflict: bool) -> None:
    patches = [{"patchPodMetadata": [{"annotations": {"k": "v"}, "patchPolicy": policy}]} for policy in (one, other)]
    complaint = 'spec.patchPodMetadata: Invalid value: "k": annotation k is in conflict with sidecarset b'
    assert said(*patches) == ([complaint] if conflict else [])


def test_a_set_gets_no_new_containers_and_loses_them_freely() -> None:
    before, after = a_set(containers=[{"name": "a"}, {"name": "b"}]), a_set(containers=[{"name": "b"}, {"name": "new"}])
    [line] = [str(finding) for finding in with_older(after, before)]
    assert line == 'spec.containers.name: Invalid value: "new": container new is not found'


def test_the_kind_of_upgrade_does_not_change() -> None:
    hot = {"name": "a", "upgradeStrategy": {"upgradeType": "HotUpgrade"}}
    [line] = [str(finding) for finding in with_older(a_set(containers=[hot]), a_set(containers=[{"name": "a"}]))]
    assert line.endswith("container a upgradeType is immutable")
