from __future__ import annotations

from tests.kube.pods import pod
from tests.kube.quick_clock import QuickClock
from vkprovider.core.admission import NodeView
from vkprovider.core.claims import Claim
from vkprovider.core.daemonsets import DaemonSetPolicy
from vkprovider.kube.node.door import Door
from vkprovider.model.pod import decode_pod

OWNER = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "kindnet", "uid": "d", "controller": True}
NODE = NodeView(name="node", labels={"type": "virtual-kubelet"}, allocatable={"cpu": "2", "pods": "2"})


def door(daemonsets: DaemonSetPolicy = DaemonSetPolicy.IGNORE) -> Door:
    return Door(lambda: NODE, daemonsets, QuickClock())


def test_who_fits_is_let_in() -> None:
    assert door()(decode_pod(pod("web", spec={"nodeSelector": {"type": "virtual-kubelet"}})), [Claim()]) is None


def test_who_does_not_fit_has_failed_and_is_told_why() -> None:
    turned_away = door()(decode_pod(pod("web")), [Claim(), Claim()])
    assert turned_away is not None
    message = "Node didn't have enough resource: pods, requested: 1, used: 2, capacity: 2"
    assert (turned_away.status["phase"], turned_away.status["reason"]) == ("Failed", "OutOfpods")
    assert turned_away.status["message"] == f"Pod was rejected: {message}"
    assert turned_away.event is not None
    assert (turned_away.event.type, turned_away.event.reason, turned_away.event.message) == (
        "Warning",
        "OutOfpods",
        message,
    )


def test_pods_of_daemonsets_are_left_alone_unless_they_are_wanted() -> None:
    owned = decode_pod(pod("web", metadata={"ownerReferences": [OWNER]}))
    turned_away = door()(owned, [])
    assert turned_away is not None
    assert (turned_away.status["phase"], turned_away.status["reason"]) == ("Pending", "DaemonSetIgnored")
    assert turned_away.event is not None
    assert door(DaemonSetPolicy.RUN)(owned, []) is None
