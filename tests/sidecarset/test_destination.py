"""Where pods belong, and what becomes of them for it."""

from __future__ import annotations

import copy

import pytest

from tests.sidecarset.destinations import CASES, ECI, LABELLED, VIRTUAL, Case, is_as_it_should_be
from vkprovider.sidecarset.destination import VIRTUAL_NODE, DestinationSettings, destined, is_destined

SETTINGS = DestinationSettings(nodes=frozenset({VIRTUAL}))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_pods_that_are_meant_for_virtual_nodes_are_pinned_and_labelled_and_others_not(case: Case) -> None:
    before = copy.deepcopy(case.pod)
    namespace = LABELLED if case.labelled_namespace else {}
    made = destined(case.pod, namespace, SETTINGS)
    assert is_destined(case.pod, namespace, SETTINGS) is case.destined
    assert is_as_it_should_be(case, made)
    assert case.pod == before
    assert destined(made, namespace, SETTINGS) == made  # a second look changes nothing


def test_nothing_else_of_a_pod_changes() -> None:
    pod = {
        "metadata": {"name": "web", "labels": {ECI: "true"}, "annotations": {"a": "b"}},
        "spec": {"containers": [{"name": "app"}], "tolerations": [{"key": "other"}], "nodeName": VIRTUAL},
    }
    assert destined(pod, {}, SETTINGS) == {
        "metadata": {"name": "web", "labels": {ECI: "true", VIRTUAL_NODE: "true"}, "annotations": {"a": "b"}},
        "spec": {
            "containers": [{"name": "app"}],
            "tolerations": [{"key": "other"}, {"key": "virtual-kubelet.io/provider", "operator": "Exists"}],
            "nodeName": VIRTUAL,
            "nodeSelector": {"type": "virtual-kubelet"},
        },
    }


@pytest.mark.parametrize(
    ("toleration", "enough"),
    [
        ({"operator": "Exists"}, True),
        ({"operator": "Exists", "key": "virtual-kubelet.io/provider"}, True),
        ({"operator": "Exists", "key": "virtual-kubelet.io/provider", "effect": "NoSchedule"}, False),
        ({"key": "virtual-kubelet.io/provider", "value": "docker"}, False),
        ({"operator": "Exists", "key": "another"}, False),
    ],
)
def test_a_toleration_is_added_unless_there_is_one_for_every_value_and_effect(
    toleration: dict[str, str], enough: bool
) -> None:
    pod = {"metadata": {"labels": {ECI: "true"}}, "spec": {"tolerations": [toleration]}}
    assert (len(destined(pod, {}, SETTINGS)["spec"]["tolerations"]) == 1) is enough


def test_labels_taint_and_type_may_be_others() -> None:
    settings = DestinationSettings(labels=(("pool", "burst"),), type=("kind", "virtual"), taint="burst")
    made = destined({"metadata": {"labels": {"pool": "burst"}}, "spec": {}}, {}, settings)
    assert made["spec"] == {
        "nodeSelector": {"kind": "virtual"},
        "tolerations": [{"key": "burst", "operator": "Exists"}],
    }
    assert not is_destined({"metadata": {"labels": {ECI: "true"}}}, {}, settings)
