"""Pods that the API server would not take, and its words for it."""

from __future__ import annotations

from typing import Any

import pytest

from vkprovider.model.pod import decode_pod
from vkprovider.model.validation import spec_warnings

from .findings import APP, EXEC, findings
from .test_names import LABEL, LABEL_VALUE, NAME_PART, SUBDOMAIN

PLAIN_INIT = "Forbidden: may not be set for init containers without restartPolicy=Always"
BOTH = "Forbidden: may not specify more than 1"


def test_a_plain_pod_is_fine() -> None:
    assert findings() == []


def test_a_pod_that_uses_everything_is_fine() -> None:
    sidecar = APP | {
        "name": "sidecar",
        "restartPolicy": "Always",
        "livenessProbe": EXEC,
        "lifecycle": {"preStop": EXEC},
    }
    app = {
        "ports": [{"containerPort": 80, "name": "http", "hostPort": 8080}, {"containerPort": 80, "protocol": "UDP"}],
        "env": [
            {"name": "A", "value": "$(B)"},
            {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app.kubernetes.io/name']"}}},
            {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ],
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "c"}}],
        "resources": {"limits": {"cpu": 1, "memory": "1Gi"}, "requests": {"cpu": "500m"}},
        "readinessProbe": {"tcpSocket": {"port": "http"}, "successThreshold": 2},
        "startupProbe": {"httpGet": {"port": 80, "httpHeaders": [{"name": "X-A", "value": "b"}]}},
        "lifecycle": {"postStart": {"sleep": {"seconds": 1}}, "stopSignal": "SIGUSR1"},
        "volumeMounts": [
            {"name": "e", "mountPath": "/e", "subPath": "a/b"},
            {"name": "h", "mountPath": "/h", "mountPropagation": "HostToContainer"},
        ],
        "securityContext": {"runAsUser": 0, "allowPrivilegeEscalation": False},
    }
    volumes = [
        {"name": "e", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "h", "hostPath": {"path": "/tmp", "type": "Directory"}},
        {"name": "i", "image": {"reference": "data:1", "pullPolicy": "Never"}},
        {"name": "l", "csi": {"driver": "stdlogplugin.csi.alibabacloud.com", "readOnly": True, "volumeAttributes": {}}},
        {"name": "c", "configMap": {"name": "c", "items": [{"key": "k", "path": "a/k", "mode": 0o400}]}},
    ]
    assert (
        findings(
            containers=[APP | app],
            initContainers=[APP | {"name": "init"}, sidecar],
            volumes=volumes,
            hostname="h",
            subdomain="s",
            dnsPolicy="None",
            dnsConfig={"nameservers": ["1.1.1.1"], "searches": ["a_b.c"], "options": [{"name": "ndots", "value": "2"}]},
            hostAliases=[{"ip": "::1", "hostnames": ["a.b"]}],
            readinessGates=[{"conditionType": "example.com/ready"}],
            securityContext={"fsGroup": 1, "supplementalGroups": [2], "sysctls": [{"name": "net.a/b", "value": "1"}]},
            activeDeadlineSeconds=1,
        )
        == []
    )


