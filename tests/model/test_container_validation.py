"""Containers that the API server would not take, and its words for it."""

from __future__ import annotations

from typing import Any

import pytest

from vkprovider.model.unsupported import REFUSAL

from .findings import APP, EXEC, findings
from .test_names import CONFIG_KEY, LABEL, NAME_PART, SUBDOMAIN

HANDLER = "may not specify more than 1 handler type"


def of_container(**fields: Any) -> list[str]:
    """Findings on the only container, their paths shortened."""
    found = findings(containers=[APP | fields])
    return [line.removeprefix("spec.containers[0].") for line in found]


CONTAINER: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no name": ({"name": ""}, ["name: Required value"]),
    "name": ({"name": "App"}, [f'name: Invalid value: "App": {LABEL}']),
    "no image": ({"image": ""}, ["image: Required value"]),
    "image": ({"image": " a"}, ['image: Invalid value: " a": must not have leading or trailing whitespace']),
    "pull policy": (
        {"imagePullPolicy": "Sometimes"},
        ['imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"'],
    ),
    "termination message": (
        {"terminationMessagePolicy": "Log"},
        ['terminationMessagePolicy: Unsupported value: "Log": supported values: "File", "FallbackToLogsOnError"'],
    ),
    "restart policy": (
        {"restartPolicy": "always"},
        ['restartPolicy: Unsupported value: "always": supported values: "Always", "OnFailure", "Never"'],
    ),
    "restart rules": (
        {"restartPolicyRules": [{"action": "Stop", "exitCodes": {"operator": "Is"}}, {"action": "Restart"}]},
        [
            "restartPolicy: Required value: must specify restartPolicy when restart rules are used",
            'restartPolicyRules[0].action: Unsupported value: "Stop": supported values: "Restart"',
            'restartPolicyRules[0].exitCodes.operator: Unsupported value: "Is": supported values: "In", "NotIn"',
            "restartPolicyRules[0].exitCodes.values: Required value: at least one value must be specified",
            "restartPolicyRules[1].exitCodes: Required value: must be specified",
        ],
    ),
    "too many restart rules": (
        {
            "restartPolicy": "Never",
            "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [1] * 256}}] * 21,
        },
        ["restartPolicyRules: Too many: 21: must have at most 20 items"]
        + [f"restartPolicyRules[{i}].exitCodes.values: Too many: 256: must have at most 255 items" for i in range(21)],
    ),
    "port": (
        {"ports": [{"containerPort": 65536}]},
        ["ports[0].containerPort: Invalid value: 65536: must be between 1 and 65535, inclusive"],
    ),
    "no port": ({"ports": [{"containerPort": 0}]}, ["ports[0].containerPort: Required value"]),
    "host port": (
        {"ports": [{"containerPort": 1, "hostPort": -1}]},
        ["ports[0].hostPort: Invalid value: -1: must be between 1 and 65535, inclusive"],
    ),
    "protocol": (
        {"ports": [{"containerPort": 1, "protocol": "tcp"}]},
        ['ports[0].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"'],
    ),
    "port name twice": (
        {"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]},
        ['ports[1].name: Duplicate value: "a"'],
    ),
    "port name": (
        {"ports": [{"containerPort": 1, "name": "80"}]},
        ['ports[0].name: Invalid value: "80": must contain at least one letter (a-z)'],
    ),
    "env without a name": ({"env": [{"name": ""}]}, ["env[0].name: Required value"]),
    "env name": (
        {"env": [{"name": "A="}]},
        [
            'env[0].name: Invalid value: "A=": a valid environment variable name must consist only of printable '
            "ASCII characters other than '='"
        ],
    ),
    "env with value and source": (
        {"env": [{"name": "A", "value": "b", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
        ['env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty'],
    ),
    "env without a source": (
        {"env": [{"name": "A", "valueFrom": {}}]},
        [
            'env[0].valueFrom: Invalid value: "": must specify one of: '
            "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        ],
    ),
    "env of a file that is nowhere": (
        {"env": [{"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": "w", "path": "../f", "key": ""}}}]},
        [
            "env[0].valueFrom.fileKeyRef.key: Required value",
            "env[0].valueFrom.fileKeyRef.path: Invalid value: \"../f\": must not contain '..'",
            'env[0].valueFrom.fileKeyRef.volumeName: Not found: "w": the pod has no volume of that name',
        ],
    ),
    "env with two sources": (
        {
            "env": [
                {
                    "name": "A",
                    "valueFrom": {
                        "fieldRef": {"fieldPath": "metadata.name"},
                        "secretKeyRef": {"name": "s", "key": "k"},
                    },
                }
            ]
        },
        ['env[0].valueFrom: Invalid value: "": may not have more than one field specified at a time'],
    ),
    "field": (
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels"}}}]},
        [
            'env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: '
            '"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", '
            '"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"'
        ],
    ),
    "field key": (
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a b']"}}}]},
        [f"env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"metadata.labels['a b']\": {NAME_PART}"],
    ),
    "key": (
        {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "a/b"}}}]},
        [f'env[0].valueFrom.configMapKeyRef.key: Invalid value: "a/b": {CONFIG_KEY}'],
    ),
    "name of an object": (
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "S", "key": "k"}}}]},
        [f'env[0].valueFrom.secretKeyRef.name: Invalid value: "S": {SUBDOMAIN}'],
    ),
    "envFrom without a source": (
        {"envFrom": [{"prefix": "A"}]},
        ['envFrom[0]: Invalid value: "": must specify one of: `configMapRef` or `secretRef`'],
    ),
    "envFrom with two sources": (
        {"envFrom": [{"configMapRef": {"name": "a"}, "secretRef": {"name": "b"}}]},
        ['envFrom[0]: Invalid value: "": may not have more than one field specified at a time'],
    ),
    "envFrom without a name": (
        {"envFrom": [{"configMapRef": {}}]},
        ["envFrom[0].configMapRef.name: Required value"],
    ),
    "unknown volume": (
        {"volumeMounts": [{"name": "v", "mountPath": "/v"}]},
        ['volumeMounts[0].name: Not found: "v": the pod has no volume of that name'],
    ),
    "quantity": (
        {"resources": {"limits": {"memory": "1GB"}}},
        [
            'resources.limits[memory]: Invalid value: "1GB": must be a quantity: '
            "a number with a suffix or none, as 2, 500m, 128Mi or 1.5Gi"
        ],
    ),
    "huge quantity": (
        {"resources": {"requests": {"cpu": "1e30"}}},
        ['resources.requests[cpu]: Invalid value: "1e30": must be less than or equal to 9223372036854775807'],
    ),
    "resource": (
        {"resources": {"requests": {"cpus": 1}}},
        ['resources.requests[cpus]: Invalid value: "cpus": must be a standard resource for containers'],
    ),
    "device": (
        {"resources": {"requests": {"nvidia.com/gpu": 1}}},
        [f"resources.requests[nvidia.com/gpu]: {REFUSAL}"],
    ),
    "request above its limit": (
        {"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1500m"}}},
        ['resources.requests[cpu]: Invalid value: "1500m": must be less than or equal to cpu limit of 1'],
    ),
    "user": (
        {"securityContext": {"runAsUser": -5}},
        ["securityContext.runAsUser: Invalid value: -5: must be between 0 and 2147483647, inclusive"],
    ),
    "privileged without escalation": (
        {"securityContext": {"privileged": True, "allowPrivilegeEscalation": False}},
        ["securityContext: cannot set `allowPrivilegeEscalation` to false and `privileged` to true"],
    ),
    "administrator without escalation": (
        {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}, "allowPrivilegeEscalation": False}},
        ["securityContext: cannot set `allowPrivilegeEscalation` to false and add the capability SYS_ADMIN"],
    ),
    "no grpc port": (
        {"livenessProbe": {"grpc": {"port": 0}}},
        ["livenessProbe.grpc.port: Invalid value: 0: must be between 1 and 65535, inclusive"],
    ),
    "no handler": ({"livenessProbe": {}}, ["livenessProbe: Required value: must specify a handler type"]),
    "two handlers": (
        {"livenessProbe": EXEC | {"tcpSocket": {"port": 1}}},
        [f"livenessProbe.tcpSocket: Forbidden: {HANDLER}"],
    ),
    "no command": (
        {"startupProbe": {"exec": {}}},
        ["startupProbe.exec.command: Required value"],
    ),
    "port of a probe": (
        {"readinessProbe": {"httpGet": {"port": 0}}},
        ["readinessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive"],
    ),
    "port name of a probe": (
        {"readinessProbe": {"tcpSocket": {"port": "80"}}},
        ['readinessProbe.tcpSocket.port: Invalid value: "80": must contain at least one letter (a-z)'],
    ),
    "scheme": (
        {"readinessProbe": {"httpGet": {"port": 1, "scheme": "ftp"}}},
        ['readinessProbe.httpGet.scheme: Unsupported value: "ftp": supported values: "HTTP", "HTTPS"'],
    ),
    "negative times": (
        {"livenessProbe": EXEC | {"initialDelaySeconds": -1, "periodSeconds": -2}},
        [
            "livenessProbe.initialDelaySeconds: Invalid value: -1: must be greater than or equal to 0",
            "livenessProbe.periodSeconds: Invalid value: -2: must be greater than or equal to 0",
        ],
    ),
    "successes of a liveness probe": (
        {"livenessProbe": EXEC | {"successThreshold": 2}},
        ["livenessProbe.successThreshold: Invalid value: 2: must be 1"],
    ),
    "grace of a readiness probe": (
        {"readinessProbe": EXEC | {"terminationGracePeriodSeconds": 5}},
        ["readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for readinessProbes"],
    ),
    "grace of a probe": (
        {"livenessProbe": EXEC | {"terminationGracePeriodSeconds": 0}},
        ["livenessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0"],
    ),
    "hook without a handler": (
        {"lifecycle": {"preStop": {}}},
        ["lifecycle.preStop: Required value: must specify a handler type"],
    ),
    "hook with two": (
        {"lifecycle": {"preStop": EXEC | {"sleep": {"seconds": 1}}}},
        [f"lifecycle.preStop.sleep: Forbidden: {HANDLER}"],
    ),
    "long sleep": (
        {"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
        [
            "lifecycle.preStop.sleep: Invalid value: 31: "
            "must be non-negative and less than terminationGracePeriodSeconds (30)"
        ],
    ),
    "signal": (
        {"lifecycle": {"stopSignal": "TERM"}},
        ['lifecycle.stopSignal: Invalid value: "TERM": must be the name of a signal, as SIGTERM'],
    ),
}


