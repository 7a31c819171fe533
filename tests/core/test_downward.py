"""What a pod is told of itself: fields of its metadata, and requests and limits of its containers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.given import container
from vkprovider.core.downward import container_named, metadata_field, resource_field
from vkprovider.errors import SpecError
from vkprovider.model.container import ResourceFieldSelector
from vkprovider.model.pod import Pod, decode_pod

ALLOCATABLE = {"cpu": "3500m", "memory": "7Gi", "ephemeral-storage": "1000000"}
POD = decode_pod(
    {
        "metadata": {
            "name": "web-0",
            "namespace": "shop",
            "uid": "uid-1",
            "labels": {"b": "2", "a": "1", "app.kubernetes.io/name": "web"},
            "annotations": {"Note": 'say "hi"\\\n\tthere\x01é\u200b\U000e0001', "empty": ""},
        },
        "spec": {
            "containers": [
                container(
                    "app",
                    resources={
                        "limits": {"cpu": "1500m", "memory": "64Mi", "hugepages-2Mi": "4Mi"},
                        "requests": {"cpu": "100m", "memory": "33554433"},
                    },
                )
            ],
            "initContainers": [container("init")],
        },
    }
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "web-0"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "uid-1"),
        ("metadata.labels['b']", "2"),
        ("metadata.labels['absent']", ""),
        ("metadata.annotations['Note']", 'say "hi"\\\n\tthere\x01é\u200b\U000e0001'),
        ("metadata.labels", 'a="1"\napp.kubernetes.io/name="web"\nb="2"'),
        (
            "metadata.annotations",
            'Note="say \\"hi\\"\\\\\\n\\tthere\\x01é\\u200b\\U000e0001"\nempty=""',
        ),
    ],
)
def test_metadata(path: str, expected: str) -> None:
    assert metadata_field(POD, path) == expected


def test_no_labels_are_an_empty_text() -> None:
    assert metadata_field(Pod(), "metadata.labels") == ""


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("metadata.generation", "unsupported fieldPath: metadata.generation"),
        ("spec.nodeName", "unsupported fieldPath: spec.nodeName"),
        ("metadata.name['a']", "fieldPath \"metadata.name['a']\" does not support subscript"),
        ("metadata.labels['a b']", "invalid key subscript in metadata.labels['a b']: "),
    ],
)
def test_no_such_field(path: str, message: str) -> None:
    with pytest.raises(SpecError) as told:
        metadata_field(POD, path)
    assert str(told.value).startswith(message)


@pytest.mark.parametrize(
    ("of", "resource", "divisor", "expected"),
    [
        ("app", "limits.cpu", "0", "2"),
        ("app", "limits.cpu", "1m", "1500"),
        ("app", "limits.cpu", "100m", "15"),
        ("app", "requests.cpu", "1", "1"),
        ("app", "limits.memory", "1", str(64 * 1024**2)),
        ("app", "limits.memory", "1Gi", "1"),
        ("app", "requests.memory", "1Mi", "33"),
        ("app", "limits.hugepages-2Mi", "1Mi", "4"),
        ("app", "requests.ephemeral-storage", "0", "0"),
        ("app", "limits.ephemeral-storage", "1k", "1000"),
        ("init", "limits.cpu", "1m", "3500"),
        ("init", "limits.memory", "1Gi", "7"),
        ("init", "requests.cpu", "0", "0"),
        ("init", "limits.hugepages-2Mi", "0", "0"),
    ],
)
def test_resources(of: str, resource: str, divisor: str, expected: str) -> None:
    selector = ResourceFieldSelector(resource=resource, divisor=divisor)
    assert resource_field(selector, container_named(POD, of), ALLOCATABLE) == expected


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ({"resource": "limits.gpu"}, "unsupported container resource : limits.gpu"),
        ({"resource": "cpu"}, "unsupported container resource : cpu"),
        ({"resource": "limits.cpu", "divisor": "x"}, "quantities must match"),
    ],
)
def test_no_such_resource(selector: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resource_field(ResourceFieldSelector(**selector), container_named(POD, "app"), ALLOCATABLE)


def test_no_such_container() -> None:
    with pytest.raises(SpecError, match="container nobody not found"):
        container_named(POD, "nobody")
