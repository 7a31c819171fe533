"""What sidecars get of the pod's own containers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sidecarset.given import Raw, a_pod, a_set, container, injected

SHARING = {"shareVolumePolicy": {"type": "enabled"}}
APP: Raw = {
    "name": "app",
    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "A", "value": "3"}],
    "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "logs", "mountPath": "/logs"}],
}


def sidecar_of(pod: Raw, **rules: Any) -> Raw:
    return container(injected(pod, a_set(containers=[{"name": "s", **rules}])), "s")


def paths(made: Raw) -> list[str]:
    return [mount["mountPath"] for mount in made.get("volumeMounts", ())]


def variables(made: Raw) -> dict[str, str]:
    return {variable["name"]: variable.get("value", "") for variable in made["env"]}


def test_mounts_are_shared_if_asked_for() -> None:
    assert paths(sidecar_of(a_pod(APP))) == []
    assert paths(sidecar_of(a_pod(APP), **SHARING)) == ["/data", "/logs"]


def test_the_sidecars_own_mount_wins() -> None:
    own = [{"name": "mine", "mountPath": "/logs"}]
    made = sidecar_of(a_pod(APP), **SHARING, volumeMounts=own)
    assert made["volumeMounts"] == [*own, {"name": "data", "mountPath": "/data"}]


def test_mounts_of_init_containers_and_of_other_sidecars_are_not_shared() -> None:
    other = {"name": "x", "env": [{"name": "IS_INJECTED", "value": "true"}], "volumeMounts": [{"mountPath": "/x"}]}
    init = {"name": "i", "volumeMounts": [{"name": "i", "mountPath": "/i"}]}
    assert paths(sidecar_of(a_pod(APP, other, initContainers=[init]), **SHARING)) == ["/data", "/logs"]


def test_a_shared_path_comes_with_the_variables_it_names() -> None:
    app = APP | {"volumeMounts": [{"name": "d", "mountPath": "/d", "subPathExpr": "$(B)/$(A)/$(NONE)/$B"}]}
    assert variables(sidecar_of(a_pod(app), **SHARING)) == {"IS_INJECTED": "true", "B": "2", "A": "1"}


def named_by(field: str) -> Raw:
    return {"sourceContainerNameFrom": {"fieldRef": {"fieldPath": field}}, "envName": "B"}


@pytest.mark.parametrize(
    ("transfer", "expected"),
    [
        ({"sourceContainerName": "app", "envName": "A"}, {"A": "3"}),
        ({"sourceContainerName": "app", "envNames": ["B", "A"]}, {"A": "3", "B": "2"}),
        ({"sourceContainerName": "app", "envName": "A", "envNames": ["B"]}, {"A": "3", "B": "2"}),
        ({"sourceContainerName": "app", "envName": "NONE"}, {}),
        ({"sourceContainerName": "none", "envName": "A"}, {}),
        (named_by("metadata.labels['main']"), {"B": "2"}),
        (named_by("metadata.annotations['x/Main']"), {"B": "2"}),
        (named_by("metadata.labels['none']"), {}),
        (named_by("metadata.labels['no label']"), {}),
        (named_by("metadata.name"), {}),
    ],
)
def test_variables_are_transferred(transfer: Raw, expected: Raw) -> None:
    pod = a_pod(APP, annotations={"x/Main": "app"})
    pod["metadata"]["labels"]["main"] = "app"
    assert variables(sidecar_of(pod, transferEnv=[transfer])) == {"IS_INJECTED": "true", **expected}


def test_the_sidecars_own_variable_wins() -> None:
    transfer = [{"sourceContainerName": "app", "envNames": ["A", "B"]}]
    made = sidecar_of(a_pod(APP), transferEnv=transfer, env=[{"name": "A", "value": "own"}])
    assert [variable["name"] for variable in made["env"]] == ["A", "IS_INJECTED", "B"]
    assert variables(made)["A"] == "own"