@pytest.mark.parametrize(("fields", "lines"), CONTAINER.values(), ids=CONTAINER)
def test_a_container_is_refused(fields: dict[str, Any], lines: list[str]) -> None:
    assert of_container(**fields) == lines


MOUNT: dict[str, tuple[dict[str, Any], str]] = {
    "absolute sub path": ({"subPath": "/a"}, 'subPath: Invalid value: "/a": must be a relative path'),
    "sub path with backsteps": ({"subPath": "a/../b"}, "subPath: Invalid value: \"a/../b\": must not contain '..'"),
    "propagation": (
        {"mountPropagation": "Both"},
        'mountPropagation: Unsupported value: "Both": supported values: "Bidirectional", "HostToContainer", "None"',
    ),
    "propagation without privilege": (
        {"mountPropagation": "Bidirectional"},
        "mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers",
    ),
    "recursion": (
        {"recursiveReadOnly": "Yes"},
        'recursiveReadOnly: Unsupported value: "Yes": supported values: "Disabled", "Enabled", "IfPossible"',
    ),
    "recursion of what is not read-only": (
        {"recursiveReadOnly": "IfPossible"},
        "recursiveReadOnly: Forbidden: may only be specified when readOnly is true",
    ),
    "recursion with propagation": (
        {"readOnly": True, "recursiveReadOnly": "Enabled", "mountPropagation": "HostToContainer"},
        "recursiveReadOnly: Forbidden: may only be specified when mountPropagation is None or not specified",
    ),
    "no path": ({"mountPath": ""}, "mountPath: Required value"),
}


@pytest.mark.parametrize(("fields", "line"), MOUNT.values(), ids=MOUNT)
def test_a_mount_is_refused(fields: dict[str, Any], line: str) -> None:
    mount = {"name": "v", "mountPath": "/v"} | fields
    found = findings(volumes=[{"name": "v"}], containers=[APP | {"volumeMounts": [mount]}])
    assert found == [f"spec.containers[0].volumeMounts[0].{line}"]


def test_two_mounts_cannot_share_a_path() -> None:
    mounts = [{"name": "v", "mountPath": "/v"}] * 2
    assert findings(volumes=[{"name": "v"}], containers=[APP | {"volumeMounts": mounts}]) == [
        'spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/v": must be unique'
    ]
