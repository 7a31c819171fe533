"""How this machine is to appear as a node: from flags, and the environment variables that virtual-kubelet's users know.

Flags win over variables (virtual-kubelet, cmd/virtual-kubelet/internal/commands/root/opts.go).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address

import msgspec

from vkprovider.config import ConfigError
from vkprovider.core.daemonsets import DaemonSetPolicy
from vkprovider.core.placement import EFFECTS, NO_SCHEDULE, Taint
from vkprovider.core.sysctls import invalid_pattern
from vkprovider.kube.node.image_settings import ImageSettings, load_image_settings
from vkprovider.kube.node.log_settings import LogSettings, load_log_settings
from vkprovider.kube.node.pod_network import CLUSTER_DOMAIN, PodNetwork, load_pod_network
from vkprovider.kube.node.resources import NodeResources, ResourceFlags, duration, load_node_resources, pairs
from vkprovider.model import names

KUBELET_PORT = 10250
MAX_PODS = 110
DEFAULT_TAINT = Taint(key="virtual-kubelet.io/provider", value="docker", effect=NO_SCHEDULE)

_NAME_MAX = names.LABEL_MAX  # it is also the value of a label
_MAX_PORT = 65535
_TAINT = re.compile(r"^(?P<key>[^=:]+)(?:=(?P<value>[^=:]*))?:(?P<effect>[^=:]+)$")


class NodeFlags(ResourceFlags, frozen=True, kw_only=True):
    """The command line of ``vkprovider node``, as it was typed; "" and 0 where nothing was."""

    nodename: str = ""
    kubeconfig: str = ""
    context: str = ""
    bootstrap_kubeconfig: str = ""
    kind: str | None = None  # None without --kind, "" for the only kind cluster there is
    namespace: str = ""
    labels: tuple[str, ...] = ()  # each KEY=VALUE[,KEY=VALUE...]
    taint: str = ""  # KEY[=VALUE]:EFFECT
    disable_taint: bool = False
    internal_ip: str = ""
    port: int = 0
    read_only_port: int = 0
    client_ca_file: str = ""
    tls_cert_file: str = ""
    tls_private_key_file: str = ""
    max_pods: int = MAX_PODS
    daemonsets: str = DaemonSetPolicy.IGNORE
    allowed_unsafe_sysctls: str = ""  # NAME[,NAME...], each also as a beginning and a *
    service_host: str = ""  # HOST[:PORT]
    cluster_dns: str = ""  # IP[,IP...]
    cluster_domain: str = CLUSTER_DOMAIN
    container_log_max_size: str = "10Mi"
    container_log_max_files: int = 5
    pod_logs_dir: str = ""
    registry_config: str = ""
    image_gc_high_threshold: int = 85  # percent
    image_gc_low_threshold: int = 80
    minimum_image_ttl_duration: str = ""
    maximum_image_gc_age: str = ""
    drain: bool = False
    drain_timeout: int = 0
    startup_timeout: str = ""  # as Go writes durations: 90s, 1m30s


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the node is to be. ``internal_ip`` "" stands for the address this machine reaches the API server from.

    ``node_restriction`` is for an identity ``system:node:<name>``, which the API server allows less: labels and taints
    that it would refuse are left out; it is known once the API server was asked. With ``drain`` the pods end before the
    node stops, each within ``drain_seconds`` if its own grace is not shorter.
    """

    name: str
    kubeconfig: str = ""  # "" for the service account of the pod that vkprovider itself runs in
    context: str = ""  # of the kubeconfig; "" for its current one
    bootstrap_kubeconfig: str = ""  # to ask for a certificate with, instead of the kubeconfig
    kind: str | None = None
    namespace: str = ""  # "" for pods of all namespaces
    labels: Mapping[str, str] = {}
    taint: Taint | None = DEFAULT_TAINT
    internal_ip: str = ""
    port: int = KUBELET_PORT
    read_only_port: int = 0  # of loopback, for metrics without credentials; 0 for none
    client_ca_file: str = ""  # "" for those that the API server publishes
    tls_cert_file: str = ""  # with tls_private_key_file; "" for a certificate of the node's own making
    tls_private_key_file: str = ""
    max_pods: int = MAX_PODS
    resources: NodeResources = NodeResources()
    node_restriction: bool = False
    daemonsets: DaemonSetPolicy = DaemonSetPolicy.IGNORE
    allowed_unsafe_sysctls: tuple[str, ...] = ()
    pod_network: PodNetwork = PodNetwork()
    logs: LogSettings = LogSettings()
    images: ImageSettings = ImageSettings()
    drain: bool = False
    drain_seconds: int | None = None
    startup_seconds: float | None = None  # None to try for ever


