"""Whatever is done to a manifest: it is taken or refused in lines, and nothing else ever happens."""

from __future__ import annotations

import copy
import io
import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vkprovider.model.job import decode_job
from vkprovider.model.pod import decode_pod
from vkprovider.standalone.manifests import ManifestError, Manifests, load

EXEC = {"exec": {"command": ["true"]}}
POD_SPEC: dict[str, Any] = {
    "restartPolicy": "Never",
    "terminationGracePeriodSeconds": 5,
    "nodeSelector": {"disk": "ssd"},
    "affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]}},
    "tolerations": [{"operator": "Exists"}],
    "imagePullSecrets": [{"name": "pull"}],
    "securityContext": {"runAsUser": 1, "supplementalGroups": [1, 2], "sysctls": [{"name": "a.b", "value": "1"}]},
    "dnsConfig": {"nameservers": ["1.1.1.1"], "options": [{"name": "ndots", "value": "1"}]},
    "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a"]}],
    "volumes": [
        {"name": "e", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "c", "configMap": {"name": "settings", "items": [{"key": "k", "path": "p", "mode": 256}]}},
        {"name": "s", "secret": {"secretName": "login", "optional": True}},
        {"name": "h", "hostPath": {"path": "/tmp", "type": "Directory"}},
    ],
    "initContainers": [
        {"name": "init", "image": "a"},
        {
            "name": "side",
            "image": "b:1",
            "restartPolicy": "Always",
            "startupProbe": EXEC,
            "lifecycle": {"preStop": EXEC},
        },
    ],
    "containers": [
        {
            "name": "app",
            "image": "b:1",
            "command": ["sh", "-c"],
            "args": ["echo hi"],
            "ports": [{"containerPort": 80, "hostPort": 8080, "name": "http", "protocol": "TCP"}],
            "env": [
                {"name": "A", "value": "b"},
                {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "k"}}},
                {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}},
            ],
            "envFrom": [{"prefix": "P_", "secretRef": {"name": "login"}}],
            "resources": {"limits": {"cpu": "1", "memory": 1048576}, "requests": {"cpu": 0.5}},
            "livenessProbe": {"httpGet": {"port": "http", "httpHeaders": [{"name": "X", "value": "y"}]}},
            "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1},
            "lifecycle": {"postStart": {"sleep": {"seconds": 1}}, "preStop": EXEC},
            "securityContext": {"privileged": False, "capabilities": {"add": ["NET_ADMIN"]}},
            "volumeMounts": [{"name": "e", "mountPath": "/e", "subPath": "a", "readOnly": True}],
        }
    ],
}
JOB_SPEC: dict[str, Any] = {
    "completionMode": "Indexed",
    "completions": 3,
    "parallelism": 2,
    "backoffLimitPerIndex": 1,
    "podFailurePolicy": {
        "rules": [
            {"action": "FailIndex", "onExitCodes": {"containerName": "app", "operator": "In", "values": [1, 2]}},
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
        ]
    },
    "successPolicy": {"rules": [{"succeededIndexes": "0-1", "succeededCount": 1}]},
    "template": {"metadata": {"labels": {"a": "b"}}, "spec": POD_SPEC},
}
DEPLOYMENT_SPEC: dict[str, Any] = {
    "replicas": 2,
    "selector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]},
    "strategy": {"type": "Recreate"},
    "template": {"metadata": {"labels": {"a": "b"}}, "spec": {**POD_SPEC, "restartPolicy": "Always"}},
}
SIDECAR_SET_SPEC: dict[str, Any] = {
    "selector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]},
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}},
    "updateStrategy": {"type": "RollingUpdate", "partition": "10%", "scatterStrategy": [{"key": "a", "value": "b"}]},
    "patchPodMetadata": [{"annotations": {"example.com/note": '{"a":1}'}, "patchPolicy": "Overwrite"}],
    "imagePullSecrets": [{"name": "pull"}],
    "volumes": [{"name": "far", "configMap": {"name": "kube-system/far"}}],
    "initContainers": [{"name": "prepare", "image": "a"}],
    "containers": [
        {
            "name": "shipper",
            "image": "a",
            "podInjectPolicy": "AfterAppContainer",
            "shareVolumePolicy": {"type": "enabled"},
            "upgradeStrategy": {"upgradeType": "HotUpgrade", "hotUpgradeEmptyImage": "e"},
            "transferEnv": [{"sourceContainerName": "app", "envName": "A", "envNames": ["B"]}],
            "volumeMounts": [{"name": "far", "mountPath": "/far"}],
            "resources": {"limits": {"cpu": "1"}},
        }
    ],
}
BINDING_SPEC: dict[str, Any] = {
    "subjects": [{"kind": "SidecarSet", "name": "s"}],
    "resourceRefs": [{"kind": "ConfigMap", "name": "far"}],
}
META = {"labels": {"a": "b"}, "annotations": {"example.com/note": "x"}}
OBJECTS: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", **META}, "spec": POD_SPEC},
    {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", **META}, "spec": JOB_SPEC},
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"k": "v"}},
    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}, "stringData": {"k": "v"}},
    {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": DEPLOYMENT_SPEC},
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "far", "namespace": "kube-system"}},
    {
        "apiVersion": "apps.kruise.io/v1alpha1",
        "kind": "SidecarSet",
        "metadata": {"name": "s"},
        "spec": SIDECAR_SET_SPEC,
    },
    {
        "apiVersion": "sidecarset.alibabacloud.com/v1alpha1",
        "kind": "SidecarSetResourceBinding",
        "metadata": {"name": "b", "namespace": "kube-system"},
        "spec": BINDING_SPEC,
    },
]