POD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no containers": ({"containers": []}, ["spec.containers: Required value"]),
    "restart policy": (
        {"restartPolicy": "always"},
        ['spec.restartPolicy: Unsupported value: "always": supported values: "Always", "OnFailure", "Never"'],
    ),
    "deadline": (
        {"activeDeadlineSeconds": 0},
        ["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"],
    ),
    "host name": ({"hostname": "a.b"}, ['spec.hostname: Invalid value: "a.b": must not contain dots']),
    "service account": (
        {"serviceAccountName": "A"},
        [f'spec.serviceAccountName: Invalid value: "A": {SUBDOMAIN}'],
    ),
    "resources of the whole": (
        {"resources": {"limits": {"cpu": "1", "nvidia.com/gpu": 1}, "requests": {"cpu": "2"}}},
        [
            'spec.resources.limits[nvidia.com/gpu]: Unsupported value: "nvidia.com/gpu": '
            'supported values: "cpu", "memory"',
            'spec.resources.requests[cpu]: Invalid value: "2": must be less than or equal to cpu limit of 1',
        ],
    ),
    "a container that may have more than its pod": (
        {
            "containers": [{"name": "app", "image": "a", "resources": {"limits": {"cpu": "2"}}}],
            "resources": {"limits": {"cpu": "1"}},
        },
        ['spec.containers[0].resources.limits[cpu]: Invalid value: "2": must be less than or equal to pod limits of 1'],
    ),
    "process namespaces": (
        {"shareProcessNamespace": True, "hostPID": True},
        ["spec.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled"],
    ),
    "ephemeral containers": (
        {"ephemeralContainers": [{"name": "spy", "image": "busybox"}]},
        ["spec.ephemeralContainers: Forbidden: cannot be set on create"],
    ),
    "user": (
        {"securityContext": {"runAsUser": -1}},
        ["spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive"],
    ),
    "groups": (
        {"securityContext": {"supplementalGroups": [1, -2]}},
        ["spec.securityContext.supplementalGroups[1]: Invalid value: -2: must be between 0 and 2147483647, inclusive"],
    ),
    "sysctl": (
        {"securityContext": {"sysctls": [{"name": "A", "value": ""}, {"name": "b", "value": ""}] * 2}},
        [
            *[
                'spec.securityContext.sysctls[0].name: Invalid value: "A": must have at most 253 characters and match '
                r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
            ],
            *[
                'spec.securityContext.sysctls[2].name: Invalid value: "A": must have at most 253 characters and match '
                r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
            ],
            'spec.securityContext.sysctls[3].name: Duplicate value: "b"',
        ],
    ),
    "DNS policy": (
        {"dnsPolicy": "Custom"},
        [
            'spec.dnsPolicy: Unsupported value: "Custom": supported values: '
            '"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"'
        ],
    ),
    "DNS policy None alone": (
        {"dnsPolicy": "None"},
        ["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
    ),
    "DNS policy None without servers": (
        {"dnsPolicy": "None", "dnsConfig": {}},
        [
            "spec.dnsConfig.nameservers: Required value: "
            "must provide at least one DNS nameserver when `dnsPolicy` is None"
        ],
    ),
    "DNS server": (
        {"dnsConfig": {"nameservers": ["dns.example"]}},
        [
            'spec.dnsConfig.nameservers[0]: Invalid value: "dns.example": '
            "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        ],
    ),
    "DNS servers": (
        {"dnsConfig": {"nameservers": ["1.1.1.1"] * 4}},
        [
            'spec.dnsConfig.nameservers: Invalid value: ["1.1.1.1", "1.1.1.1", "1.1.1.1", "1.1.1.1"]: '
            "must not have more than 3 nameservers"
        ],
    ),
    "DNS option": (
        {"dnsConfig": {"options": [{"value": "1"}]}},
        ["spec.dnsConfig.options[0]: Required value: must not be empty"],
    ),
    "host alias": (
        {"hostAliases": [{"ip": "x", "hostnames": ["A"]}]},
        [
            'spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
            f'spec.hostAliases[0].hostnames[0]: Invalid value: "A": {SUBDOMAIN}',
        ],
    ),
    "readiness gate": (
        {"readinessGates": [{"conditionType": "a b"}]},
        [f'spec.readinessGates[0].conditionType: Invalid value: "a b": {NAME_PART}'],
    ),
    "container twice": (
        {"containers": [APP, APP]},
        ['spec.containers[1].name: Duplicate value: "app"'],
    ),
    "init container named as another": (
        {"initContainers": [APP]},
        ['spec.initContainers[0].name: Duplicate value: "app"'],
    ),
    "restart policy of an init container": (
        {"initContainers": [APP | {"name": "i", "restartPolicy": "never"}]},
        [
            'spec.initContainers[0].restartPolicy: Unsupported value: "never": '
            'supported values: "Always", "OnFailure", "Never"'
        ],
    ),
    "probes of a plain init container": (
        {"initContainers": [APP | {"name": "i", "startupProbe": EXEC, "readinessProbe": EXEC}]},
        [
            f"spec.initContainers[0].readinessProbe: {PLAIN_INIT}",
            f"spec.initContainers[0].startupProbe: {PLAIN_INIT}",
        ],
    ),
    "hooks of a plain init container": (
        {"initContainers": [APP | {"name": "i", "lifecycle": {"preStop": EXEC}}]},
        [f"spec.initContainers[0].lifecycle: {PLAIN_INIT}"],
    ),
    "host port twice": (
        {
            "containers": [
                APP | {"ports": [{"containerPort": 1, "hostPort": 5}]},
                APP | {"name": "b", "ports": [{"containerPort": 2, "hostPort": 5}]},
            ]
        },
        ['spec.containers[1].ports[0].hostPort: Duplicate value: "TCP//5"'],
    ),
    "host port on the host network": (
        {"hostNetwork": True, "containers": [APP | {"ports": [{"containerPort": 1, "hostPort": 5}]}]},
        [
            "spec.containers[0].ports[0].hostPort: Invalid value: 5: "
            "must match `containerPort` when `hostNetwork` is true"
        ],
    ),
    "volume twice": (
        {"volumes": [{"name": "v"}, {"name": "v"}]},
        ['spec.volumes[1].name: Duplicate value: "v"'],
    ),
    "image volume without an image": (
        {"volumes": [{"name": "v", "image": {"pullPolicy": "Often"}}]},
        [
            "spec.volumes[0].image.reference: Required value",
            'spec.volumes[0].image.pullPolicy: Unsupported value: "Often": supported values: "Always", "IfNotPresent", '
            '"Never"',
        ],
    ),
    "volume of a CSI driver": (
        {"volumes": [{"name": "v", "csi": {"driver": "disk.csi.example.com"}}]},
        [
            'spec.volumes[0].csi.driver: Unsupported value: "disk.csi.example.com": supported values: '
            '"stdlogplugin.csi.alibabacloud.com"'
        ],
    ),
    "image volume and another": (
        {"volumes": [{"name": "v", "emptyDir": {}, "image": {"reference": "data:1"}}]},
        [f"spec.volumes[0].image: {BOTH} volume type"],
    ),
    "volume without a name": ({"volumes": [{"name": ""}]}, ["spec.volumes[0].name: Required value"]),
    "volume name": ({"volumes": [{"name": "V"}]}, [f'spec.volumes[0].name: Invalid value: "V": {LABEL}']),
    "two sources": (
        {"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/x"}}]},
        [f"spec.volumes[0].hostPath: {BOTH} volume type"],
    ),
    "medium": (
        {"volumes": [{"name": "v", "emptyDir": {"medium": "Disk"}}]},
        ['spec.volumes[0].emptyDir.medium: Unsupported value: "Disk": supported values: "", "Memory"'],
    ),
    "size limit": (
        {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "-1Mi"}}]},
        ['spec.volumes[0].emptyDir.sizeLimit: Invalid value: "-1Mi": must be greater than or equal to 0'],
    ),
    "host path": (
        {"volumes": [{"name": "v", "hostPath": {"path": "x"}}]},
        ['spec.volumes[0].hostPath.path: Invalid value: "x": must be an absolute path'],
    ),
    "host path with backsteps": (
        {"volumes": [{"name": "v", "hostPath": {"path": "/x/../y"}}]},
        ["spec.volumes[0].hostPath.path: Invalid value: \"/x/../y\": must not contain '..'"],
    ),
    "host path type": (
        {"volumes": [{"name": "v", "hostPath": {"path": "/x", "type": "Dir"}}]},
        [
            'spec.volumes[0].hostPath.type: Unsupported value: "Dir": supported values: "", "BlockDevice", '
            '"CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"'
        ],
    ),
    "config map volume": (
        {"volumes": [{"name": "v", "configMap": {}}]},
        ["spec.volumes[0].configMap.name: Required value"],
    ),
    "secret volume": (
        {"volumes": [{"name": "v", "secret": {"defaultMode": 0o1000}}]},
        [
            "spec.volumes[0].secret.secretName: Required value",
            "spec.volumes[0].secret.defaultMode: Invalid value: 512: "
            "must be a number between 0 and 0777 (octal), both inclusive",
        ],
    ),
    "items": (
        {"volumes": [{"name": "v", "secret": {"secretName": "s", "items": [{"key": "", "path": "/a", "mode": -1}]}}]},
        [
            "spec.volumes[0].secret.items[0].key: Required value",
            'spec.volumes[0].secret.items[0].path: Invalid value: "/a": must be a relative path',
            "spec.volumes[0].secret.items[0].mode: Invalid value: -1: "
            "must be a number between 0 and 0777 (octal), both inclusive",
        ],
    ),
    "item path": (
        {"volumes": [{"name": "v", "configMap": {"name": "c", "items": [{"key": "k", "path": "..data"}]}}]},
        ["spec.volumes[0].configMap.items[0].path: Invalid value: \"..data\": must not start with '..'"],
    ),
}