def load_node_settings(flags: NodeFlags, environ: Mapping[str, str], hostname: str) -> NodeSettings:
    """Settings from flags and environment. Raises ConfigError, whose message names the flag or variable."""
    pair = _serving_pair(flags, environ)
    return NodeSettings(
        name=_name(flags, environ, hostname),
        kubeconfig=flags.kubeconfig or environ.get("KUBECONFIG", ""),
        context=_context(flags),
        bootstrap_kubeconfig=_bootstrap(flags),
        kind=flags.kind,
        namespace=flags.namespace,
        labels=_labels(flags.labels),
        taint=None if flags.disable_taint else _taint(flags.taint, environ),
        internal_ip=_address(flags.internal_ip or environ.get("VKUBELET_POD_IP", "")),
        port=_port("--port, KUBELET_PORT", str(flags.port or environ.get("KUBELET_PORT") or KUBELET_PORT)),
        read_only_port=_port("--read-only-port", str(flags.read_only_port)) if flags.read_only_port else 0,
        client_ca_file=flags.client_ca_file or environ.get("APISERVER_CA_CERT_LOCATION", ""),
        tls_cert_file=pair[0],
        tls_private_key_file=pair[1],
        max_pods=_at_least_one("--max-pods", flags.max_pods),
        resources=load_node_resources(flags),
        daemonsets=_policy(flags.daemonsets),
        allowed_unsafe_sysctls=_sysctls(flags.allowed_unsafe_sysctls),
        pod_network=load_pod_network(flags.service_host, flags.cluster_dns, flags.cluster_domain),
        logs=load_log_settings(flags.container_log_max_size, flags.container_log_max_files, flags.pod_logs_dir),
        images=load_image_settings(
            flags.registry_config,
            flags.image_gc_high_threshold,
            flags.image_gc_low_threshold,
            flags.minimum_image_ttl_duration,
            flags.maximum_image_gc_age,
        ),
        drain=flags.drain,
        drain_seconds=_drain_seconds(flags),
        startup_seconds=duration("--startup-timeout", flags.startup_timeout),
    )


def _name(flags: NodeFlags, environ: Mapping[str, str], hostname: str) -> str:
    """The host's own name gets a prefix: a kubelet on this machine would register under it."""
    given = flags.nodename or environ.get("DEFAULT_NODE_NAME", "")
    name = given or f"vkprovider-{re.sub('[^a-z0-9.-]+', '-', hostname.lower())}"[:_NAME_MAX].rstrip("-.")
    complaints = names.subdomain(name)
    if len(name) > _NAME_MAX:
        complaints.append(f"must be no more than {_NAME_MAX} characters")
    _check(f"the node's name {name!r} (--nodename, DEFAULT_NODE_NAME)", complaints)
    return name


def _context(flags: NodeFlags) -> str:
    for flag, given in (("--kind", flags.kind is not None), ("--bootstrap-kubeconfig", flags.bootstrap_kubeconfig)):
        if flags.context and given:
            raise ConfigError(f"--context and {flag}: give one of them; --context is one of --kubeconfig's")
    return flags.context


