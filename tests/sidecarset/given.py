"""SidecarSets and pods for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from vkprovider.sidecarset.injection import inject
from vkprovider.sidecarset.model import SidecarSet, sidecar_set

Raw = dict[str, Any]

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
NODE = {"serverless.alibabacloud.com/virtual-node": "true"}


def a_set(name: str = "logs", **spec: Any) -> SidecarSet:
    """A set with one container, which matches pods of virtual nodes, unless ``spec`` says otherwise."""
    usual = {
        "selector": {"matchLabels": NODE},
        "updateStrategy": {"type": "NotUpdate"},
        "containers": [{"name": "filebeat", "image": "busybox"}],
    }
    raw = {"apiVersion": "apps.kruise.io/v1alpha1", "kind": "SidecarSet", "metadata": {"name": name}}
    return sidecar_set({**raw, "spec": {**usual, **spec}})


def a_pod(*containers: Raw, annotations: dict[str, str] | None = None, **spec: Any) -> Raw:
    metadata: Raw = {"name": "p", "namespace": "default", "labels": dict(NODE)}
    if annotations:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": {"containers": list(containers) or [{"name": "app", "image": "a"}], **spec}}


def injected(pod: Raw, *sets: SidecarSet) -> Raw:
    return inject(pod, sets, NOW)


def names(pod: Raw, group: str = "containers") -> list[str]:
    return [container["name"] for container in pod["spec"].get(group, ())]


def container(pod: Raw, name: str) -> Raw:
    found = (*pod["spec"]["containers"], *pod["spec"].get("initContainers", ()))
    return next(each for each in found if each["name"] == name)
