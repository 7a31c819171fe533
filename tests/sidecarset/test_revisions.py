"""The revisions of a set: what is kept of it and what is let go, and new pods that are to get an earlier one."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vkprovider.errors import SpecError
from vkprovider.sidecarset.hashes import set_hashes
from vkprovider.sidecarset.injected import revisions_of
from vkprovider.sidecarset.model import SidecarSet, sidecar_set
from vkprovider.sidecarset.revisions import History, Revision, history, only_revision, pinned, revision
from vkprovider.sidecarset.rollout import plan

from .given import NODE, NOW, Raw, a_pod, a_set, container, injected

VERSION = "apps.kruise.io/sidecarset-custom-version"
BY_NAME, BY_VERSION = "revisionName", "customVersion"


def logs(
    image: str = "logs:1", version: str = "", pin: Raw | None = None, collisions: int = 0, **spec: Any
) -> SidecarSet:
    """A set as an API server has it, with its custom version as a label."""
    strategy = {"injectionStrategy": {"revision": pin}} if pin is not None else {}
    raw = a_set(containers=[{"name": "filebeat", "image": image}], **strategy, **spec).raw
    labels = {VERSION: version, "team": "a"} if version else {}
    metadata = raw["metadata"] | {"uid": "u-1", "labels": labels}
    return sidecar_set(raw | {"metadata": metadata, "status": {"collisionCount": collisions}})


class Kept:
    """The revisions of a namespace, kept as ``history`` says."""

    def __init__(self) -> None:
        self.all: dict[str, Revision] = {}

    def keep(self, of: SidecarSet, *used: str) -> History:
        found = history(of, tuple(self.all.values()), frozenset(used))
        if found.new is not None:
            self.put(revision(found.new))
        if found.change is not None:
            labels = found.change.get("metadata", {}).get("labels", {})
            old = self.all[found.latest]
            number, version = found.change.get("revision", old.number), labels.get(VERSION, old.custom_version)
            self.put(msgspec.structs.replace(old, number=number, custom_version=version))
        for name in found.obsolete:
            del self.all[name]
        return found

    def put(self, made: Revision) -> None:
        self.all[made.name] = made

    def images(self) -> list[str]:
        """Of the states that are kept, the oldest first."""
        found = sorted(self.all.values(), key=lambda each: each.number)
        return [each.data["spec"]["containers"][0]["image"] for each in found]

    def get(self, of: SidecarSet) -> SidecarSet:
        return pinned(of, tuple(self.all.values()))


def kept(*states: SidecarSet) -> Kept:
    made = Kept()
    for each in states:
        made.keep(each)
    return made


def test_a_revision_is_what_openkruise_makes_of_it() -> None:
    made = Kept().keep(logs(version="v1", volumes=[{"name": "v", "emptyDir": {}}])).new
    assert made is not None
    metadata, data = made["metadata"], made["data"]
    digits = metadata["labels"]["controller.kubernetes.io/hash"]
    assert (made["apiVersion"], made["kind"], made["revision"]) == ("apps/v1", "ControllerRevision", 1)
    assert metadata["name"] == f"logs-{digits}"
    assert metadata["labels"].items() >= {"kruise.io/sidecarset-name": "logs", VERSION: "v1", "team": "a"}.items()
    assert metadata["annotations"] == set_hashes(logs())
    (owner,) = metadata["ownerReferences"]
    assert owner == {
        "apiVersion": "apps.kruise.io/v1alpha1",
        "kind": "SidecarSet",
        "name": "logs",
        "uid": "u-1",
        "controller": True,
    }
    nothing = dict.fromkeys(("imagePullSecrets", "initContainers", "patchPodMetadata"))
    containers = [{"name": "filebeat", "image": "logs:1"}]
    assert data == {"spec": nothing | {"containers": containers, "volumes": [{"name": "v", "emptyDir": {}}]}}


def test_what_pods_do_not_get_makes_no_revision() -> None:
    made = kept(logs())
    again = logs(pin={BY_VERSION: "x"}, namespace="web", revisionHistoryLimit=3, updateStrategy={"type": "NotUpdate"})
    found = made.keep(again)
    assert (found.new, found.change, found.obsolete) == (None, None, ())
    assert made.images() == ["logs:1"]


def test_a_state_that_comes_back_is_the_latest_again() -> None:
    made = kept(logs(), logs("logs:2"))
    first = made.keep(logs()).latest
    assert made.images() == ["logs:2", "logs:1"]
    assert made.keep(logs()).change is None
    assert made.all[first].number == 3


def test_a_custom_version_is_put_on_the_latest_and_stays_on_the_others() -> None:
    made = kept(logs(), logs(version="v1"), logs("logs:2", version="v2"), logs("logs:2"))
    versions = {each.data["spec"]["containers"][0]["image"]: each.custom_version for each in made.all.values()}
    assert versions == {"logs:1": "v1", "logs:2": "v2"}


def test_a_name_that_is_taken_is_told_from_the_next_one_by_the_collisions() -> None:
    name = only_revision(logs()).name
    made = Kept()
    made.put(Revision(name=name, owner="another", set_name="logs"))  # of a set that had the name before
    found = made.keep(logs())
    assert (found.collisions, found.latest == name) == (1, False)
    assert made.keep(logs(collisions=1)).new is None
    assert made.keep(logs("logs:2", collisions=1)).collisions == 1  # where it began to count


@pytest.mark.parametrize(
    ("limit", "used", "pin", "expected"),
    [
        (10, (), None, ["1", "2", "3", "4"]),
        (2, (), None, ["3", "4"]),
        (1, (), None, ["4"]),
        (0, (), None, ["4"]),
        (1, ("1", "3"), None, ["1", "3", "4"]),
        (2, ("1",), None, ["1", "4"]),
        (1, (), {BY_VERSION: "v2"}, ["2", "4"]),
        (1, (), {BY_NAME: "1"}, ["1", "4"]),
    ],
)
def test_so_many_are_kept_and_those_that_are_in_use(
    limit: int, used: tuple[str, ...], pin: Raw | None, expected: list[str]
) -> None:
    made = kept(*(logs(image, version=f"v{image}") for image in "1234"))
    names = {each.data["spec"]["containers"][0]["image"]: each.name for each in made.all.values()}
    named = {BY_NAME: names["1"]} if pin == {BY_NAME: "1"} else pin
    made.keep(logs("4", revisionHistoryLimit=limit, pin=named), *(names[image] for image in used))
    assert made.images() == expected


def test_revisions_of_others_are_left_alone() -> None:
    made = Kept()
    strangers = (Revision(name="web-1", owner="x"), Revision(name="logs-1", set_name="logs", owner="x"))
    for each in strangers:
        made.put(each)
    for image in "123":
        made.keep(logs(image, revisionHistoryLimit=1))
    assert [each for each in made.all.values() if each.owner != "u-1"] == list(strangers)
    assert len(made.all) == 3


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 4), st.integers(0, 3)), min_size=1))
@settings(max_examples=60)
def test_whatever_the_set_becomes(states: list[tuple[str, int, int]]) -> None:
    """One look does all: the present state is the latest and can be had, what is in use stays, all else within limits,
    numbers never repeat.
    """
    made = Kept()
    for image, limit, choice in states:
        used = sorted(made.all)[:choice]
        of = logs(image, revisionHistoryLimit=limit)
        found = made.keep(of, *used)
        assert made.images()[-1] == image
        assert set(used) <= set(made.all)
        assert len(made.all) <= max(1, limit, len(used) + 1)
        assert len({each.number for each in made.all.values()}) == len(made.all)
        assert made.get(logs("other", pin={BY_NAME: found.latest})).spec.containers[0].image == image
        again = made.keep(of, *used)
        assert (again.new, again.change, again.obsolete, again.latest) == (None, None, (), found.latest)


def test_new_pods_get_the_revision_that_is_named() -> None:
    first = logs("logs:1", version="v1", volumes=[{"name": "v", "emptyDir": {}}], imagePullSecrets=[{"name": "s"}])
    made = kept(first, logs("logs:2", version="v2"))
    name = next(each.name for each in made.all.values() if each.custom_version == "v1")
    for pin in ({BY_VERSION: "v1"}, {BY_NAME: name}, {BY_NAME: name, BY_VERSION: "v2"}, {BY_NAME: name, "policy": ""}):
        now = logs("logs:2", version="v2", pin=pin, initContainers=[{"name": "new", "image": "new"}])
        pod = injected(a_pod(), made.get(now))
        assert container(pod, "filebeat")["image"] == "logs:1"
        assert (pod["spec"]["imagePullSecrets"], "initContainers" in pod["spec"]) == ([{"name": "s"}], False)
        record = json.loads(pod["metadata"]["annotations"]["kruise.io/sidecarset-hash"])["logs"]
        assert (record["hash"], record["controllerRevision"]) == (set_hashes(first)["kruise.io/sidecarset-hash"], name)
    assert made.get(logs("logs:2")) == logs("logs:2")


def test_selectors_and_strategies_are_those_of_the_set_as_it_is() -> None:
    made = kept(logs(version="v1", selector={"matchLabels": {"old": "1"}}))
    now = made.get(logs("logs:2", pin={BY_VERSION: "v1"}, namespace="web"))
    assert (now.spec.namespace, now.raw["spec"]["selector"]) == ("web", {"matchLabels": NODE})


def test_of_several_with_one_custom_version_the_latest_is_taken() -> None:
    made = kept(logs("a", version="v"), logs("b", version="v"), logs("c", version="w"), logs("a", version="v"))
    assert made.get(logs("c", pin={BY_VERSION: "v"})).spec.containers[0].image == "a"


@pytest.mark.parametrize("pin", [{BY_VERSION: "v3"}, {BY_NAME: "logs-gone"}, {BY_NAME: "web-1"}, {BY_NAME: "logs-old"}])
def test_a_revision_that_is_none_of_the_sets_is_refused_by_the_field(pin: Raw) -> None:
    made = kept(logs(version="v1"))
    known = ", ".join(f"{each.name} (v1)" for each in made.all.values())
    made.put(Revision(name="web-1", set_name="web", owner="u-1"))
    made.put(Revision(name="logs-old", set_name="logs", owner="u-0"))
    with pytest.raises(SpecError) as refused:
        made.get(logs(pin=pin))
    (wanted,) = pin.values()
    assert str(refused.value) == (
        f'SidecarSet "logs": spec.injectionStrategy.revision: Invalid value: "{wanted}": Cannot find specific '
        f"ControllerRevision; there are: {known}"
    )


def test_pods_of_an_earlier_revision_are_not_updated_and_go_as_the_strategy_says() -> None:
    made = kept(logs("logs:1", version="v1"), logs("logs:2", version="v2"))

    def rolled(**strategy: Any) -> tuple[list[int], list[str]]:
        now = logs("logs:2", pin={BY_VERSION: "v1"}, updateStrategy={"type": "RollingUpdate"} | strategy)
        pods = [running(made.get(now), name) for name in "ab"] + [running(logs("logs:2"), "c")]
        assert revisions_of(now, [(pod, {}) for pod in pods]) >= {first}
        found = plan(now, [(pod, {}) for pod in pods], NOW)
        return [found.status["matchedPods"], found.status["updatedPods"]], [
            change.pod["metadata"]["name"] for change in found.changes
        ]

    first = next(each.name for each in made.all.values() if each.custom_version == "v1")
    assert rolled() == ([3, 1], ["a"])
    assert rolled(partition=1, maxUnavailable=3) == ([3, 1], ["a"])
    assert rolled(partition=2) == rolled(type="NotUpdate") == rolled(paused=True) == ([3, 1], [])


def running(of: SidecarSet, name: str) -> Raw:
    pod = injected(a_pod(), of)
    pod["metadata"] |= {"name": name, "resourceVersion": "1"}
    statuses = [{"name": each["name"], "image": each["image"]} for each in pod["spec"]["containers"]]
    ready = [{"type": "Ready", "status": "True"}]
    return pod | {"status": {"phase": "Running", "conditions": ready, "containerStatuses": statuses}}


def test_a_pod_that_cannot_be_read_uses_none() -> None:
    pod = running(logs(), "a")
    pod["metadata"]["annotations"]["kruise.io/sidecarset-hash"] = "no json"
    assert revisions_of(logs(), [(pod, {})]) == {""}


def test_what_is_no_revision_of_a_set_is_read_all_the_same() -> None:
    assert revision({"metadata": {"name": "web-1"}}) == Revision(name="web-1")
