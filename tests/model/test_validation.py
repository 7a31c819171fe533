"""Pods, ConfigMaps and Secrets that the API server would not take, and its words for it."""

from __future__ import annotations

from typing import Any

import pytest

from vkprovider.model import defaults
from vkprovider.model.manifest import ConfigMapManifest, SecretManifest
from vkprovider.model.pod import decode_pod, read_as
from vkprovider.model.unsupported import REFUSAL
from vkprovider.model.validation import config_map_findings, pod_findings, secret_findings, spec_warnings

from .test_names import CONFIG_KEY, LABEL, LABEL_VALUE, NAME_PART, SUBDOMAIN

APP = {"name": "app", "image": "busybox:1.28"}
EXEC = {"exec": {"command": ["true"]}}
PLAIN_INIT = "Forbidden: may not be set for init containers without restartPolicy=Always"
BOTH = "Forbidden: may not specify more than 1"


def findings(metadata: dict[str, Any] | None = None, **spec: Any) -> list[str]:
    raw = {"metadata": {"name": "p"} | (metadata or {}), "spec": {"containers": [APP]} | spec}
    return [str(finding) for finding in pod_findings(decode_pod(defaults.pod(raw)))]


def of_container(**fields: Any) -> list[str]:
    """Findings on the only container, their paths shortened."""
    found = findings(containers=[APP | fields])
    return [line.removeprefix("spec.containers[0].") for line in found]


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


HANDLER = "may not specify more than 1 handler type"

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


def data_object(kind: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "d"}} | fields


CONFIG: dict[str, tuple[dict[str, Any], str]] = {
    "key": ({"data": {"a/b": ""}}, f'data[a/b]: Invalid value: "a/b": {CONFIG_KEY}'),
    "base64": ({"binaryData": {"a": "???"}}, "binaryData[a]: Invalid value: must be base64"),
    "key twice": (
        {"data": {"a": ""}, "binaryData": {"a": ""}},
        'binaryData[a]: Invalid value: "a": duplicate of key present in data',
    ),
    "size": ({"data": {"a": "x" * 1048576}}, "data: Too long: may not be more than 1048576 bytes"),
}


@pytest.mark.parametrize(("fields", "line"), CONFIG.values(), ids=CONFIG)
def test_a_config_map_is_refused(fields: dict[str, Any], line: str) -> None:
    config = read_as(ConfigMapManifest, data_object("ConfigMap", **fields))
    assert [str(finding) for finding in config_map_findings(config)] == [line]


def test_a_secret_of_plain_text_is_refused_without_repeating_it() -> None:
    secret = read_as(SecretManifest, data_object("Secret", data={"a": "s3cr3t!"}))
    assert [str(finding) for finding in secret_findings(secret)] == [
        "data[a]: Invalid value: must be base64: plain text goes under stringData"
    ]


def test_base64_may_be_broken_into_lines() -> None:
    secret = read_as(SecretManifest, data_object("Secret", data={"a": "YW\nJj\n"}, stringData={"b": "plain"}))
    assert list(secret_findings(secret)) == []
