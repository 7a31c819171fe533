"""What a pod's containers read about the network: their hostname, /etc/hosts and the resolver's settings.

Contents and limits are those of pkg/kubelet/kubelet_pods.go and pkg/kubelet/network/dns/dns.go.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from vkprovider.model.pod import HostAlias, Pod, PodDNSConfig, PodDNSConfigOption, PodSpec

_HOSTNAME_MAX = 63
_MAX_NAMESERVERS = 3
_MAX_SEARCHES = 32
_MAX_SEARCH_NAME = 253
_MAX_SEARCH_LINE = 2048

# An empty list would mean the node's own to the engine: these say "none" to it.
_NO_SEARCHES = (".",)
_NO_OPTIONS = ("ndots:1",)  # what the resolver library does anyway

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
    """The settings of a resolv.conf. Of a pod, an empty tuple leaves that line to the engine."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def hostname(pod: Pod) -> str:
    """The pod's own hostname: what the kernel can hold of spec.hostname or of the pod's name."""
    name = pod.spec.hostname or pod.metadata.name
    return name if len(name) <= _HOSTNAME_MAX else name[:_HOSTNAME_MAX].rstrip("-.")


def hosts_file(pod: Pod, pod_ips: Iterable[str], *, cluster_domain: str, node_hosts: str) -> str:
    """The content of /etc/hosts. ``node_hosts`` is the node's own file, which pods on its network see."""
    aliases = _alias_lines(pod.spec.host_aliases)
    if pod.spec.host_network:
        return f"{_HEADER} (host network).\n{node_hosts}{aliases}"
    name = hostname(pod)
    names = name
    if pod.spec.subdomain:
        names = f"{name}.{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{cluster_domain}\t{name}"
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


def pod_resolver(spec: PodSpec, node: Resolver) -> tuple[Resolver, tuple[str, ...]]:
    """The pod's resolver settings, and a message per limit that cut them (event DNSConfigForming).

    Without a cluster DNS every policy but None means the node's settings, which the engine gives by itself;
    they are spelt out only where dnsConfig adds to them.
    """
    config = spec.dns_config or PodDNSConfig()
    if spec.dns_policy == "None":
        return _within_limits(
            Resolver(
                nameservers=config.nameservers,
                searches=config.searches or _NO_SEARCHES,
                options=_merged((), config.options) or _NO_OPTIONS,
            )
        )
    if spec.dns_config is None:
        return Resolver(), ()
    # The node's loopback is not the pod's; the engine leaves such servers out as well.
    reachable = (server for server in node.nameservers if spec.host_network or not _is_loopback(server))
    return _within_limits(
        Resolver(
            nameservers=_unique(*reachable, *config.nameservers),
            searches=_unique(*node.searches, *config.searches),
            options=_merged(node.options, config.options),
        )
    )


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
