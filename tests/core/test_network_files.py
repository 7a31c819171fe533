"""Hostname, /etc/hosts and resolver settings of a pod."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.given import container
from vkprovider.core.faults import Fault
from vkprovider.core.network_files import (
    Dns,
    Resolver,
    hostname,
    hosts_file,
    parse_resolv_conf,
    pod_resolver,
    resolv_conf,
)
from vkprovider.model.pod import Pod, decode_pod

NODE = Resolver(
    nameservers=("127.0.0.53", "::1", "10.1.1.1", "fd00::1"), searches=("corp.example",), options=("edns0", "ndots:2")
)

DNS = Dns(node=NODE)
CLUSTER = Dns(node=NODE, servers=("10.96.0.10", "fd00::a"), domain="k8s.example")
SUFFIXES = ("shop.svc.k8s.example", "svc.k8s.example", "k8s.example", "corp.example")


def named(name: str = "web-0", **spec: Any) -> Pod:
    metadata = {"name": name, "namespace": "shop", "uid": "u"}
    return decode_pod({"metadata": metadata, "spec": {"containers": [container("app")], **spec}})


@pytest.mark.parametrize(
    ("name", "spec", "expected"),
    [
        ("web-0", {}, "web-0"),
        ("web-0", {"hostname": "db"}, "db"),
        ("a" * 63, {}, "a" * 63),
        ("a" * 64, {}, "a" * 63),
        ("a" * 61 + ".-bcd", {}, "a" * 61),
        ("web-0", {"subdomain": "db"}, "web-0"),
        ("web-0", {"setHostnameAsFQDN": True}, "web-0"),
        ("web-0", {"setHostnameAsFQDN": True, "subdomain": "db"}, "web-0.db.shop.svc.cluster.local"),
        ("web-0", {"hostname": "a", "subdomain": "db", "hostnameOverride": "host.example"}, "host.example"),
    ],
)
def test_hostname(name: str, spec: dict[str, Any], expected: str) -> None:
    assert hostname(named(name, **spec), "cluster.local") == expected


def test_a_full_name_that_the_kernel_cannot_hold() -> None:
    given = named("w" * 40, subdomain="db", setHostnameAsFQDN=True)
    full = f"{'w' * 40}.db.shop.svc.cluster.local"
    message = f"FQDN {full} is too long (64 characters is the max, 66 characters requested)"
    with pytest.raises(Fault) as caught:
        hostname(given, "cluster.local")
    assert caught.value.message == f"failed to construct FQDN from pod hostname and cluster domain, {message}"


def hosts(of: Pod, *ips: str) -> list[str]:
    return hosts_file(of, ips, cluster_domain="cluster.local", node_hosts="127.0.0.1 node\n").split("\n")


LOOPBACK = [
    "# Kubernetes-managed hosts file.",
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "fe00::0\tip6-mcastprefix",
    "fe00::1\tip6-allnodes",
    "fe00::2\tip6-allrouters",
]
ALIASES = [{"ip": "1.2.3.4", "hostnames": ["foo", "bar"]}, {"ip": "1.2.3.5", "hostnames": ["baz"]}]
ALIAS_LINES = ["", "# Entries added by HostAliases.", "1.2.3.4\tfoo\tbar", "1.2.3.5\tbaz", ""]


def test_hosts_of_a_pod_on_its_own_network() -> None:
    assert hosts(named(), "10.0.0.7", "fd00::7") == [*LOOPBACK, "10.0.0.7\tweb-0", "fd00::7\tweb-0", ""]


def test_hosts_with_a_subdomain_name_the_pod_in_full() -> None:
    given = named(hostname="h", subdomain="db", hostAliases=ALIASES)
    assert hosts(given, "10.0.0.7") == [*LOOPBACK, "10.0.0.7\th.db.shop.svc.cluster.local\th", *ALIAS_LINES]


def test_an_overridden_hostname_is_all_that_hosts_names() -> None:
    given = named(subdomain="db", hostnameOverride="host.example")
    assert hosts(given, "10.0.0.7") == [*LOOPBACK, "10.0.0.7\thost.example", ""]


def test_hosts_on_the_nodes_network_are_the_nodes() -> None:
    expected = ["# Kubernetes-managed hosts file (host network).", "127.0.0.1 node", *ALIAS_LINES]
    assert hosts(named(hostNetwork=True, hostAliases=ALIASES), "10.0.0.7") == expected


def test_resolv_conf() -> None:
    text = """
    # comment
    nameserver 10.1.1.1
    nameserver\tfd00::1  extra
    nameserver
    search old.example
    search corp.example. lab.example
    options ndots:2 edns0
    sortlist 1.2.3.4
    """
    assert parse_resolv_conf(text) == Resolver(
        nameservers=("10.1.1.1", "fd00::1"), searches=("corp.example", "lab.example"), options=("ndots:2", "edns0")
    )


CONFIG = {
    "nameservers": ["9.9.9.9", "10.1.1.1"],
    "searches": ["corp.example", "own.example"],
    "options": [{"name": "ndots", "value": "5"}, {"name": "rotate"}],
}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, Resolver()),
        ({"dnsPolicy": "Default"}, Resolver()),
        ({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": True}, Resolver()),
        (
            {"dnsConfig": CONFIG},
            Resolver(
                nameservers=("10.1.1.1", "fd00::1", "9.9.9.9"),
                searches=("corp.example", "own.example"),
                options=("edns0", "ndots:5", "rotate"),
            ),
        ),
        (
            {"dnsConfig": {"searches": ["own.example"]}, "hostNetwork": True},
            Resolver(
                nameservers=("127.0.0.53", "::1", "10.1.1.1"),
                searches=("corp.example", "own.example"),
                options=("edns0", "ndots:2"),
            ),
        ),
        (
            {"dnsPolicy": "None", "dnsConfig": CONFIG},
            Resolver(
                nameservers=("9.9.9.9", "10.1.1.1"),
                searches=("corp.example", "own.example"),
                options=("ndots:5", "rotate"),
            ),
        ),
        (
            {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["9.9.9.9"]}},
            Resolver(nameservers=("9.9.9.9",)),
        ),
    ],
)
def test_resolver(spec: dict[str, Any], expected: Resolver) -> None:
    assert pod_resolver(named(**spec), DNS)[0] == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"dnsPolicy": "Default"}, Resolver()),
        ({"hostNetwork": True}, Resolver()),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["9.9.9.9"]}}, Resolver(nameservers=("9.9.9.9",))),
        ({}, Resolver(nameservers=CLUSTER.servers, searches=SUFFIXES, options=("ndots:5",))),
        (
            {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"},
            Resolver(nameservers=CLUSTER.servers, searches=SUFFIXES, options=("ndots:5",)),
        ),
        (
            {"dnsConfig": {"nameservers": ["fd00::a"], "searches": ["own.example"], "options": [{"name": "rotate"}]}},
            Resolver(nameservers=CLUSTER.servers, searches=(*SUFFIXES, "own.example"), options=("ndots:5", "rotate")),
        ),
        (
            {"dnsPolicy": "Default", "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]}},
            Resolver(nameservers=("10.1.1.1", "fd00::1"), searches=("corp.example",), options=("edns0", "ndots:1")),
        ),
    ],
)
def test_resolver_in_a_cluster_that_has_one(spec: dict[str, Any], expected: Resolver) -> None:
    assert pod_resolver(named(**spec), CLUSTER) == (expected, ())


@pytest.mark.parametrize(
    ("resolver", "text"),
    [
        (Resolver(), ""),
        (Resolver(searches=("a",), options=("rotate",)), ""),
        (Resolver(nameservers=("1.2.3.4", "fd00::1")), "nameserver 1.2.3.4\nnameserver fd00::1\n"),
        (
            Resolver(nameservers=("1.2.3.4",), searches=("a", "b.c"), options=("ndots:5", "rotate")),
            "search a b.c\nnameserver 1.2.3.4\noptions ndots:5 rotate\n",
        ),
    ],
)
def test_the_file_of_the_resolver(resolver: Resolver, text: str) -> None:
    assert resolv_conf(resolver) == text


def test_too_many_nameservers_are_cut_and_named() -> None:
    given = named(dnsConfig={"nameservers": ["9.9.9.9", "8.8.8.8"]})
    resolver, messages = pod_resolver(given, DNS)
    assert resolver.nameservers == ("10.1.1.1", "fd00::1", "9.9.9.9")
    assert messages == (
        "Nameserver limits were exceeded, some nameservers have been omitted, "
        "the applied nameserver line is: 10.1.1.1 fd00::1 9.9.9.9",
    )


@pytest.mark.parametrize(
    ("searches", "kept"),
    [
        ([f"s{n}" for n in range(40)], [f"s{n}" for n in range(32)]),
        (["a", "b" * 254, "c"], ["a", "c"]),
        ([str(n) * 250 for n in range(9)], [str(n) * 250 for n in range(8)]),
    ],
)
def test_too_much_to_search_is_cut_and_said(searches: list[str], kept: list[str]) -> None:
    given = named(dnsPolicy="None", dnsConfig={"nameservers": ["9.9.9.9"], "searches": searches})
    resolver, messages = pod_resolver(given, DNS)
    assert resolver.searches == tuple(kept)
    assert messages == (
        "Search Line limits were exceeded, some search paths have been omitted, "
        f"the applied search line is: {' '.join(kept)}",
    )


def test_what_is_within_the_limits_is_not_remarked_on() -> None:
    assert pod_resolver(named(dnsPolicy="None", dnsConfig=CONFIG), DNS)[1] == ()
