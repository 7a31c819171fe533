from __future__ import annotations

from typing import Any

import pytest

from tests.kube.machines import machine, node_settings
from tests.kube.node_api import merged
from vkprovider.core.devices import Device
from vkprovider.core.placement import Taint
from vkprovider.kube.node.adoption import adoption_patch, foreign_kubelet, offered_devices
from vkprovider.kube.node.object import build_node
from vkprovider.kube.node.resources import NodeResources
from vkprovider.kube.node.settings import NodeSettings

NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule", "timeAdded": "2026-01-01T12:00:00Z"}
OWN = {"key": "virtual-kubelet.io/provider", "value": "docker", "effect": "NoSchedule"}
GPU = Taint(key="gpu", value="a100", effect="NoExecute")


def registered(settings: NodeSettings, **spec: Any) -> dict[str, Any]:
    """The Node as an earlier start with these settings has made it, its spec changed since."""
    node = build_node(machine(), settings, [])
    node["metadata"] |= {"uid": "u", "resourceVersion": "7"}
    return {**node, "spec": node["spec"] | spec}


def adopted(existing: dict[str, Any], settings: NodeSettings) -> dict[str, Any]:
    """What becomes of it."""
    patch = adoption_patch(existing, build_node(machine(), settings, []), settings)
    result: dict[str, Any] = merged(existing, patch)
    return result


def test_a_node_that_is_as_wanted_is_left_alone() -> None:
    existing = registered(node_settings())
    assert adoption_patch(existing, build_node(machine(), node_settings(), []), node_settings()) == {}


def test_what_others_have_said_of_it_stays() -> None:
    existing = registered(node_settings(), unschedulable=True, taints=[OWN, NOT_READY])
    existing["metadata"]["labels"] |= {"pool": "blue", "type": "changed"}
    existing["metadata"]["annotations"] |= {"note": "mine"}
    node = adopted(existing, node_settings(labels={"team": "a"}))
    assert node["metadata"]["labels"] == registered(node_settings())["metadata"]["labels"] | {
        "pool": "blue",
        "team": "a",
    }
    assert node["metadata"]["annotations"]["note"] == "mine"
    assert node["spec"] == {"unschedulable": True, "taints": [OWN, NOT_READY]}


def test_only_differences_are_written() -> None:
    existing = registered(node_settings())
    settings = node_settings(labels={"team": "a"})
    assert adoption_patch(existing, build_node(machine(), settings, []), settings) == {
        "metadata": {"labels": {"team": "a"}}
    }


def test_a_taint_that_was_removed_by_hand_stays_removed() -> None:
    existing = registered(node_settings(), taints=[NOT_READY])
    assert adopted(existing, node_settings())["spec"]["taints"] == [NOT_READY]


@pytest.mark.parametrize(
    ("was", "taints", "now", "then"),
    [
        (Taint(key="a", value="b"), [{"key": "a", "value": "b", "effect": "NoSchedule"}, NOT_READY], None, [NOT_READY]),
        (None, [NOT_READY], GPU, [NOT_READY, {"key": "gpu", "value": "a100", "effect": "NoExecute"}]),
        (
            Taint(key="a"),
            [{"key": "a", "effect": "NoSchedule"}],
            GPU,
            [{"key": "gpu", "value": "a100", "effect": "NoExecute"}],
        ),
        (Taint(key="a"), [], None, []),
        (
            None,
            [{"key": "gpu", "value": "h100", "effect": "NoExecute"}],
            GPU,
            [{"key": "gpu", "value": "a100", "effect": "NoExecute"}],
        ),
    ],
)
def test_a_taint_that_was_configured_anew_replaces_the_one_before(
    was: Taint | None, taints: list[dict[str, str]], now: Taint | None, then: list[dict[str, str]]
) -> None:
    existing = registered(node_settings(taint=was), taints=taints)
    settings = node_settings(taint=now)
    node = adopted(existing, settings)
    assert node["spec"]["taints"] == then
    assert adoption_patch(node, build_node(machine(), settings, []), settings) == {}


def test_taints_are_written_for_the_version_that_was_seen() -> None:
    existing = registered(node_settings(taint=None))
    patch = adoption_patch(existing, build_node(machine(), node_settings(), []), node_settings())
    assert patch["metadata"]["resourceVersion"] == "7"
    assert patch["spec"] == {"taints": [OWN]}


def test_a_node_that_somebody_has_prepared() -> None:
    prepared = {"metadata": {"name": "vk", "uid": "u", "resourceVersion": "1"}, "spec": {"taints": [NOT_READY]}}
    node = adopted(prepared, node_settings())
    assert node["spec"]["taints"] == [NOT_READY, OWN]
    assert node["metadata"]["labels"]["type"] == "virtual-kubelet"


def test_a_nodes_own_identity_leaves_taints_alone() -> None:
    existing = registered(node_settings(taint=None))
    settings = node_settings(node_restriction=True)
    assert adoption_patch(existing, build_node(machine(), settings, []), settings) == {}


@pytest.mark.parametrize(
    ("status", "version"),
    [
        ({"nodeInfo": {"kubeletVersion": "v1.34.0-vkprovider-0.0.9"}}, ""),
        ({"nodeInfo": {"kubeletVersion": "v1.34.4"}}, "v1.34.4"),
        ({"nodeInfo": {"kubeletVersion": ""}}, ""),
        ({}, ""),
    ],
)
def test_a_real_kubelets_node_is_not_taken(status: dict[str, Any], version: str) -> None:
    assert foreign_kubelet({"metadata": {"name": "vk"}, "status": status}) == version


def offering(*names: str) -> NodeSettings:
    return node_settings(resources=NodeResources(devices={name: (Device(id="0"),) for name in names}))


def test_what_was_ever_offered_is_remembered() -> None:
    first = registered(offering("example.com/a"))
    assert offered_devices(first) == {"example.com/a"}
    assert adoption_patch(first, build_node(machine(), offering("example.com/a"), []), node_settings()) == {}
    both = adopted(first, offering("example.com/b"))
    assert offered_devices(both) == {"example.com/a", "example.com/b"}
    assert offered_devices(adopted(both, node_settings())) == {"example.com/a", "example.com/b"}
