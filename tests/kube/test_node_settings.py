from __future__ import annotations

import msgspec
import pytest

from vkprovider.config import ConfigError
from vkprovider.core.daemonsets import DaemonSetPolicy
from vkprovider.core.placement import Taint
from vkprovider.core.thresholds import Signal, Threshold
from vkprovider.kube.node.log_settings import LogSettings
from vkprovider.kube.node.resources import NodeResources
from vkprovider.kube.node.settings import NodeFlags, NodeSettings, load_node_settings
from vkprovider.model.create import LogLimits


def load(flags: NodeFlags = NodeFlags(), host: str = "laptop", **environ: str) -> NodeSettings:  # noqa: B008  frozen
    return load_node_settings(flags, environ, host)


def test_without_flags_the_node_is_as_virtual_kubelets_are() -> None:
    assert load() == NodeSettings(
        name="vkprovider-laptop",
        taint=Taint(key="virtual-kubelet.io/provider", value="docker", effect="NoSchedule"),
        port=10250,
        max_pods=110,
        daemonsets=DaemonSetPolicy.IGNORE,
    )


def test_the_variables_that_virtual_kubelets_users_know() -> None:
    settings = load(
        DEFAULT_NODE_NAME="vk",
        VKUBELET_TAINT_KEY="example.com/virtual",
        VKUBELET_TAINT_VALUE="yes",
        VKUBELET_TAINT_EFFECT="NoExecute",
        VKUBELET_POD_IP="10.0.0.9",
        KUBELET_PORT="10999",
        KUBECONFIG="/etc/vk.conf",
    )
    assert settings == NodeSettings(
        name="vk",
        taint=Taint(key="example.com/virtual", value="yes", effect="NoExecute"),
        internal_ip="10.0.0.9",
        port=10999,
        kubeconfig="/etc/vk.conf",
    )


def test_flags_win() -> None:
    flags = NodeFlags(
        nodename="mine",
        taint="gpu=a100:PreferNoSchedule",
        internal_ip="10.0.0.1",
        port=1234,
        client_ca_file="ca.crt",
        kubeconfig="k",
        kind="dev",
        namespace="team",
        labels=("a=b,example.com/c=d", "e="),
        system_reserved="cpu=500m, memory=1Gi",
        max_pods=20,
        eviction_hard="memory.available<1Gi",
        daemonsets="run",
        allowed_unsafe_sysctls="kernel.msg*, net.core.somaxconn",
        container_log_max_size="1Mi",
        container_log_max_files=2,
        pod_logs_dir="/var/log/pods",
        drain=True,
        drain_timeout=60,
        startup_timeout="1m30s",
    )
    environ = {
        "DEFAULT_NODE_NAME": "x",
        "VKUBELET_TAINT_KEY": "x",
        "VKUBELET_POD_IP": "10.9.9.9",
        "KUBELET_PORT": "1",
        "KUBECONFIG": "x",
    }
    assert load_node_settings(flags, environ, "laptop") == NodeSettings(
        name="mine",
        taint=Taint(key="gpu", value="a100", effect="PreferNoSchedule"),
        internal_ip="10.0.0.1",
        port=1234,
        client_ca_file="ca.crt",
        kubeconfig="k",
        kind="dev",
        namespace="team",
        labels={"a": "b", "example.com/c": "d", "e": ""},
        resources=NodeResources(
            reserved={"cpu": 500, "memory": 1 << 30},
            eviction_hard=(Threshold(Signal.MEMORY, "1Gi"),),
        ),
        max_pods=20,
        daemonsets=DaemonSetPolicy.RUN,
        allowed_unsafe_sysctls=("kernel.msg*", "net.core.somaxconn"),
        logs=LogSettings(limits=LogLimits(max_bytes=1 << 20, max_files=2), directory="/var/log/pods"),
        drain=True,
        drain_seconds=60,
        startup_seconds=90,
    )


def test_the_taint_can_be_left_out() -> None:
    assert load(NodeFlags(disable_taint=True), VKUBELET_TAINT_KEY="x").taint is None


@pytest.mark.parametrize(
    ("flags", "environ", "taint"),
    [
        (NodeFlags(taint="gpu:NoExecute"), {}, Taint(key="gpu", effect="NoExecute")),
        (NodeFlags(taint="gpu=:NoExecute"), {}, Taint(key="gpu", effect="NoExecute")),
        (NodeFlags(), {"VKUBELET_TAINT_VALUE": ""}, Taint(key="virtual-kubelet.io/provider")),
        (NodeFlags(), {"VKUBELET_TAINT_KEY": "k"}, Taint(key="k", value="docker")),
    ],
)
def test_taints(flags: NodeFlags, environ: dict[str, str], taint: Taint) -> None:
    assert load_node_settings(flags, environ, "h").taint == taint


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Worker_1.Example.COM", "vkprovider-worker-1.example.com"),
        ("h" * 70, "vkprovider-" + "h" * 52),
        ("h" * 51 + ".x", "vkprovider-" + "h" * 51),
        ("", "vkprovider"),
    ],
)
def test_a_name_is_made_of_the_hosts(host: str, name: str) -> None:
    assert load(host=host).name == name


