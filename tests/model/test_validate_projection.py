"""Volumes made of files that the API server would not take, and its words for it."""

from __future__ import annotations

from typing import Any

import pytest

from vkprovider.model import defaults
from vkprovider.model.pod import decode_pod
from vkprovider.model.validation import pod_findings

AT = "spec.volumes[0]"
LABELS = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
CPU = {"containerName": "app", "resource": "limits.cpu"}


def findings(source: dict[str, Any]) -> list[str]:
    """Findings on the only volume, their paths shortened."""
    container = {"name": "app", "image": "busybox:1.28"}
    raw = {"metadata": {"name": "p"}, "spec": {"containers": [container], "volumes": [{"name": "v", **source}]}}
    return [str(finding).removeprefix(f"{AT}.") for finding in pod_findings(decode_pod(defaults.pod(raw)))]


def downward(**item: Any) -> dict[str, Any]:
    return {"downwardAPI": {"items": [{"path": "p", **item}]}}


def projected(*sources: dict[str, Any]) -> dict[str, Any]:
    return {"projected": {"sources": list(sources)}}


def of_resource(**more: Any) -> dict[str, Any]:
    return downward(resourceFieldRef=CPU | more)


def token(**more: Any) -> dict[str, Any]:
    return projected({"serviceAccountToken": {"path": "token", **more}})


ALL = projected(
    {"secret": {"name": "s", "items": [{"key": "a", "path": "a/b", "mode": 0o400}]}},
    {"configMap": {"name": "c", "optional": True}},
    {"downwardAPI": {"items": [LABELS, {"path": "cpu", "resourceFieldRef": CPU | {"divisor": "1m"}}]}},
    {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607, "audience": "vault"}},
)


@pytest.mark.parametrize(
    "source",
    [
        ALL,
        {"downwardAPI": {"items": [LABELS], "defaultMode": 0o400}},
        downward(fieldRef={"fieldPath": "metadata.annotations['note']"}),
        of_resource(resource="requests.hugepages-2Mi", divisor="1Mi"),
        of_resource(resource="limits.memory", divisor="1024"),
        projected(),
    ],
)
def test_it_is_fine(source: dict[str, Any]) -> None:
    assert findings(source) == []


FIELD = 'supported values: "metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels"'
DIVISORS = "must be one of 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei"
ITEM = "downwardAPI.items[0]"
SOURCE = "projected.sources[0]"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (downward(), [f"{ITEM}: Required value: one of fieldRef and resourceFieldRef is required"]),
        (
            downward(fieldRef={"fieldPath": "spec.nodeName"}),
            [f'{ITEM}.fieldRef.fieldPath: Unsupported value: "spec.nodeName": {FIELD}, "metadata.annotations"'],
        ),
        (
            downward(**{key: LABELS[key] for key in ("fieldRef",)}, resourceFieldRef=CPU),
            [f'{ITEM}: Invalid value: "resource": fieldRef and resourceFieldRef can not be specified simultaneously'],
        ),
        (of_resource(containerName=""), [f"{ITEM}.resourceFieldRef.containerName: Required value"]),
        (of_resource(resource=""), [f"{ITEM}.resourceFieldRef.resource: Required value"]),
        (of_resource(divisor="1Mi"), [f'{ITEM}.resourceFieldRef.divisor: Invalid value: "1Mi": must be one of 1m, 1']),
        (
            of_resource(resource="limits.memory", divisor="-1"),
            [f'{ITEM}.resourceFieldRef.divisor: Invalid value: "-1": {DIVISORS}'],
        ),
        (
            downward(path="../x", mode=0o1000, fieldRef=LABELS["fieldRef"]),
            [
                f"{ITEM}.path: Invalid value: \"../x\": must not contain '..'",
                f"{ITEM}.mode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive",
            ],
        ),
        (projected({}), [f"{SOURCE}: Required value: must specify a source"]),
        (
            projected({"secret": {"name": "s"}, "configMap": {"name": "c"}}),
            [f"{SOURCE}.configMap: Forbidden: may not specify more than 1 volume type"],
        ),
        (projected({"secret": {}}), [f"{SOURCE}.secret.name: Required value"]),
        (
            projected(
                {"secret": {"name": "s", "items": [{"key": "a", "path": "token"}]}},
                {"serviceAccountToken": {"path": "token"}},
            ),
            ['projected.sources[1]: Invalid value: "token": conflicting duplicate paths'],
        ),
        (token(path=""), [f"{SOURCE}.serviceAccountToken.path: Required value"]),
        (
            token(expirationSeconds=599),
            [
                f"{SOURCE}.serviceAccountToken.expirationSeconds: Invalid value: 599: "
                "may not specify a duration less than 10 minutes"
            ],
        ),
        (
            token(expirationSeconds=2**32 + 1),
            [
                f"{SOURCE}.serviceAccountToken.expirationSeconds: Invalid value: 4294967297: "
                "may not specify a duration larger than 2^32 seconds"
            ],
        ),
    ],
)
def test_it_is_refused(source: dict[str, Any], expected: list[str]) -> None:
    assert findings(source) == expected
