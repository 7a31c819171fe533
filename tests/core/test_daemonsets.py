from __future__ import annotations

import pytest

from tests.core.given import container, pod
from vkprovider.core.daemonsets import DaemonSetPolicy, daemonset_owned, ignored_event, ignored_status, is_ignored
from vkprovider.model.pod import Pod, decode_pod

IGNORE, RUN = DaemonSetPolicy.IGNORE, DaemonSetPolicy.RUN


def owned(kind: str = "DaemonSet", *, controller: bool = True) -> Pod:
    raw = pod(container("app")).raw
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": "kindnet", "uid": "d", "controller": controller}
    return decode_pod(raw | {"metadata": raw["metadata"] | {"ownerReferences": [owner], "generation": 1}})


@pytest.mark.parametrize(
    ("of", "is_of_daemonset"),
    [
        (owned(), True),
        (owned("ReplicaSet"), False),
        (owned(controller=False), False),
        (pod(container("app")), False),
    ],
)
def test_only_pods_that_a_daemonset_controls_are_ignored(of: Pod, is_of_daemonset: bool) -> None:
    assert daemonset_owned(of) is is_of_daemonset
    assert is_ignored(of, IGNORE) is is_of_daemonset
    assert not is_ignored(of, RUN)


def test_an_ignored_pod_stays_pending_and_says_why() -> None:
    status = ignored_status(owned(), "vk")
    assert status == {
        "phase": "Pending",
        "reason": "DaemonSetIgnored",
        "message": "node vk leaves pods of DaemonSets alone: to keep DaemonSet kindnet away from it, give its pods a "
        "required node affinity with the expression type NotIn [virtual-kubelet]; to have them run, start vkprovider "
        "with --daemonsets=run",
        "qosClass": "BestEffort",
        "observedGeneration": 1,
    }


def test_its_owner_is_told_once_even_over_a_restart() -> None:
    event = ignored_event(owned(), "vk")
    assert event is not None
    assert (event.type, event.reason) == ("Warning", "DaemonSetIgnored")
    assert event.message == ignored_status(owned(), "vk")["message"]
    told = decode_pod(owned().raw | {"status": ignored_status(owned(), "vk")})
    assert ignored_event(told, "vk") is None


def test_a_pod_of_before_generations_were_counted() -> None:
    raw = owned().raw
    old = decode_pod(raw | {"metadata": {k: v for k, v in raw["metadata"].items() if k != "generation"}})
    assert "observedGeneration" not in ignored_status(old, "vk")
