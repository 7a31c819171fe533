"""Where pods are told that the API server is, and who resolves names for them."""

from __future__ import annotations

import pytest

from vkprovider.config import ConfigError
from vkprovider.core.services import Service, api_server_at
from vkprovider.kube.node.pod_network import PodNetwork, api_server_of, load_pod_network


@pytest.mark.parametrize(
    ("url", "service"),
    [
        ("https://172.18.0.2:6443", api_server_at("172.18.0.2", 6443)),
        ("https://api.example.com", api_server_at("api.example.com", 443)),
        ("https://[fd00::1]:6443/", api_server_at("fd00::1", 6443)),
        ("https://127.0.0.1:34567", None),
        ("https://localhost:6443", None),
        ("https://[::1]:6443", None),
        ("https://proxy.example.com/clusters/a", None),
        ("http://10.0.0.1:8080", None),
    ],
)
def test_pods_reach_the_api_server_where_the_node_does(url: str, service: Service | None) -> None:
    assert api_server_of(url) == service


@pytest.mark.parametrize(
    ("given", "service"),
    [
        ("", None),
        ("10.0.0.1", api_server_at("10.0.0.1", 443)),
        ("10.0.0.1:6443", api_server_at("10.0.0.1", 6443)),
        ("api.example.com:6443", api_server_at("api.example.com", 6443)),
        ("fd00::1", api_server_at("fd00::1", 443)),
        ("[fd00::1]:6443", api_server_at("fd00::1", 6443)),
    ],
)
def test_service_host(given: str, service: Service | None) -> None:
    assert load_pod_network(given, "", "") == PodNetwork(api_server=service)


def test_cluster_dns_and_domain() -> None:
    network = load_pod_network("", "10.96.0.10, fd00::a", "k8s.example")
    assert (network.cluster_dns, network.cluster_domain) == (("10.96.0.10", "fd00::a"), "k8s.example")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("https://a.example", "", ""), "--service-host: 'https://a.example' is not HOST or HOST:PORT"),
        (("a:b", "", ""), "--service-host: 'a:b' is not HOST or HOST:PORT"),
        ((":6443", "", ""), "--service-host: ':6443' is not HOST or HOST:PORT"),
        (("", "coredns", ""), "--cluster-dns: 'coredns' is not an IP address"),
        (("", "", "Not A Domain"), "--cluster-domain: 'Not A Domain': "),
    ],
)
def test_what_cannot_be_meant_is_said(given: tuple[str, str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_pod_network(*given)
    assert str(caught.value).startswith(message)
