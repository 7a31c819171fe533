"""What a pod's containers read about the network: their hostname, /etc/hosts and the resolver's settings.

Contents and limits are those of pkg/kubelet/kubelet_pods.go and pkg/kubelet/network/dns/dns.go.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from vkprovider.core.faults import Fault
from vkprovider.model.pod import HostAlias, Pod, PodDNSConfigOption, PodSpec

_HOSTNAME_MAX = 63
_FQDN_MAX = 64  # what the kernel holds
_MAX_NAMESERVERS = 3
_MAX_SEARCHES = 32
_MAX_SEARCH_NAME = 253
_MAX_SEARCH_LINE = 2048

_CLUSTER_OPTIONS = ("ndots:5",)

_HEADER = "# Kubernetes-managed hosts file"
_LOOPBACK = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""


class Resolver(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a resolv.conf. Those of a pod without nameservers are for the engine to complete."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


class Dns(msgspec.Struct, frozen=True, kw_only=True):
    """Who resolves names for pods: the node's own resolver, or the ``servers`` of a cluster with that ``domain``."""

    node: Resolver = Resolver()
    servers: tuple[str, ...] = ()
    domain: str = "cluster.local"


def hostname(pod: Pod, domain: str) -> str:
    """What the kernel is told: the short name, or with setHostnameAsFQDN all of it. Raises Fault if it is too long.

    Words of pkg/kubelet/util/util.go GetNodenameForKernel.
    """
    full = _full_name(pod, domain)
    if not full or not pod.spec.set_hostname_as_fqdn:
        return _short_name(pod)
    if len(full) > _FQDN_MAX:
        limit = f"{_FQDN_MAX} characters is the max, {len(full)} characters requested"
        raise Fault(f"failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long ({limit})")
    return full


def _short_name(pod: Pod) -> str:
    name = pod.spec.hostname_override or pod.spec.hostname or pod.metadata.name
    return name if len(name) <= _HOSTNAME_MAX else name[:_HOSTNAME_MAX].rstrip("-.")


def _full_name(pod: Pod, domain: str) -> str:
    """The name in the cluster's DNS, "" without a subdomain."""
    if not pod.spec.subdomain or pod.spec.hostname_override:
        return ""
    return f"{_short_name(pod)}.{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{domain}"


def hosts_file(pod: Pod, pod_ips: Iterable[str], *, cluster_domain: str, node_hosts: str) -> str:
    """The content of /etc/hosts. ``node_hosts`` is the node's own file, which pods on its network see."""
    aliases = _alias_lines(pod.spec.host_aliases)
    if pod.spec.host_network:
        return f"{_HEADER} (host network).\n{node_hosts}{aliases}"
    names = "\t".join(filter(None, (_full_name(pod, cluster_domain), _short_name(pod))))
    return f"{_HEADER}.\n{_LOOPBACK}" + "".join(f"{ip}\t{names}\n" for ip in pod_ips) + aliases


def _alias_lines(aliases: tuple[HostAlias, ...]) -> str:
    if not aliases:
        return ""
    lines = "".join("\t".join((alias.ip, *alias.hostnames)) + "\n" for alias in aliases)
    return f"\n# Entries added by HostAliases.\n{lines}"


def parse_resolv_conf(text: str) -> Resolver:
    """The settings in a resolv.conf: nameservers add up, of search and options the last line holds."""
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        keyword, *values = line.split() or ("",)
        if keyword == "nameserver":
            found[keyword] = (*found.get(keyword, ()), *values[:1])
        elif keyword in ("search", "options"):
            found[keyword] = tuple(values)
    return Resolver(
        nameservers=found.get("nameserver", ()),
        searches=tuple(search.removesuffix(".") for search in found.get("search", ())),
        options=found.get("options", ()),
    )


def resolv_conf(resolver: Resolver) -> str:
    """The file as container runtimes write it; "" where it is left to the engine."""
    if not resolver.nameservers:
        return ""
    lines = [f"nameserver {server}" for server in resolver.nameservers]
    if resolver.searches:
        lines.insert(0, f"search {' '.join(resolver.searches)}")
    if resolver.options:
        lines.append(f"options {' '.join(resolver.options)}")
    return "\n".join(lines) + "\n"


def pod_resolver(pod: Pod, dns: Dns) -> tuple[Resolver, tuple[str, ...]]:
    """The pod's resolver settings, and a message per limit that cut them (event DNSConfigForming).

    Where the node's settings hold, the engine gives them by itself; they are spelt out only where dnsConfig adds to
    them. Without a cluster's servers that is so with every policy but None.
    """
    config = pod.spec.dns_config
    base = _base(pod, dns)
    if config is None:
        return _within_limits(base) if base.nameservers else (Resolver(), ())
    if not base.nameservers and pod.spec.dns_policy != "None":
        base = _of_node(pod.spec, dns.node)
    return _within_limits(
        Resolver(
            nameservers=_unique(*base.nameservers, *config.nameservers),
            searches=_unique(*base.searches, *config.searches),
            options=_merged(base.options, config.options),
        )
    )


def _base(pod: Pod, dns: Dns) -> Resolver:
    """What dnsPolicy alone asks for, without nameservers where that is the node's or nothing
    (pkg/kubelet/network/dns/dns.go GetPodDNS).
    """
    policy, on_node = pod.spec.dns_policy, pod.spec.host_network
    in_cluster = policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not on_node)
    if not in_cluster or not dns.servers:
        return Resolver()
    suffixes = (f"{pod.metadata.namespace}.svc.{dns.domain}", f"svc.{dns.domain}", dns.domain)
    searches = _unique(*suffixes, *dns.node.searches)
    return Resolver(nameservers=dns.servers, searches=searches, options=_CLUSTER_OPTIONS)


def _of_node(spec: PodSpec, node: Resolver) -> Resolver:
    """The node's loopback is not the pod's; the engine leaves such servers out as well."""
    reachable = (server for server in node.nameservers if spec.host_network or not _is_loopback(server))
    return msgspec.structs.replace(node, nameservers=tuple(reachable))


def _is_loopback(server: str) -> bool:
    return server.startswith("127.") or server == "::1"


def _unique(*items: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))


def _merged(options: tuple[str, ...], own: tuple[PodDNSConfigOption, ...]) -> tuple[str, ...]:
    """Options by name; the pod's own win."""
    values = {name: value for name, _, value in (option.partition(":") for option in options)}
    values |= {option.name: option.value for option in own}
    return tuple(f"{name}:{value}" if value else name for name, value in values.items())


def _within_limits(resolver: Resolver) -> tuple[Resolver, tuple[str, ...]]:
    messages = []
    nameservers = resolver.nameservers[:_MAX_NAMESERVERS]
    if nameservers != resolver.nameservers:
        messages.append(
            "Nameserver limits were exceeded, some nameservers have been omitted, "
            f"the applied nameserver line is: {' '.join(nameservers)}"
        )
    searches = tuple(s for s in resolver.searches[:_MAX_SEARCHES] if len(s) <= _MAX_SEARCH_NAME)
    while len(" ".join(searches)) > _MAX_SEARCH_LINE:
        searches = searches[:-1]
    if searches != resolver.searches:
        messages.append(
            "Search Line limits were exceeded, some search paths have been omitted, "
            f"the applied search line is: {' '.join(searches)}"
        )
    return Resolver(nameservers=nameservers, searches=searches, options=resolver.options), tuple(messages)
