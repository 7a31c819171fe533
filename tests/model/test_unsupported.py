"""The table of fields that are not honoured, and what is said of them."""

from __future__ import annotations

from typing import Any

import pytest

from vkprovider.model.container import Container, EnvVarSource, SecurityContext, VolumeMount
from vkprovider.model.deployment import DeploymentSpec
from vkprovider.model.fields import UnknownField, field_names, unknown_fields
from vkprovider.model.job import JobSpec, PodTemplateSpec
from vkprovider.model.pod import ObjectMeta, PodSecurityContext, PodSpec
from vkprovider.model.probe import Probe
from vkprovider.model.remarks import closest, known_names, remarks
from vkprovider.model.unsupported import OTHERS, REFUSAL, Level
from vkprovider.model.volume import Volume

ALL = [other for kind in OTHERS.values() for other in kind.values()]


@pytest.mark.parametrize("kind", OTHERS, ids=lambda kind: kind.__name__)
def test_no_field_is_both_honoured_and_not(kind: type[Any]) -> None:
    assert set(field_names(kind)).isdisjoint(OTHERS[kind])


def test_every_warning_says_what_happens_instead() -> None:
    assert all(bool(other.note) == (other.level is Level.WARN) for other in ALL)


def test_placement_is_harmless_whatever_its_value() -> None:
    assert not any(other.harmless for other in ALL if other.level is Level.PLACEMENT)


# core/v1 types.go of 1.34: the number of fields, by which a lost line of the table shows.
@pytest.mark.parametrize(
    ("kind", "count"),
    [
        (PodSpec, 41),
        (Container, 25),
        (Volume, 31),
        (Probe, 10),
        (SecurityContext, 12),
        (PodSecurityContext, 13),
        (VolumeMount, 7),
        (EnvVarSource, 5),
        (ObjectMeta, 15),
        (JobSpec, 16),
        (DeploymentSpec, 8),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_all_fields_of_kubernetes_are_known(kind: type[Any], count: int) -> None:
    assert len(known_names(kind)) == count


def said(raw: dict[str, Any], kind: type[Any]) -> list[tuple[str, str]]:
    return [(str(remark.finding), remark.level or "unknown") for remark in remarks(unknown_fields(raw, kind))]


def test_placement_is_passed_over() -> None:
    raw = {"nodeSelector": {"any": "thing"}, "tolerations": [{"key": "a", "operator": "Exists"}], "priority": 5}
    assert said(raw, PodSpec) == []


def test_a_misspelling_below_a_field_that_is_passed_over_is_told() -> None:
    term = {"matchExpressions": [{"key": "a", "operater": "In"}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    [(line, level)] = said({"affinity": affinity}, PodSpec)
    assert line.endswith(
        'nodeSelectorTerms[0].matchExpressions[0].operater: unknown field "operater", did you mean "operator"?'
    )
    assert level == "unknown"


def test_a_field_that_matters_is_refused() -> None:
    assert said({"name": "v", "nfs": {"server": "s"}}, Volume) == [(f"nfs: {REFUSAL}", "refuse")]


def test_a_field_that_can_be_done_without_is_warned_of() -> None:
    assert said({"schedulingGates": [{"name": "a"}]}, PodSpec) == [
        ("schedulingGates: not honoured by vkprovider: nobody holds the pod back", "warn")
    ]


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (PodSpec, {"hostUsers": True}),
        (PodSpec, {"os": {"name": "linux"}}),
        (PodSpec, {"ephemeralContainers": []}),
        (PodSpec, {"runtimeClassName": ""}),
        (VolumeMount, {"name": "v", "mountPath": "/v", "recursiveReadOnly": "Disabled"}),
        (SecurityContext, {"windowsOptions": {}}),
        (JobSpec, {"template": {}, "managedBy": "kubernetes.io/job-controller"}),
    ],
)
def test_a_value_that_asks_for_what_is_done_anyway_is_passed_over(kind: type[Any], raw: dict[str, Any]) -> None:
    assert said(raw, kind) == []


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (Container, "imagee", 'unknown field "imagee", did you mean "image"?'),
        (Container, "Image", 'unknown field "Image", did you mean "image"?'),
        (Container, "volumemounts", 'unknown field "volumemounts", did you mean "volumeMounts"?'),
        (Container, "livenesProbe", 'unknown field "livenesProbe", did you mean "livenessProbe"?'),
        (PodSpec, "afinity", 'unknown field "afinity", did you mean "affinity"?'),
        (PodSpec, "xyz", 'unknown field "xyz"'),
        (PodSpec, "image", 'unknown field "image": it belongs in a container'),
        (PodSpec, "backoffLimit", 'unknown field "backoffLimit": it belongs in the Job spec'),
        (Container, "volumes", 'unknown field "volumes": it belongs in the pod spec'),
        (PodTemplateSpec, "containers", 'unknown field "containers": it belongs in the pod spec'),
        (JobSpec, "restartPolicy", 'unknown field "restartPolicy": it belongs in the pod spec'),
        (PodSpec, "labels", 'unknown field "labels": it belongs in metadata'),
    ],
)
def test_an_unknown_field_is_told_with_what_was_meant(kind: type[Any], name: str, message: str) -> None:
    [remark] = remarks([UnknownField(f"spec.{name}", name, kind, 1)])
    assert remark.finding == (f"spec.{name}", message)


def test_the_field_that_was_meant_is_named_by_its_path() -> None:
    [remark] = remarks(unknown_fields({"containers": [{"name": "a", "imagee": "x"}]}, PodSpec, "spec"))
    assert remark.meant == "spec.containers[0].image"


def test_closest_finds_nothing_where_nothing_is_near() -> None:
    assert closest("zebra", ["image", "name"]) == ""