words = st.one_of(
    st.sampled_from(["", "name", "image", "spec", "Always", "a/b/c", "..", "0", "1Gi", "-1", "\n", "\u2028", "é"]),
    st.text(max_size=8),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), words),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=4,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key or index) inside a value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for key, item in pairs:
        found += [(value, key), *places(item)]
    return found


@st.composite
def mutated(draw: st.DrawFn) -> list[Any]:
    """The objects with one to three changes anywhere: a key gone, renamed or another's, a value replaced."""
    objects = copy.deepcopy(OBJECTS)
    for _ in range(draw(st.integers(1, 3))):
        all_places = places(objects)
        holder, key = all_places[draw(st.integers(0, len(all_places) - 1))]
        match draw(st.sampled_from(["delete", "rename", "replace", "copy"])):
            case "delete":
                del holder[key]
            case "rename" if isinstance(holder, dict):
                holder[draw(words)] = holder.pop(key)
            case "copy":
                other, name = all_places[draw(st.integers(0, len(all_places) - 1))]
                holder[key] = copy.deepcopy(other.get(name) if isinstance(other, dict) else other[name : name + 1])
            case _:
                holder[key] = draw(values)
    return objects


def taken(content: bytes) -> Manifests | None:
    """What is loaded, or None where it is refused as it should be."""
    try:
        return load(["-"], io.BytesIO(content))
    except ManifestError as error:
        lines = error.lines
    assert lines
    assert all(line.isprintable() for line in lines)
    assert all(line.startswith(("stdin: ", "and ")) for line in lines)
    return None


def as_list(objects: Any) -> bytes:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}).encode()


def test_the_unchanged_objects_are_taken() -> None:
    manifests = taken(as_list(OBJECTS))
    assert manifests is not None
    assert len(manifests.objects) == len(OBJECTS)


@given(mutated())
def test_a_changed_manifest_is_taken_or_refused(objects: list[Any]) -> None:
    manifests = taken(as_list(objects))
    if manifests is not None:
        for raw in manifests.pods:
            decode_pod(manifests.sidecars.admitted(raw, datetime(2026, 1, 1, tzinfo=UTC)))
        for raw in manifests.jobs:
            decode_job(raw)


@given(mutated())
def test_what_was_taken_once_is_taken_again_unchanged(objects: list[Any]) -> None:
    manifests = taken(as_list(objects))
    if manifests is not None:
        again = taken(as_list(manifests.objects))
        assert again is not None
        assert again.objects == manifests.objects


@given(st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(content: bytes) -> None:
    taken(content)


@given(st.lists(st.sampled_from([*"-:?&*!|>'\"%@`[]{}, \n\t#a1", "<<", "kind: Pod\n", "---\n", "- "]), max_size=40))
def test_any_yaml_is_taken_or_refused(pieces: list[str]) -> None:
    taken("".join(pieces).encode())
