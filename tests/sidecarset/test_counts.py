"""What the status of a SidecarSet counts."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from vkprovider.sidecarset.destination import VIRTUAL_NODE
from vkprovider.sidecarset.injected import kept
from vkprovider.sidecarset.injection import inject
from vkprovider.sidecarset.model import SidecarSet, sidecar_set
from vkprovider.sidecarset.rollout import plan

Json = dict[str, Any]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LABELS = {"team": "a"}  # of the namespace


def agents(image: str = "agent:1", **container: Any) -> SidecarSet:
    chosen = {"matchLabels": {VIRTUAL_NODE: "true"}}
    strategy = {"type": "NotUpdate"}
    spec = {
        "selector": chosen,
        "updateStrategy": strategy,
        "containers": [{"name": "agent", "image": image} | container],
    }
    return sidecar_set({"metadata": {"name": "agents"}, "spec": spec | {"namespaceSelector": {"matchLabels": LABELS}}})


def pod(sidecars: SidecarSet, **status: Any) -> Json:
    metadata = {"name": "web", "namespace": "default", "labels": {VIRTUAL_NODE: "true"}}
    spec = {"containers": [{"name": "app", "image": "app", "env": [{"name": "A", "value": "1"}]}]}
    made = inject({"metadata": metadata, "spec": spec}, [sidecars], NOW)
    statuses = [{"name": each["name"], "image": each["image"]} for each in made["spec"]["containers"]]
    ready = [{"type": "Ready", "status": "True"}]
    made["status"] = {"phase": "Running", "conditions": ready, "containerStatuses": statuses} | status
    return made


def numbers(sidecars: SidecarSet, *pods: Json, labels: Json = LABELS) -> tuple[int, ...]:
    found = plan(sidecars, [(kept(each), labels) for each in pods], NOW).status
    return tuple(found[key] for key in ("matchedPods", "updatedPods", "readyPods", "updatedReadyPods"))


def test_pods_are_counted_by_what_they_were_injected_by_and_how_they_stand() -> None:
    new, old = agents(), agents("agent:0")
    starting = pod(new, phase="Pending")
    assert numbers(new, pod(new), pod(new), pod(old), starting) == (4, 3, 3, 2)
    assert numbers(new) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}},
        {"metadata": {"labels": {}}},
        {"metadata": {"annotations": {}}},
        {"spec": {"containers": [{"name": "app"}]}},
        {"status": {"phase": "Succeeded"}},
    ],
    ids=["going", "not matched", "not injected", "without the sidecar", "over"],
)
def test_pods_that_are_not_its_own_do_not_count(change: Json) -> None:
    made = pod(agents())
    for section, fields in change.items():
        made[section] |= fields
    assert numbers(agents(), made) == (0, 0, 0, 0)
    assert numbers(agents(), pod(agents()), labels={}) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    "status",
    [
        {"conditions": [{"type": "Ready", "status": "False"}]},
        {"conditions": []},
        {"containerStatuses": [{"name": "agent", "image": "agent:0"}]},
        {"containerStatuses": []},
    ],
)
def test_one_whose_sidecar_is_not_yet_what_it_is_to_be_is_not_ready(status: Json) -> None:
    assert numbers(agents(), pod(agents(), **status)) == (1, 1, 0, 0)


def test_a_sidecar_that_is_upgraded_hot_is_there_twice() -> None:
    hot = agents(upgradeStrategy={"upgradeType": "HotUpgrade", "hotUpgradeEmptyImage": "empty"})
    made = pod(hot)
    assert numbers(hot, made) == (1, 1, 1, 1)
    without = copy.deepcopy(made)
    without["spec"]["containers"] = [each for each in without["spec"]["containers"] if each["name"] != "agent-2"]
    assert numbers(hot, without) == (0, 0, 0, 0)


@pytest.mark.parametrize("recorded", ["no json", "[]", '{"agents": 7}', '{"agents": {"hash": 7}}', "{}"])
def test_annotations_that_somebody_has_written_do_not_matter(recorded: str) -> None:
    made = pod(agents())
    made["metadata"]["annotations"]["kruise.io/sidecarset-hash"] = recorded
    assert numbers(agents(), made) == (1, 0, 1, 0)


def test_of_a_pod_that_is_kept_little_is_kept() -> None:
    made = kept(pod(agents()))
    containers = [{"name": "agent", "image": "agent:1"}, {"name": "app", "image": "app"}]
    assert made["spec"] == {"containers": containers}
    assert kept(made) == made
    assert msgspec.json.decode(msgspec.json.encode(made)) == made