def _bootstrap(flags: NodeFlags) -> str:
    for flag, given in (("--kubeconfig", flags.kubeconfig), ("--kind", flags.kind is not None)):
        if flags.bootstrap_kubeconfig and given:
            raise ConfigError(
                f"--bootstrap-kubeconfig and {flag}: give one of them; a node that asks for its certificate keeps "
                "a kubeconfig of its own in the state directory"
            )
    return flags.bootstrap_kubeconfig


def _serving_pair(flags: NodeFlags, environ: Mapping[str, str]) -> tuple[str, str]:
    certificate = flags.tls_cert_file or environ.get("APISERVER_CERT_LOCATION", "")
    key = flags.tls_private_key_file or environ.get("APISERVER_KEY_LOCATION", "")
    if bool(certificate) != bool(key):
        raise ConfigError(
            "--tls-cert-file (APISERVER_CERT_LOCATION) and --tls-private-key-file (APISERVER_KEY_LOCATION): "
            "give both, or neither"
        )
    return certificate, key


def _labels(given: Iterable[str]) -> dict[str, str]:
    labels = pairs("--labels", given)
    for key, value in labels.items():
        _check(f"--labels: key {key!r}", names.qualified(key))
        _check(f"--labels: value {value!r} of {key}", names.label_value(value))
    return labels


def _taint(given: str, environ: Mapping[str, str]) -> Taint:
    if not given:
        key = environ.get("VKUBELET_TAINT_KEY") or DEFAULT_TAINT.key
        value = environ.get("VKUBELET_TAINT_VALUE", DEFAULT_TAINT.value)
        taint = Taint(key=key, value=value, effect=environ.get("VKUBELET_TAINT_EFFECT") or DEFAULT_TAINT.effect)
        source = "VKUBELET_TAINT_KEY, VKUBELET_TAINT_VALUE, VKUBELET_TAINT_EFFECT"
    else:
        match = _TAINT.match(given)
        if match is None:
            raise ConfigError(f"--taint: {given!r} is not KEY=VALUE:EFFECT or KEY:EFFECT")
        taint = Taint(key=match["key"], value=match["value"] or "", effect=match["effect"])
        source = "--taint"
    if taint.effect not in EFFECTS:
        raise ConfigError(f"{source}: the effect {taint.effect!r} is none of {', '.join(EFFECTS)}")
    _check(f"{source}: key {taint.key!r}", names.qualified(taint.key))
    _check(f"{source}: value {taint.value!r}", names.label_value(taint.value))
    return taint


def _address(given: str) -> str:
    try:
        return str(ip_address(given)) if given else ""
    except ValueError as exc:
        raise ConfigError(f"--internal-ip, VKUBELET_POD_IP: {given!r} is not an IP address") from exc


def _port(flag: str, given: str) -> int:
    if not given.isdecimal() or not 0 < int(given) <= _MAX_PORT:
        raise ConfigError(f"{flag}: {given!r} is not a port number")
    return int(given)


def _policy(given: str) -> DaemonSetPolicy:
    if given not in tuple(DaemonSetPolicy):
        raise ConfigError(f"--daemonsets: {given!r} is none of {', '.join(DaemonSetPolicy)}")
    return DaemonSetPolicy(given)


def _sysctls(given: str) -> tuple[str, ...]:
    patterns = tuple(filter(None, map(str.strip, given.split(","))))
    for pattern in patterns:
        complaint = invalid_pattern(pattern)
        if complaint is not None:
            raise ConfigError(f"--allowed-unsafe-sysctls: {pattern!r} {complaint}")
    return patterns


def _at_least_one(flag: str, number: int) -> int:
    if number < 1:
        raise ConfigError(f"{flag}: {number} is less than 1")
    return number


def _drain_seconds(flags: NodeFlags) -> int | None:
    if not flags.drain_timeout:
        return None
    if not flags.drain:
        raise ConfigError("--drain-timeout: says how long --drain may take, and that is not given")
    return _at_least_one("--drain-timeout", flags.drain_timeout)


def _check(what: str, complaints: Iterable[str]) -> None:
    for complaint in complaints:
        raise ConfigError(f"{what}: {complaint}")
