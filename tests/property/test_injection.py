"""What holds of every injection, whatever the pod and the sets."""

from __future__ import annotations

import copy
from datetime import timedelta
from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.sidecarset.given import NOW, Raw, a_set, container, names
from vkprovider.sidecarset.injection import inject
from vkprovider.sidecarset.model import SidecarSet

NAMES = st.sampled_from(["a", "b", "c", "d-1", "d"])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.integers() | st.text(max_size=3) | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
VARIABLES = st.lists(st.fixed_dictionaries({"name": NAMES}, optional={"value": NAMES}), max_size=3)
MOUNTS = st.lists(st.fixed_dictionaries({"name": NAMES, "mountPath": st.sampled_from(["/a", "/b"])}), max_size=2)
CONTAINER = {"name": NAMES, "image": NAMES}
OPTIONAL = {"env": VARIABLES, "volumeMounts": MOUNTS}
VOLUMES = st.lists(
    st.fixed_dictionaries({"name": NAMES, "emptyDir": st.just({})}), max_size=3, unique_by=lambda volume: volume["name"]
)


def listed(optional: dict[str, Any]) -> st.SearchStrategy[list[Raw]]:
    """Containers, no two of one name."""
    one = st.fixed_dictionaries(CONTAINER, optional=OPTIONAL | optional)
    return st.lists(one, max_size=3, unique_by=lambda each: each["name"])


@st.composite
def pods(draw: st.DrawFn) -> Raw:
    spec = {
        "containers": draw(listed({"ofTomorrow": JSON})) or [{"name": "app"}],
        "volumes": draw(VOLUMES),
        "ofTomorrow": draw(JSON),
    }
    if init := draw(listed({})):
        spec["initContainers"] = [each | {"name": f"init-{each['name']}"} for each in init]
    annotations = draw(st.dictionaries(NAMES, NAMES, max_size=2))
    return {"metadata": {"labels": {"x": "y"}, "annotations": annotations}, "spec": spec, "ofTomorrow": draw(JSON)}


@st.composite
def sets_of(draw: st.DrawFn) -> list[SidecarSet]:
    found = []
    for name in draw(st.lists(NAMES, max_size=3, unique=True)):
        rules = {
            "podInjectPolicy": st.sampled_from(["BeforeAppContainer", "AfterAppContainer"]),
            "shareVolumePolicy": st.sampled_from([{"type": "enabled"}, {"type": "disabled"}]),
            "transferEnv": st.lists(
                st.fixed_dictionaries({"sourceContainerName": NAMES, "envName": NAMES}), max_size=2
            ),
            "upgradeStrategy": st.just({"upgradeType": "HotUpgrade", "hotUpgradeEmptyImage": "e"}),
            "ofTomorrow": JSON,
        }
        found.append(
            a_set(
                name,
                containers=draw(listed(rules)),
                initContainers=draw(listed({})),
                volumes=draw(VOLUMES),
                patchPodMetadata=draw(st.lists(st.just({"annotations": {"a": "1"}}), max_size=1)),
            )
        )
    return found


def replaced(sets: list[SidecarSet]) -> set[str]:
    """The names that sidecars have in a pod."""
    made = inject({"spec": {"containers": []}}, sets, NOW)["spec"]
    return {each["name"] for group in ("containers", "initContainers") for each in made.get(group, ())}


@given(pods(), sets_of())
def test_to_inject_again_changes_nothing(pod: Raw, sets: list[SidecarSet]) -> None:
    once = inject(pod, sets, NOW)
    assert inject(once, sets, NOW + timedelta(hours=1)) == once


@given(pods(), sets_of())
def test_the_order_in_which_sets_are_given_does_not_matter(pod: Raw, sets: list[SidecarSet]) -> None:
    made = [inject(pod, list(order), NOW) for order in permutations(sets)]
    assert all(each == made[0] for each in made)


@given(pods(), sets_of())
def test_the_pods_own_containers_stay_as_they_are_and_in_their_order(pod: Raw, sets: list[SidecarSet]) -> None:
    made, taken = inject(pod, sets, NOW), replaced(sets)
    for group in ("containers", "initContainers"):
        own = names(pod, group)
        assert [name for name in names(made, group) if name in own][: len(own)] == own
        for each in pod["spec"].get(group, ()):
            assert each["name"] in taken or container(made, each["name"]) == each


@given(pods(), sets_of())
def test_all_else_of_the_pod_stays_and_lists_only_grow(pod: Raw, sets: list[SidecarSet]) -> None:
    before = copy.deepcopy(pod)
    made = inject(pod, sets, NOW)
    assert pod == before
    assert made["ofTomorrow"] == pod["ofTomorrow"]
    assert made["spec"]["ofTomorrow"] == pod["spec"]["ofTomorrow"]
    assert made["metadata"]["labels"] == pod["metadata"]["labels"]
    assert made["spec"]["volumes"][: len(pod["spec"]["volumes"])] == pod["spec"]["volumes"]
    assert made["metadata"]["annotations"].items() >= pod["metadata"]["annotations"].items()


@given(pods(), sets_of())
def test_no_two_containers_of_a_list_and_no_two_volumes_have_one_name(pod: Raw, sets: list[SidecarSet]) -> None:
    made = inject(pod, sets, NOW)["spec"]
    for group in ("containers", "initContainers", "volumes"):
        found = [each["name"] for each in made.get(group, ())]
        assert len(found) == len(set(found))
