"""A node's settings as ``/configz`` shows them."""

from __future__ import annotations

import json
from typing import Any

from vkprovider.kube.node.kubelet_configuration import kubelet_configuration
from vkprovider.kube.node.settings import NodeFlags, load_node_settings


def shown(**flags: Any) -> dict[str, Any]:
    settings = load_node_settings(NodeFlags(nodename="n", **flags), {}, "host")
    found = kubelet_configuration(settings)
    assert json.loads(json.dumps(found)) == found
    return found


def test_without_flags():
    found = shown()
    assert (found["kind"], found["apiVersion"]) == ("KubeletConfiguration", "kubelet.config.k8s.io/v1beta1")
    expected = {
        "port": 10250,
        "readOnlyPort": 0,
        "maxPods": 110,
        "podPidsLimit": -1,
        "clusterDomain": "cluster.local",
        "clusterDNS": [],
        "containerLogMaxSize": "10Mi",
        "containerLogMaxFiles": 5,
        "nodeStatusUpdateFrequency": "10s",
        "nodeStatusReportFrequency": "5m0s",
        "nodeLeaseDurationSeconds": 40,
        "imageGCHighThresholdPercent": 85,
        "imageGCLowThresholdPercent": 80,
        "imageMinimumGCAge": "2m0s",
        "imageMaximumGCAge": "0s",
        "evictionPressureTransitionPeriod": "5m0s",
        "registerWithTaints": [{"key": "virtual-kubelet.io/provider", "value": "docker", "effect": "NoSchedule"}],
    }
    assert expected.items() <= found.items()
    assert found["evictionHard"]["memory.available"] == "100Mi"
    assert found["authentication"]["anonymous"] == {"enabled": False}


def test_flags():
    found = shown(
        read_only_port=10255,
        max_pods=7,
        disable_taint=True,
        cluster_dns="10.96.0.10",
        system_reserved="cpu=500m,memory=1Gi",
        eviction_hard="nodefs.available<15%",
        container_log_max_size="1500",
        tls_cert_file="/crt",
        tls_private_key_file="/key",
        pod_max_pids=64,
    )
    expected = {
        "readOnlyPort": 10255,
        "maxPods": 7,
        "registerWithTaints": [],
        "clusterDNS": ["10.96.0.10"],
        "systemReserved": {"cpu": "500m", "memory": str(1 << 30)},
        "evictionHard": {"nodefs.available": "15%"},
        "containerLogMaxSize": "1500",
        "tlsCertFile": "/crt",
        "tlsPrivateKeyFile": "/key",
        "podPidsLimit": 64,
    }
    assert expected.items() <= found.items()