@pytest.mark.parametrize(("spec", "lines"), POD.values(), ids=POD)
def test_a_pod_is_refused(spec: dict[str, Any], lines: list[str]) -> None:
    assert findings(**spec) == lines


METADATA: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"name": ""}, "metadata.name: Required value: name or generateName is required"),
    "name": ({"name": "My_Pod"}, f'metadata.name: Invalid value: "My_Pod": {SUBDOMAIN}'),
    "generated name": (
        {"name": "", "generateName": "Ab-"},
        f'metadata.generateName: Invalid value: "Ab-": {SUBDOMAIN}',
    ),
    "namespace": ({"namespace": "a.b"}, 'metadata.namespace: Invalid value: "a.b": must not contain dots'),
    "label": ({"labels": {"a b": "c"}}, f'metadata.labels: Invalid value: "a b": {NAME_PART}'),
    "label value": ({"labels": {"a": "b c"}}, f'metadata.labels[a]: Invalid value: "b c": {LABEL_VALUE}'),
    "annotation": ({"annotations": {"a b": ""}}, f'metadata.annotations: Invalid value: "a b": {NAME_PART}'),
    "annotations": (
        {"annotations": {"a": "x" * 262144}},
        "metadata.annotations: Too long: may not be more than 262144 bytes",
    ),
}


@pytest.mark.parametrize(("metadata", "line"), METADATA.values(), ids=METADATA)
def test_metadata_is_refused(metadata: dict[str, Any], line: str) -> None:
    assert findings(metadata) == [line]


def test_a_name_may_be_generated() -> None:
    assert findings({"name": "", "generateName": "pod-"}) == []


def test_what_is_probably_not_meant_is_warned_of() -> None:
    app = APP | {
        "env": [{"name": "A"}, {"name": "B"}, {"name": "A"}],
        "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}, {"containerPort": 80}],
    }
    spec = decode_pod({"spec": {"containers": [app]}}).spec
    assert [str(finding) for finding in spec_warnings(spec, "spec")] == [
        'spec.containers[0].env[2]: hides previous definition of "A"',
        "spec.containers[0].ports[2]: duplicate port definition: 80/TCP",
    ]
