from __future__ import annotations

from typing import Any

import pytest

from vkprovider.core.placement import NO_EXECUTE, NO_SCHEDULE, Taint, matches_node, tolerates

LABELS = {"type": "virtual-kubelet", "disk": "ssd", "cores": "8", "empty": ""}
GPU = Taint(key="gpu", value="a100", effect=NO_EXECUTE)


def affine(*terms: dict[str, Any]) -> dict[str, Any]:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"affinity": {"nodeAffinity": required}}


def term(key: str, operator: str, *values: str, of: str = "matchExpressions") -> dict[str, Any]:
    return {of: [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ({}, True),
        ({"disk": "ssd"}, True),
        ({"disk": "ssd", "type": "virtual-kubelet"}, True),
        ({"disk": "ssd", "type": "real"}, False),
        ({"absent": "x"}, False),
        ({"empty": ""}, True),
        ({"absent": ""}, False),
    ],
)
def test_every_label_of_the_node_selector_must_be_there(selector: dict[str, str], matches: bool) -> None:
    assert matches_node({"nodeSelector": selector}, "vk", LABELS) is matches


@pytest.mark.parametrize(
    ("requirement", "matches"),
    [
        (term("disk", "In", "hdd", "ssd"), True),
        (term("disk", "In", "hdd"), False),
        (term("absent", "In", "ssd"), False),
        (term("disk", "NotIn", "hdd"), True),
        (term("disk", "NotIn", "ssd"), False),
        (term("absent", "NotIn", "ssd"), True),
        (term("empty", "Exists"), True),
        (term("absent", "Exists"), False),
        (term("absent", "DoesNotExist"), True),
        (term("empty", "DoesNotExist"), False),
        (term("cores", "Gt", "7"), True),
        (term("cores", "Gt", "8"), False),
        (term("cores", "Lt", "9"), True),
        (term("cores", "Lt", "8"), False),
        (term("cores", "Gt", "-1"), True),
        (term("disk", "Gt", "7"), False),
        (term("cores", "Lt", "many"), False),
        (term("cores", "Lt", "9", "10"), False),
        (term("absent", "Lt", "9"), False),
        (term("metadata.name", "In", "vk", of="matchFields"), True),
        (term("metadata.name", "In", "other", of="matchFields"), False),
        (term("metadata.name", "NotIn", "vk", of="matchFields"), False),
        (term("metadata.name", "NotIn", "other", of="matchFields"), True),
        (term("metadata.name", "Exists", of="matchFields"), False),
        (term("disk", "Almost", "ssd"), False),
        ({}, False),
        ({"matchExpressions": [], "matchFields": []}, False),
    ],
)
def test_required_node_affinity(requirement: dict[str, Any], matches: bool) -> None:
    assert matches_node(affine(requirement), "vk", LABELS) is matches


def test_all_requirements_of_a_term_must_hold_and_one_term_is_enough() -> None:
    both = term("disk", "In", "ssd") | term("metadata.name", "In", "other", of="matchFields")
    assert not matches_node(affine(both), "vk", LABELS)
    assert matches_node(affine(both), "other", LABELS)
    assert matches_node(affine(both, term("cores", "Exists")), "vk", LABELS)


def test_affinity_without_terms_selects_nothing_and_a_preference_is_no_requirement() -> None:
    assert not matches_node(affine(), "vk", LABELS)
    preferred = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": term("x", "Exists")}]}
    assert matches_node({"affinity": {"nodeAffinity": preferred}}, "vk", LABELS)
    assert matches_node({"affinity": {"podAffinity": {}}}, "vk", LABELS)


def test_the_selector_holds_beside_the_affinity() -> None:
    assert not matches_node({"nodeSelector": {"disk": "hdd"}} | affine(term("cores", "Exists")), "vk", LABELS)


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"key": "gpu", "value": "a100"}, True),
        ({"key": "gpu", "operator": "Equal", "value": "a100", "effect": NO_EXECUTE}, True),
        ({"key": "gpu", "value": "h100"}, False),
        ({"key": "gpu"}, False),
        ({"key": "cpu", "operator": "Exists"}, False),
        ({"key": "gpu", "operator": "Exists", "effect": NO_SCHEDULE}, False),
        ({"key": "gpu", "operator": "Lt", "value": "a100"}, False),
    ],
)
def test_tolerations(toleration: dict[str, str], tolerated: bool) -> None:
    assert tolerates([toleration], GPU) is tolerated


def test_any_toleration_will_do() -> None:
    assert tolerates([{"key": "other"}, {"key": "gpu", "operator": "Exists"}], GPU)
    assert not tolerates([], GPU)


def test_a_taint_is_written_as_kubectl_takes_it() -> None:
    assert str(GPU) == "gpu=a100:NoExecute"
    assert str(Taint(key="gpu")) == "gpu:NoSchedule"
