"""What holds of every injection, whatever the pod and the sets."""

from __future__ import annotations

import copy
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.sidecarset.given import NOW, Raw, a_set, container, names
from vkprovider.sidecarset.injection import inject
from vkprovider.sidecarset.model import SidecarSet

NAMES = st.sampled_from(["a", "b", "c", "d"])
OWN = ["a", "b", "c-1", "d"]  # one of them like a twin's
JSON = st.sampled_from([None, 1, "x", [1, {"a": None}], {"b": [], "c": "d"}])
VARIABLES = st.lists(st.fixed_dictionaries({"name": NAMES}, optional={"value": NAMES}), max_size=3)
MOUNTS = st.lists(st.fixed_dictionaries({"name": NAMES, "mountPath": st.sampled_from(["/a", "/b"])}), max_size=2)
CONTAINER = {"name": NAMES, "image": NAMES}
OPTIONAL = {"env": VARIABLES, "volumeMounts": MOUNTS}
VOLUMES = st.lists(
    st.fixed_dictionaries({"name": NAMES, "emptyDir": st.just({})}), max_size=3, unique_by=lambda volume: volume["name"]
)


def listed(optional: Raw, prefix: str = "") -> st.SearchStrategy[list[Raw]]:
    """Containers, no two of one name."""
    required = {key: optional.pop(key, kind) for key, kind in CONTAINER.items()}
    one = st.fixed_dictionaries(required, optional=OPTIONAL | optional)
    several = st.lists(one, max_size=2, unique_by=lambda each: each["name"])
    return several.map(lambda found: [each | {"name": prefix + each["name"]} for each in found])


@st.composite
def pods(draw: st.DrawFn) -> Raw:
    spec = {
        "containers": draw(listed({"name": st.sampled_from(OWN), "ofTomorrow": JSON})) or [{"name": "app"}],
        "volumes": draw(VOLUMES),
        "ofTomorrow": draw(JSON),
    }
    if init := draw(listed({}, "init-")):
        spec["initContainers"] = init
    annotations = draw(st.dictionaries(NAMES, NAMES, max_size=2))
    return {"metadata": {"labels": {"x": "y"}, "annotations": annotations}, "spec": spec, "ofTomorrow": draw(JSON)}


@st.composite
def sets_of(draw: st.DrawFn) -> list[SidecarSet]:
    """Sets with containers of their own; those of the first may have names that the pod has too."""
    found = []
    for place, name in enumerate(draw(st.lists(NAMES, max_size=2, unique=True))):
        prefix = f"{place}-" if place else ""
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
                containers=draw(listed(rules, prefix)),
                initContainers=draw(listed({}, prefix + "init-")),
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
    assert inject(pod, sets[::-1], NOW) == inject(pod, sets, NOW)


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
