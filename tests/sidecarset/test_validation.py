"""What is wrong with a SidecarSet."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sidecarset.given import NODE, a_set
from vkprovider.errors import SpecError
from vkprovider.sidecarset.model import sidecar_set
from vkprovider.sidecarset.validation import findings

ONE = {"name": "filebeat", "image": "busybox"}
NATIVE = ONE | {"restartPolicy": "Always"}
ROLLING = {"type": "RollingUpdate"}
NO_SELECTOR = "spec.selector: Required value: no selector defined for SidecarSet"
FROM = {"sourceContainerNameFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}


def said(name: str = "logs", **spec: Any) -> list[str]:
    return [str(finding) for finding in findings(a_set(name, **spec))]


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"updateStrategy": {}},
        {"updateStrategy": {**ROLLING, "partition": "50%", "maxUnavailable": 0}},
        {"updateStrategy": {**ROLLING, "selector": {"matchLabels": {"a": "b"}}, "partition": 0}},
        {"containers": [], "initContainers": [ONE]},
        {"initContainers": [NATIVE | {"name": "init"}]},
        {"containers": [ONE | {"podInjectPolicy": "AfterAppContainer", "shareVolumePolicy": {"type": "enabled"}}]},
        {"volumes": [{"name": "v", "configMap": {"name": "other/config"}}, {"name": "w", "nfs": {"server": "s"}}]},
        {"patchPodMetadata": [{"annotations": {"a": "b"}, "patchPolicy": "Overwrite"}, {"annotations": {"c": "d"}}]},
        {"namespace": "a", "namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}},
    ],
)
def test_a_set_is_right(spec: dict[str, Any]) -> None:
    assert said(**spec) == []


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"selector": None}, NO_SELECTOR),
        ({"selector": {}}, "spec.selector: Invalid value: {}: empty selector is not valid for sidecarset."),
        ({"namespaceSelector": {}}, "spec.namespaceSelector: Invalid value: {}: empty selector is not valid"),
        ({"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}, "values: Required value: must be spec"),
        (
            {"selector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}},
            "spec.selector.matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists'",
        ),
        ({"selector": {"matchExpressions": [{"key": "a", "operator": "Gt"}]}}, "not a valid selector operator"),
        ({"selector": {"matchLabels": {"a b": "c"}}}, 'spec.selector.matchLabels: Invalid value: "a b"'),
        (
            {"injectionStrategy": {"revision": {}}},
            'spec.injectionStrategy.revision: Invalid value: "": revisionName and customVersion cannot be empty',
        ),
        (
            {"injectionStrategy": {"revision": {"revisionName": "x", "policy": "Partial"}}},
            "Invalid policy Partial, only support 'Always' currently",
        ),
        (
            {"updateStrategy": {**ROLLING, "partition": 1, "selector": {"matchLabels": {"a": "b"}}}},
            "spec.updateStrategy: Invalid value: Partition and Selector cannot be used together",
        ),
        ({"updateStrategy": {**ROLLING, "selector": {}}}, "spec.updateStrategy.selector: Invalid value: {}: empty"),
        ({"updateStrategy": {**ROLLING, "partition": "half"}}, 'partition: Invalid value: "half": must be an integer'),
        ({"updateStrategy": {**ROLLING, "maxUnavailable": -1}}, "maxUnavailable: Invalid value: -1: must be greater"),
        ({"updateStrategy": {"type": "Sometimes"}}, "spec.updateStrategy.type: Unsupported value"),
        (
            {"updateStrategy": ROLLING, "initContainers": [NATIVE | {"name": "i"}]},
            "spec.updateStrategy: Required value: The initContainer in-place upgrade is not currently supported.",
        ),
        ({"containers": []}, "spec: Required value: no initContainer or container defined for SidecarSet"),
        ({"containers": [ONE, ONE]}, 'spec.containers[1].name: Duplicate value: "filebeat"'),
        ({"containers": [ONE | {"name": "No"}]}, 'spec.containers[0].name: Invalid value: "No"'),
        (
            {"containers": [ONE | {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}]},
            'spec.containers[0].volumeMounts[0].name: Not found: "v"',
        ),
        ({"containers": [ONE | {"podInjectPolicy": "First"}]}, "unsupported pod inject policy"),
        ({"containers": [ONE | {"shareVolumePolicy": {"type": "x"}}]}, "unsupported share volume policy"),
        ({"containers": [ONE | {"upgradeStrategy": {"upgradeType": "x"}}]}, "upgradeType: Unsupported value"),
        (
            {"containers": [ONE | {"upgradeStrategy": {"upgradeType": "HotUpgrade"}}]},
            "spec.containers[0].upgradeStrategy.hotUpgradeEmptyImage: Required value",
        ),
        ({"containers": [ONE | {"transferEnv": [FROM]}]}, "transferEnv[0].fieldRef.fieldPath: Invalid value"),
        ({"containers": [ONE | {"resourcesPolicy": {}}]}, "resourcesPolicy: Forbidden: it is of OpenKruise 1.9"),
        ({"containers": [ONE | {"shareVolumeDevicePolicy": {}}]}, "Forbidden: it is of OpenKruise 1.9"),
        ({"patchPodMetadata": [{}]}, "spec.patchPodMetadata: Required value: no annotations defined for SidecarSet"),
        (
            {"patchPodMetadata": [{"annotations": {"a": "1"}}, {"annotations": {"a": "2"}}]},
            "spec.patchPodMetadata: Required value: patch annotation[a] already exist",
        ),
        ({"patchPodMetadata": [{"annotations": {"a": "1"}, "patchPolicy": "x"}]}, "patchPolicy: Unsupported value"),
    ],
)
def test_a_set_is_refused(spec: dict[str, Any], complaint: str) -> None:
    [line] = said(**spec)
    assert complaint in line


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("a.b", "sidecarset name must consist of alphanumeric characters or '-'"),
        ("a" * 64, "must be no more than 63 characters"),
        ("", "name or generateName is required"),
    ],
)
def test_a_name_is_refused(name: str, complaint: str) -> None:
    [line] = said(name)
    assert complaint in line


def test_a_wrong_type_is_an_error_that_names_the_set_and_the_field() -> None:
    with pytest.raises(SpecError, match=r'SidecarSet "logs": spec\.containers.*\.image: Expected `str`, got `int`'):
        a_set(containers=[{"name": "a", "image": 1}])


def test_an_object_of_v1beta1_is_read_as_well() -> None:
    raw = {"apiVersion": "apps.kruise.io/v1beta1", "kind": "SidecarSet", "metadata": {"name": "logs"}}
    read = sidecar_set({**raw, "spec": {"customVersion": "1", "selector": {"matchLabels": NODE}, "containers": [ONE]}})
    assert list(findings(read)) == []
