"""What injection makes of a pod, step by step as OpenKruise's webhook does it."""

from __future__ import annotations

import copy
import json

import pytest

from tests.sidecarset.given import NOW, Raw, a_pod, a_set, container, injected, names
from vkprovider.errors import SpecError
from vkprovider.sidecarset.injection import inject
from vkprovider.sidecarset.model import sidecar_set

MARK = {"name": "IS_INJECTED", "value": "true"}


def test_sidecars_come_before_the_pods_containers_unless_they_are_to_come_after() -> None:
    sidecars = [
        {"name": "late", "podInjectPolicy": "AfterAppContainer"},
        {"name": "early", "podInjectPolicy": "BeforeAppContainer"},
        {"name": "usual"},
    ]
    pod = injected(a_pod({"name": "a"}, {"name": "b"}), a_set(containers=sidecars))
    assert names(pod) == ["early", "usual", "a", "b", "late"]


def test_sets_come_in_the_order_of_their_names() -> None:
    first, second = a_set("a", containers=[{"name": "z"}]), a_set("b", containers=[{"name": "c"}])
    assert names(injected(a_pod(), second, first)) == names(injected(a_pod(), first, second)) == ["z", "c", "app"]


def test_init_containers_are_sorted_by_name_after_the_pods_own() -> None:
    one = a_set("a", initContainers=[{"name": "z"}, {"name": "m", "podInjectPolicy": "BeforeAppContainer"}])
    other = a_set("b", containers=[], initContainers=[{"name": "c", "restartPolicy": "Always"}])
    pod = injected(a_pod(initContainers=[{"name": "own"}]), one, other)
    assert names(pod, "initContainers") == ["m", "own", "c", "z"]
    assert container(pod, "c")["restartPolicy"] == "Always"


def test_a_container_of_the_same_name_is_replaced_where_it_stands() -> None:
    pod = a_pod({"name": "a"}, {"name": "filebeat", "image": "mine", "command": ["evil"]}, {"name": "b"})
    made = injected(pod, a_set())
    assert names(made) == ["a", "filebeat", "b"]
    assert container(made, "filebeat") == {"name": "filebeat", "image": "busybox", "env": [MARK]}


