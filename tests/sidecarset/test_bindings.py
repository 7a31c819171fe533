"""Who may have ConfigMaps and Secrets of another namespace."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.sidecarset.given import Raw, a_pod, a_set, injected
from vkprovider.errors import SpecError
from vkprovider.model.refs import ObjectRef, split_reference
from vkprovider.sidecarset.bindings import (
    ResourceBinding,
    allowed,
    binding_findings,
    container_names,
    resource_binding,
)
from vkprovider.sidecarset.model import SidecarSet

CONFIG = ObjectRef("ConfigMap", "kube-system", "filebeat-config")
VOLUME: Raw = {"name": "config", "configMap": {"name": "kube-system/filebeat-config"}}
MOUNT = {"volumeMounts": [{"name": "config", "mountPath": "/etc/filebeat"}]}


def filebeat(name: str = "logs", **spec: Any) -> SidecarSet:
    usual = {"containers": [{"name": "filebeat", "image": "busybox", **MOUNT}], "volumes": [VOLUME]}
    return a_set(name, **{**usual, **spec})


def binding(namespace: str = "kube-system", subject: Raw | None = None, ref: Raw | None = None) -> ResourceBinding:
    subject = {"kind": "SidecarSet", "name": "logs", **(subject or {})}
    ref = {"kind": "ConfigMap", "name": "filebeat-config", **(ref or {})}
    spec = {"subjects": [subject], "resourceRefs": [ref]}
    return resource_binding({"metadata": {"name": "b", "namespace": namespace, "labels": None}, "spec": spec})


def may(
    pod: Raw | None = None,
    ref: ObjectRef = CONFIG,
    sets: tuple[SidecarSet, ...] | None = None,
    bindings: tuple[ResourceBinding, ...] = (binding(),),
) -> bool:
    sets = (filebeat(),) if sets is None else sets
    return allowed(injected(a_pod(), filebeat()) if pod is None else pod, ref, sets, bindings, {"team": "a"})


def test_a_sidecar_may_have_what_is_bound_to_its_set() -> None:
    assert may()


def test_the_pods_own_namespace_needs_no_leave() -> None:
    assert may(a_pod(), ObjectRef("Secret", "default", "any"), (), ())


@pytest.mark.parametrize(
    "spec",
    [
        {"selector": {"matchLabels": {"other": "pods"}}},
        {"namespace": "elsewhere"},
        {"namespaceSelector": {"matchLabels": {"team": "b"}}},
    ],
)
def test_the_set_must_match_the_pod_as_it_is_now(spec: dict[str, Any]) -> None:
    assert not may(sets=(filebeat(**spec),))


def test_the_set_must_be_there() -> None:
    assert not may(sets=())


def test_what_the_pod_says_of_itself_does_not_count() -> None:
    pod = injected(a_pod(), filebeat())
    pod["metadata"]["labels"] = {}
    assert not may(pod)


def test_a_paused_set_still_counts() -> None:
    assert may(sets=(filebeat(injectionStrategy={"paused": True}),))


@pytest.mark.parametrize(
    "volume",
    [
        {"name": "config", "configMap": {"name": "filebeat-config"}},
        {"name": "config", "configMap": {"name": "other/filebeat-config"}},
        {"name": "config", "secret": {"secretName": "kube-system/filebeat-config"}},
        {"name": "config", "emptyDir": {}},
    ],
)
def test_the_set_itself_must_name_the_object(volume: Raw) -> None:
    assert not may(sets=(filebeat(volumes=[volume]),))


@pytest.mark.parametrize(
    "given",
    [
        (),
        (binding("default"),),
        (binding(subject={"name": "others"}),),
        (binding(subject={"kind": "Deployment"}),),
        (binding(subject={"apiGroup": "apps"}),),
        (binding(ref={"name": "other"}),),
        (binding(ref={"kind": "Secret"}),),
        (binding(ref={"apiGroup": "apps"}),),
        (binding(subject={"name": "others"}), binding(ref={"name": "other"})),
    ],
)
def test_one_binding_of_the_objects_namespace_must_name_both(given: tuple[ResourceBinding, ...]) -> None:
    assert not may(bindings=given)


def test_the_subjects_group_may_be_said() -> None:
    assert may(bindings=(binding(subject={"apiGroup": "apps.kruise.io"}),))


@pytest.mark.parametrize("group", ["containers", "initContainers", "ephemeralContainers"])
def test_nobody_else_in_the_pod_may_mount_it(group: str) -> None:
    pod = injected(a_pod(), filebeat())
    pod["spec"].setdefault(group, []).append({"name": "thief", **MOUNT})
    assert not may(pod)


def test_nobody_else_may_mount_it_under_another_name() -> None:
    pod = injected(a_pod(volumes=[{**copy.deepcopy(VOLUME), "name": "mine"}]), filebeat())
    assert may(pod)
    pod["spec"]["containers"][-1]["volumeMounts"] = [{"name": "mine", "mountPath": "/x"}]
    assert not may(pod)


def test_nor_as_part_of_a_projected_volume() -> None:
    sources = [{"configMap": {"name": "kube-system/filebeat-config"}}]
    pod = injected(a_pod({"name": "app", "volumeMounts": [{"name": "all"}]}), filebeat())
    pod["spec"]["volumes"].append({"name": "all", "projected": {"sources": sources}})
    assert not may(pod)


def test_a_projected_volume_of_the_set_counts() -> None:
    projected = [{"name": "config", "projected": {"sources": [{"secret": {"name": "kube-system/keys"}}]}}]
    sets, ref = (filebeat(volumes=projected),), ObjectRef("Secret", "kube-system", "keys")
    grant = binding(ref={"kind": "Secret", "name": "keys"})
    assert may(injected(a_pod(), *sets), ref, sets, (grant,))
    assert not may(injected(a_pod(), *sets), ObjectRef("ConfigMap", "kube-system", "keys"), sets, (grant,))


def test_a_secret_is_bound_as_a_config_map_is() -> None:
    secret = [{"name": "config", "secret": {"secretName": "kube-system/keys"}}]
    sets, ref = (filebeat(volumes=secret),), ObjectRef("Secret", "kube-system", "keys")
    pod = injected(a_pod(), *sets)
    assert may(pod, ref, sets, (binding(ref={"kind": "Secret", "name": "keys"}),))
    assert not may(pod, ref, sets, (binding(ref={"kind": "ConfigMap", "name": "keys"}),))


def test_sidecars_of_two_sets_may_share_a_volume_if_it_is_bound_to_both() -> None:
    other = filebeat("metrics", containers=[{"name": "exporter", **MOUNT}])
    sets = (filebeat(), other)
    pod = injected(a_pod(), *sets)
    assert not may(pod, sets=sets)
    assert may(pod, sets=sets, bindings=(binding(), binding(subject={"name": "metrics"})))


def test_both_twins_are_the_sets() -> None:
    hot = {"upgradeStrategy": {"upgradeType": "HotUpgrade", "hotUpgradeEmptyImage": "e"}}
    sets = (filebeat(containers=[{"name": "mesh", **MOUNT, **hot}], initContainers=[{"name": "i", **hot}]),)
    assert container_names(sets[0]) == {"mesh-1", "mesh-2", "i"}
    assert may(injected(a_pod(), *sets), sets=sets)
    pod = injected(a_pod({"name": "mesh", **MOUNT}), *sets)
    assert not may(pod, sets=sets)


@pytest.mark.parametrize(("name", "parts"), [("x", ("here", "x")), ("a/b", ("a", "b")), ("a/b.c", ("a", "b.c"))])
def test_a_reference_is_a_name_or_has_a_namespace(name: str, parts: tuple[str, str]) -> None:
    assert split_reference(name, "here") == parts


@pytest.mark.parametrize("name", ["/", "a/", "/b", "a/b/c", "A/b", "a.b/c", "a/B", "../b"])
def test_anything_else_is_none(name: str) -> None:
    with pytest.raises(SpecError, match="is not of the form namespace/name"):
        split_reference(name, "here")


def test_what_is_wrong_with_a_binding_is_said() -> None:
    wrong = binding(subject={"kind": "Pod", "apiGroup": "x"}, ref={"kind": "Pod", "name": "a/b", "apiGroup": "v1"})
    assert [finding.path for finding in binding_findings(wrong)] == [
        "spec.subjects[0].kind",
        "spec.subjects[0].apiGroup",
        "spec.resourceRefs[0].kind",
        "spec.resourceRefs[0].apiGroup",
        "spec.resourceRefs[0].name",
    ]
    empty = resource_binding({"metadata": {"name": "b"}, "spec": {}})
    assert [str(finding) for finding in binding_findings(empty)] == [
        "spec.subjects: Required value: at least one",
        "spec.resourceRefs: Required value: at least one",
    ]
    assert list(binding_findings(binding())) == []
