"""Which pods get a set's new images, and how: pods as they are and a set as it is in, changes out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vkprovider.sidecarset.images import Change
from vkprovider.sidecarset.model import SidecarSet
from vkprovider.sidecarset.rollout import Plan, plan

from .given import NODE, NOW, a_pod, a_set, container, injected

Raw = dict[str, Any]

HOT = {"upgradeStrategy": {"upgradeType": "HotUpgrade", "hotUpgradeEmptyImage": "empty:1"}}
STATE = "kruise.io/sidecarset-inplace-update-state"
WORKING = "kruise.io/sidecarset-working-hotupgrade-container"


def rolling(image: str = "mesh:1", *, version: int = 7, sidecar: Raw | None = None, **strategy: Any) -> SidecarSet:
    containers = [{"name": "mesh", "image": image} | (sidecar or {})]
    made = a_set(containers=containers, updateStrategy={"type": "RollingUpdate", **strategy})
    made.raw["metadata"]["resourceVersion"] = str(version)
    return made


def running(of: SidecarSet, name: str = "p", labels: Raw | None = None) -> Raw:
    """A pod that the set has injected, all of which runs and is ready."""
    pod = injected(a_pod(), of)
    pod["metadata"] |= {"name": name, "resourceVersion": "42", "labels": NODE | (labels or {})}
    return settled(pod)


def settled(pod: Raw) -> Raw:
    """What a node reports once all of the pod runs as it is to be."""
    statuses = [
        {"name": each["name"], "image": each["image"], "imageID": f"docker://{each['image']}", "ready": True}
        for each in pod["spec"]["containers"]
    ]
    pod["status"] = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": statuses,
    }
    return pod


def unready(pod: Raw) -> Raw:
    pod["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    return pod


def changed(pod: Raw, change: Change) -> Raw:
    """The pod as the API server has it after the change."""
    patch = change.patch()
    assert patch["metadata"]["resourceVersion"] == pod["metadata"]["resourceVersion"]
    for each in patch["spec"]["containers"]:
        container(pod, each["name"])["image"] = each["image"]
    pod["metadata"]["annotations"] |= patch["metadata"]["annotations"]
    return pod


def planned(of: SidecarSet, *pods: Raw) -> Plan:
    return plan(of, [(pod, {}) for pod in pods], NOW)


def touched(found: Plan) -> list[str]:
    return [change.pod["metadata"]["name"] for change in found.changes]


def numbers(found: Plan) -> tuple[int, ...]:
    return tuple(found.status[f"{key}Pods"] for key in ("matched", "updated", "ready", "updatedReady"))


def test_a_pod_gets_the_new_image_and_says_what_it_ran() -> None:
    pod = running(rolling())
    new = rolling("mesh:2")
    (change,) = planned(new, pod).changes
    assert change.images == {"mesh": "mesh:2"}
    before = {"mesh": {"imageID": "docker://mesh:1"}}
    assert json.loads(change.annotations[STATE])["logs"]["lastContainerStatuses"] == before
    changed(pod, change)
    assert numbers(planned(new, pod)) == (1, 1, 0, 0)  # until the node shows the new image
    found = planned(new, settled(pod))
    assert (numbers(found), found.changes) == ((1, 1, 1, 1), ())


def test_pods_that_are_not_of_the_set_are_left_alone() -> None:
    stranger, over, going, without = a_pod(), running(rolling()), running(rolling()), running(rolling())
    over["status"]["phase"] = "Succeeded"
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    del without["spec"]["containers"][0]
    found = planned(rolling("mesh:2"), stranger, over, going, without)
    assert (numbers(found), found.changes) == ((0, 0, 0, 0), ())


@pytest.mark.parametrize("strategy", [{"paused": True}, {"type": "NotUpdate"}])
def test_nothing_is_changed_while_that_is_not_wanted(strategy: Raw) -> None:
    found = planned(rolling("mesh:2", **strategy), running(rolling()))
    assert (numbers(found), found.changes, found.refusals) == ((1, 0, 1, 0), (), ())


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ({}, ["a"]),
        ({"maxUnavailable": 2}, ["a", "b"]),
        ({"maxUnavailable": "50%"}, ["a", "b"]),
        ({"maxUnavailable": "74%"}, ["a", "b"]),  # rounded down, as OpenKruise does, whose API says up
        ({"maxUnavailable": "24%"}, []),
        ({"maxUnavailable": 0}, []),
        ({"maxUnavailable": 4, "partition": 1}, ["a", "b", "c"]),
        ({"maxUnavailable": 4, "partition": "75%"}, ["a"]),
        ({"maxUnavailable": 4, "partition": "74%"}, ["a", "b"]),
        ({"maxUnavailable": 4, "partition": "24%"}, ["a", "b", "c", "d"]),
        ({"maxUnavailable": 4, "partition": 9}, []),
        ({"maxUnavailable": 4, "selector": {"matchLabels": {"zone": "x"}}}, ["b", "d"]),
        ({"scatterStrategy": [{"key": "zone", "value": "x"}], "maxUnavailable": 2}, ["b", "a"]),
        ({"scatterStrategy": [{"key": "zone", "value": "*"}], "maxUnavailable": 2}, ["b", "a"]),
    ],
)
def test_so_many_pods_are_changed_at_once(strategy: Raw, expected: list[str]) -> None:
    old = rolling()
    pods = [running(old, name, {"zone": "x"} if name in "bd" else {}) for name in "dcba"]
    assert touched(planned(rolling("mesh:2", **strategy), *pods)) == expected


def test_those_that_are_away_already_count_and_those_that_were_never_ready_do_not() -> None:
    old, new = rolling(), rolling("mesh:2")
    away = running(old, "a")
    changed(away, planned(new, away).changes[0])
    assert touched(planned(new, away, running(old, "b"))) == []
    assert touched(planned(new, away, unready(running(old, "b")), running(old, "c"))) == ["b"]
    assert touched(planned(new, unready(running(old, "z")), running(old, "c"))) == ["z", "c"]


def test_a_set_that_has_changed_in_more_than_images_is_for_new_pods() -> None:
    pod = running(rolling())
    found = planned(rolling("mesh:2", sidecar={"args": ["--new"]}), pod)
    assert found.changes == ()
    (refusal,) = found.refusals
    assert refusal.condition.items() >= {"type": "SidecarSetUpgradable", "reason": "UpdateImmutableField"}.items()
    pod["status"]["conditions"].append(refusal.condition)
    assert planned(rolling("mesh:2", sidecar={"args": ["--new"]}), pod).refusals == ()


def test_annotations_that_are_to_be_overwritten_follow_the_set() -> None:
    def patching(image: str, value: str) -> SidecarSet:
        patches = [
            {"annotations": {"always": value}, "patchPolicy": "Overwrite"},
            {"annotations": {"once": value}, "patchPolicy": "Retain"},
        ]
        sidecars = [{"name": "mesh", "image": image}]
        return a_set(containers=sidecars, patchPodMetadata=patches, updateStrategy={"type": "RollingUpdate"})

    (change,) = planned(patching("mesh:2", "b"), running(patching("mesh:1", "a"))).changes
    assert change.annotations["always"] == "b"
    assert "once" not in change.annotations


def test_a_hot_upgrade_step_by_step() -> None:
    """The trace of a real OpenKruise: the waiting twin gets the new image, and then the other one the empty one."""
    pod = running(rolling(sidecar=HOT))
    new = rolling("mesh:2", version=1234, sidecar=HOT)
    (change,) = planned(new, pod).changes
    assert change.images == {"mesh-2": "mesh:2"}
    assert json.loads(change.annotations[WORKING]) == {"mesh": "mesh-2"}
    versions = {key.split(".")[0] + key[-2:]: value for key, value in change.annotations.items() if "version" in key}
    assert versions == {"version-2": "1234", "versionalt-2": "1", "versionalt-1": "1234"}
    changed(pod, change)
    assert planned(new, pod).changes == ()  # mesh-2 has not yet been seen with its new image
    (change,) = planned(new, settled(pod)).changes
    assert (change.images, change.reason) == ({"mesh-1": "empty:1"}, "ResetContainerSucceed")
    assert set(change.annotations.values()) == {"0"}
    changed(pod, change)
    assert planned(new, settled(pod)).changes == ()
    third = rolling("mesh:3", version=1300, sidecar=HOT)
    (change,) = planned(third, pod).changes
    assert change.images == {"mesh-1": "mesh:3"}


@pytest.mark.parametrize("strategy", [{"paused": True}, {"type": "NotUpdate"}])
def test_a_hot_upgrade_that_has_begun_is_ended_even_if_no_other_may_begin(strategy: Raw) -> None:
    pod = running(rolling(sidecar=HOT))
    changed(pod, planned(rolling("mesh:2", sidecar=HOT), pod).changes[0])
    found = planned(rolling("mesh:2", sidecar=HOT, **strategy), settled(pod), running(rolling(sidecar=HOT), "other"))
    assert [change.images for change in found.changes] == [{"mesh-1": "empty:1"}]


def test_a_twin_whose_new_image_has_not_come_gets_the_next_one_and_the_other_works_on() -> None:
    """As where the image is misspelt: the twin that idled is Ready with the empty one, and the set is put right."""
    pod = running(rolling(sidecar=HOT))
    changed(pod, planned(rolling("mesh:none", sidecar=HOT), pod).changes[0])
    (change,) = planned(rolling("mesh:2", version=8, sidecar=HOT), pod).changes
    assert change.images == {"mesh-2": "mesh:2"}
    assert json.loads(change.annotations[WORKING]) == {"mesh": "mesh-2"}


def test_a_hot_sidecar_whose_image_stays_is_not_touched_when_another_changes() -> None:
    def both(image: str) -> SidecarSet:
        containers = [{"name": "mesh", "image": "mesh:1"} | HOT, {"name": "logs", "image": image}]
        return a_set(containers=containers, updateStrategy={"type": "RollingUpdate"})

    (change,) = planned(both("logs:2"), running(both("logs:1"))).changes
    assert change.images == {"logs": "logs:2"}


@pytest.mark.parametrize("key", ["sidecarset-hash", "sidecarset-hash-without-image"])
def test_a_pod_whose_annotations_nobody_can_read_does_not_hold_up_the_others(key: str) -> None:
    pod, other = running(rolling(), "a"), running(rolling(), "b")
    pod["metadata"]["annotations"][f"kruise.io/{key}"] = "no json"
    found = planned(rolling("mesh:2"), pod, other)
    assert (touched(found), found.refusals) == (["b"], ())


def test_a_note_of_the_last_change_that_nobody_can_read_is_written_anew() -> None:
    pod = running(rolling())
    pod["metadata"]["annotations"][STATE] = "no json"
    (change,) = planned(rolling("mesh:2"), pod).changes
    assert set(json.loads(change.annotations[STATE])) == {"logs"}
