"""What pods are told of the cluster's network: where its API server is for them, and who resolves names.

The address of the Service ``kubernetes`` leads nowhere without kube-proxy, which a node like this seldom has: pods are
told the address that the node itself reaches the API server by, unless it is a loopback address or below a path.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from vkprovider.config import ConfigError
from vkprovider.core.services import Service, api_server_at
from vkprovider.model import names

CLUSTER_DOMAIN = "cluster.local"
HTTPS_PORT = 443


class PodNetwork(msgspec.Struct, frozen=True, kw_only=True):
    """``api_server`` is None where it is left to be found out; ``cluster_dns`` are addresses, none by default."""

    api_server: Service | None = None
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = CLUSTER_DOMAIN


def load_pod_network(service_host: str, cluster_dns: str, cluster_domain: str) -> PodNetwork:
    """From flags: HOST[:PORT], IP[,IP...] and a domain. Raises ConfigError, whose message names the flag."""
    servers = tuple(server.strip() for server in cluster_dns.split(",") if server.strip())
    for server in servers:
        if not _is_ip(server):
            raise ConfigError(f"--cluster-dns: {server!r} is not an IP address")
    domain = cluster_domain or CLUSTER_DOMAIN
    for complaint in names.subdomain(domain):
        raise ConfigError(f"--cluster-domain: {domain!r}: {complaint}")
    return PodNetwork(api_server=_service_host(service_host), cluster_dns=servers, cluster_domain=domain)


def api_server_of(url: str) -> Service | None:
    """Where pods reach the API server that the node reaches at this URL; None where they cannot."""
    server = urlsplit(url)
    host = server.hostname or ""
    on_loopback = host == "localhost" or (_is_ip(host) and ip_address(host).is_loopback)
    if on_loopback or server.scheme != "https" or server.path.strip("/"):
        return None
    return api_server_at(host, server.port or HTTPS_PORT)


def _service_host(given: str) -> Service | None:
    if not given:
        return None
    try:
        bare = _is_ip(given) and ":" in given
        address = urlsplit(f"//[{given}]" if bare else f"//{given}")
        host, port = address.hostname or "", address.port or HTTPS_PORT
    except ValueError:
        host, port = "", 0
    if (not _is_ip(host) and names.subdomain(host)) or "/" in given:
        raise ConfigError(f"--service-host: {given!r} is not HOST or HOST:PORT")
    return api_server_at(host, port)


def _is_ip(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False