@pytest.mark.parametrize(
    ("changes", "environ", "complaint"),
    [
        ({"nodename": "No"}, {}, r"^the node's name 'No' \(--nodename, DEFAULT_NODE_NAME\): a lowercase RFC 1123"),
        ({}, {"DEFAULT_NODE_NAME": "n" * 64}, "must be no more than 63 characters$"),
        ({"labels": ("a",)}, {}, "^--labels: 'a' is not of the form KEY=VALUE$"),
        ({"labels": ("=a",)}, {}, "^--labels: '=a' is not of the form KEY=VALUE$"),
        ({"labels": ("a b=c",)}, {}, "^--labels: key 'a b': name part must consist of"),
        ({"labels": ("a=b c",)}, {}, "^--labels: value 'b c' of a: a valid label must be"),
        ({"allowed_unsafe_sysctls": "vm.*"}, {}, r"^--allowed-unsafe-sysctls: 'vm\.\*' does not concern the pod alone"),
        ({"taint": "gpu"}, {}, "^--taint: 'gpu' is not KEY=VALUE:EFFECT or KEY:EFFECT$"),
        (
            {"taint": "gpu:Never"},
            {},
            "^--taint: the effect 'Never' is none of NoSchedule, PreferNoSchedule, NoExecute$",
        ),
        ({"taint": "a b:NoExecute"}, {}, "^--taint: key 'a b': name part"),
        ({}, {"VKUBELET_TAINT_EFFECT": "Never"}, "^VKUBELET_TAINT_KEY, .*: the effect 'Never' is none of"),
        ({}, {"VKUBELET_TAINT_VALUE": "a b"}, "value 'a b': a valid label"),
        ({"internal_ip": "here"}, {}, "^--internal-ip, VKUBELET_POD_IP: 'here' is not an IP address$"),
        ({"port": 65536}, {}, "^--port, KUBELET_PORT: '65536' is not a port number$"),
        ({}, {"KUBELET_PORT": "-1"}, "^--port, KUBELET_PORT: '-1' is not a port number$"),
        ({"max_pods": 0}, {}, "^--max-pods: 0 is less than 1$"),
        ({"startup_timeout": "90"}, {}, "^--startup-timeout: '90' is not a duration such as 90s or 1m30s$"),
        ({"startup_timeout": "h"}, {}, "^--startup-timeout: 'h' is not a duration"),
        ({"drain_timeout": 5}, {}, "^--drain-timeout: says how long --drain may take, and that is not given$"),
        ({"drain": True, "drain_timeout": -1}, {}, "^--drain-timeout: -1 is less than 1$"),
        ({"daemonsets": "reject"}, {}, "^--daemonsets: 'reject' is none of ignore, run$"),
        ({"container_log_max_size": "much"}, {}, "^--container-log-max-size: "),
        ({"container_log_max_size": "0"}, {}, "^--container-log-max-size: 0 is less than a byte"),
        ({"container_log_max_files": 1}, {}, "^--container-log-max-files: 1 is less than 2"),
        ({"pod_logs_dir": "logs"}, {}, "^--pod-logs-dir: 'logs' is no absolute path"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(
    changes: dict[str, object], environ: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_node_settings(msgspec.structs.replace(NodeFlags(), **changes), environ, "laptop")


@pytest.mark.parametrize("other", [{"kubeconfig": "k"}, {"kind": ""}])
def test_a_node_that_asks_for_its_certificate_needs_no_other_access(other: dict[str, str]) -> None:
    assert load(NodeFlags(bootstrap_kubeconfig="b"), KUBECONFIG="k").bootstrap_kubeconfig == "b"
    flag = f"--{next(iter(other))}"
    with pytest.raises(ConfigError, match=f"^--bootstrap-kubeconfig and {flag}: give one of them"):
        load(NodeFlags(bootstrap_kubeconfig="b", **other))


@pytest.mark.parametrize("other", [{"bootstrap_kubeconfig": "b"}, {"kind": ""}])
def test_a_context_is_one_of_the_kubeconfig(other: dict[str, str]) -> None:
    assert load(NodeFlags(context="c"), KUBECONFIG="k").context == "c"
    flag = f"--{next(iter(other)).replace('_', '-')}"
    with pytest.raises(ConfigError, match=f"^--context and {flag}: give one of them"):
        load(NodeFlags(context="c", **other))


def test_the_certificate_of_the_nodes_api_comes_with_its_key() -> None:
    variables = {
        "APISERVER_CERT_LOCATION": "a.crt",
        "APISERVER_KEY_LOCATION": "a.key",
        "APISERVER_CA_CERT_LOCATION": "ca",
    }
    settings = load_node_settings(NodeFlags(), variables, "h")
    assert (settings.tls_cert_file, settings.tls_private_key_file, settings.client_ca_file) == ("a.crt", "a.key", "ca")
    flags = NodeFlags(tls_cert_file="b.crt", tls_private_key_file="b.key", client_ca_file="b")
    settings = load_node_settings(flags, variables, "h")
    assert (settings.tls_cert_file, settings.tls_private_key_file, settings.client_ca_file) == ("b.crt", "b.key", "b")
    for half in (NodeFlags(tls_cert_file="b.crt"), NodeFlags(tls_private_key_file="b.key")):
        with pytest.raises(
            ConfigError, match=r"^--tls-cert-file .* and --tls-private-key-file .*: give both, or neither"
        ):
            load_node_settings(half, {}, "h")