def test_of_two_volumes_of_one_name_the_pods_own_stays() -> None:
    sidecar = {"name": "s", "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in ("config", "new")]}
    volumes = [{"name": "config", "configMap": {"name": "x"}}, {"name": "new", "emptyDir": {}}, {"name": "unused"}]
    pod = injected(a_pod(volumes=[{"name": "config", "emptyDir": {}}]), a_set(containers=[sidecar], volumes=volumes))
    assert pod["spec"]["volumes"] == [{"name": "config", "emptyDir": {}}, {"name": "new", "emptyDir": {}}]


def test_pull_secrets_are_added_by_name() -> None:
    pod = injected(a_pod(imagePullSecrets=[{"name": "a"}]), a_set(imagePullSecrets=[{"name": "a"}, {"name": "b"}]))
    assert pod["spec"]["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]


def test_rules_of_the_set_and_nulls_are_no_part_of_the_container_and_unknown_fields_are() -> None:
    sidecar = {
        "name": "s",
        "podInjectPolicy": "AfterAppContainer",
        "shareVolumePolicy": {"type": "disabled"},
        "upgradeStrategy": {"upgradeType": "ColdUpgrade"},
        "transferEnv": [],
        "command": None,
        "ofTomorrow": {"a": [1]},
    }
    made = container(injected(a_pod(), a_set(containers=[sidecar])), "s")
    assert made == {"name": "s", "ofTomorrow": {"a": [1]}, "env": [MARK]}


def test_the_pod_says_what_was_done_to_it_in_openkruises_words() -> None:
    spec = {"initContainers": [{"name": "native", "restartPolicy": "Always"}, {"name": "plain"}]}
    one = a_set("b", **spec, containers=[{"name": "zz", "image": "z"}, {"name": "aa"}])
    annotations = injected(a_pod(), one, a_set("a"))["metadata"]["annotations"]
    assert annotations["kruise.io/sidecarset-injected-list"] == "a,b"
    hashes = json.loads(annotations["kruise.io/sidecarset-hash"])
    assert list(hashes) == ["a", "b"]
    assert list(hashes["b"]) == ["updateTimestamp", "hash", "sidecarSetName", "sidecarList"]
    assert hashes["b"]["updateTimestamp"] == "2026-11-21T10:00:00Z"
    assert hashes["b"]["sidecarList"] == ["aa", "native", "zz"]
    without_image = json.loads(annotations["kruise.io/sidecarset-hash-without-image"])
    assert without_image["b"].keys() == hashes["b"].keys()
    assert without_image["b"]["hash"] != hashes["b"]["hash"]


def test_a_known_revision_is_named_beside_the_hash() -> None:
    raw = {**a_set().raw, "status": {"latestRevision": "logs-6877fd6d9d"}}
    annotations = injected(a_pod(), sidecar_set(raw))["metadata"]["annotations"]
    assert annotations["kruise.io/sidecarset-hash"].endswith('"controllerRevision":"logs-6877fd6d9d"}}')
    assert "controllerRevision" not in annotations["kruise.io/sidecarset-hash-without-image"]


def test_what_other_sets_have_written_stays() -> None:
    older = {
        "kruise.io/sidecarset-injected-list": "old",
        "kruise.io/sidecarset-hash": '{"old":"f00"}',
        "kruise.io/sidecarset-hash-without-image": '{"old":{"updateTimestamp":null,"hash":"ba4","sidecarList":null}}',
    }
    annotations = injected(a_pod(annotations=older), a_set())["metadata"]["annotations"]
    assert annotations["kruise.io/sidecarset-injected-list"] == "logs,old"
    assert json.loads(annotations["kruise.io/sidecarset-hash"])["old"]["hash"] == "f00"
    assert json.loads(annotations["kruise.io/sidecarset-hash-without-image"])["old"]["hash"] == "ba4"


@pytest.mark.parametrize("key", ["kruise.io/sidecarset-hash", "kruise.io/sidecarset-hash-without-image"])
def test_records_that_cannot_be_read_are_refused_as_openkruise_does(key: str) -> None:
    with pytest.raises(SpecError, match=rf"invalid annotations\[{key}\] value \[\], unmarshal failed"):
        injected(a_pod(annotations={key: "[]"}), a_set())


def test_a_set_that_has_injected_the_pod_does_so_no_more() -> None:
    pod = a_pod(annotations={"kruise.io/sidecarset-injected-list": "logs"})
    assert injected(pod, a_set()) == pod
    assert names(injected(pod, a_set(), a_set("b", containers=[{"name": "other"}]))) == ["other", "app"]


def test_two_sets_with_one_container_are_refused() -> None:
    with pytest.raises(SpecError, match="SidecarSet b: container filebeat already exist in a: rename it"):
        injected(a_pod(), a_set("b"), a_set("a"))


def test_a_hot_sidecar_is_two_containers() -> None:
    hot = {
        "name": "mesh",
        "image": "mesh:1",
        "upgradeStrategy": {"upgradeType": "HotUpgrade", "hotUpgradeEmptyImage": "empty:1"},
    }
    pod = injected(a_pod(), a_set(containers=[hot]))
    assert names(pod) == ["mesh-1", "mesh-2", "app"]
    assert [container(pod, name)["image"] for name in ("mesh-1", "mesh-2")] == ["mesh:1", "empty:1"]
    for name in ("mesh-1", "mesh-2"):
        assert container(pod, name)["env"] == [
            MARK,
            version("SIDECARSET_VERSION", f"version.sidecarset.kruise.io/{name}"),
            version("SIDECARSET_VERSION_ALT", f"versionalt.sidecarset.kruise.io/{name}"),
        ]
    annotations = pod["metadata"]["annotations"]
    kept = {key: value for key, value in annotations.items() if "version" in key or "working" in key}
    assert kept == {
        "kruise.io/sidecarset-working-hotupgrade-container": '{"mesh":"mesh-1"}',
        "version.sidecarset.kruise.io/mesh-1": "1",
        "versionalt.sidecarset.kruise.io/mesh-1": "0",
        "version.sidecarset.kruise.io/mesh-2": "0",
        "versionalt.sidecarset.kruise.io/mesh-2": "1",
    }
    assert json.loads(annotations["kruise.io/sidecarset-hash"])["logs"]["sidecarList"] == ["mesh"]


@pytest.mark.parametrize(
    ("before", "after"), [('{"envoy":"envoy-2"}', {"envoy": "envoy-2", "mesh": "mesh-1"}), ("x", {"mesh": "mesh-1"})]
)
def test_which_twin_works_is_remembered_of_other_sidecars(before: str, after: Raw) -> None:
    hot = {"name": "mesh", "upgradeStrategy": {"upgradeType": "HotUpgrade", "hotUpgradeEmptyImage": "e"}}
    key = "kruise.io/sidecarset-working-hotupgrade-container"
    pod = injected(a_pod(annotations={key: before}), a_set(containers=[hot]))
    assert json.loads(pod["metadata"]["annotations"][key]) == after


def test_neither_the_pod_nor_the_set_is_changed_or_shared() -> None:
    sidecars = a_set(containers=[{"name": "s", "env": [{"name": "A"}], "args": ["x"]}])
    pod, raw = a_pod(), copy.deepcopy(sidecars.raw)
    before = copy.deepcopy(pod)
    made = injected(pod, sidecars)
    container(made, "s")["args"].append("y")
    container(made, "app")["image"] = "b"
    assert pod == before
    assert sidecars.raw == raw


def test_a_pod_without_metadata_or_lists_is_taken() -> None:
    made = inject({"spec": {"containers": [{"name": "app"}]}}, [a_set()], NOW)
    assert names(made) == ["filebeat", "app"]


def version(name: str, annotation: str) -> Raw:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}}}
