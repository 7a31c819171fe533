"""``/configz``: the node's settings in the words of a kubelet's configuration, as far as they mean the same here."""

from __future__ import annotations

from typing import Any

from vkprovider.core.placement import Taint
from vkprovider.core.waiting import go_duration
from vkprovider.kube.node.lease import DURATION_SECONDS
from vkprovider.kube.node.registrar import LOOK_SECONDS, REPORT_SECONDS
from vkprovider.kube.node.settings import NodeSettings

MEGABYTE = 1 << 20


def kubelet_configuration(settings: NodeSettings) -> dict[str, Any]:
    """As k8s.io/kubelet/config/v1beta1 has it; what a node like this has no such thing of is left out."""
    return (
        {"kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1"}
        | _server(settings)
        | _node(settings)
        | _pods(settings)
    )


def _server(settings: NodeSettings) -> dict[str, Any]:
    return {
        "port": settings.port,
        "readOnlyPort": settings.read_only_port,
        "tlsCertFile": settings.tls_cert_file,
        "tlsPrivateKeyFile": settings.tls_private_key_file,
        "serverTLSBootstrap": settings.node_restriction and not settings.tls_cert_file,
        "authentication": {
            "x509": {"clientCAFile": settings.client_ca_file},
            "webhook": {"enabled": True, "cacheTTL": "2m0s"},
            "anonymous": {"enabled": False},
        },
        "authorization": {
            "mode": "Webhook",
            "webhook": {"cacheAuthorizedTTL": "5m0s", "cacheUnauthorizedTTL": "30s"},
        },
        "streamingConnectionIdleTimeout": "4h0m0s",
        "enableServer": True,
        "enableDebuggingHandlers": True,
    }


def _node(settings: NodeSettings) -> dict[str, Any]:
    resources, policy, taint = settings.resources, settings.images.policy, settings.taint
    reserved = {name: f"{amount}m" if name == "cpu" else str(amount) for name, amount in resources.reserved.items()}
    return {
        "nodeStatusUpdateFrequency": go_duration(LOOK_SECONDS),
        "nodeStatusReportFrequency": go_duration(REPORT_SECONDS),
        "nodeLeaseDurationSeconds": DURATION_SECONDS,
        "registerNode": True,
        "registerWithTaints": [] if taint is None else [_taint(taint)],
        "systemReserved": reserved,
        "evictionHard": {str(threshold.signal): threshold.least for threshold in resources.eviction_hard},
        "evictionPressureTransitionPeriod": go_duration(resources.pressure_seconds),
        "imageGCHighThresholdPercent": policy.high,
        "imageGCLowThresholdPercent": policy.low,
        "imageMinimumGCAge": go_duration(policy.min_age.total_seconds()),
        "imageMaximumGCAge": go_duration(policy.max_age.total_seconds() if policy.max_age else 0),
    }


def _pods(settings: NodeSettings) -> dict[str, Any]:
    network, limits = settings.pod_network, settings.logs.limits
    size = limits.max_bytes
    return {
        "maxPods": settings.max_pods,
        "podPidsLimit": settings.resources.pod_max_pids or -1,
        "allowedUnsafeSysctls": list(settings.allowed_unsafe_sysctls),
        "podLogsDir": settings.logs.directory,
        "clusterDomain": network.cluster_domain,
        "clusterDNS": list(network.cluster_dns),
        "containerLogMaxSize": str(size) if size % MEGABYTE else f"{size // MEGABYTE}Mi",
        "containerLogMaxFiles": limits.max_files,
        "volumeStatsAggPeriod": "1m0s",
        "failSwapOn": False,
    }


def _taint(taint: Taint) -> dict[str, str]:
    fields = {"key": taint.key, "value": taint.value, "effect": taint.effect}
    return {name: value for name, value in fields.items() if value}
