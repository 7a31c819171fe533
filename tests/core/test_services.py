"""The variables by which containers find Services."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.given import container, pod
from vkprovider.core.services import Service, ServicePort, api_server_at, read_service, service_variables

APP = container("app")
DB = Service(
    namespace="default",
    name="my-db",
    host="10.0.0.5",
    ports=(ServicePort(port=5432, name="sql-wire"), ServicePort(port=53, name="dns", protocol="UDP")),
)
ELSEWHERE = Service(namespace="other", name="web", host="10.0.0.6", ports=(ServicePort(port=80),))
API = api_server_at("172.18.0.2", 6443)
OF_API = {
    "KUBERNETES_SERVICE_HOST": "172.18.0.2",
    "KUBERNETES_SERVICE_PORT": "6443",
    "KUBERNETES_SERVICE_PORT_HTTPS": "6443",
    "KUBERNETES_PORT": "tcp://172.18.0.2:6443",
    "KUBERNETES_PORT_6443_TCP": "tcp://172.18.0.2:6443",
    "KUBERNETES_PORT_6443_TCP_PROTO": "tcp",
    "KUBERNETES_PORT_6443_TCP_PORT": "6443",
    "KUBERNETES_PORT_6443_TCP_ADDR": "172.18.0.2",
}
OF_DB = {
    "MY_DB_SERVICE_HOST": "10.0.0.5",
    "MY_DB_SERVICE_PORT": "5432",
    "MY_DB_SERVICE_PORT_SQL_WIRE": "5432",
    "MY_DB_SERVICE_PORT_DNS": "53",
    "MY_DB_PORT": "tcp://10.0.0.5:5432",
    "MY_DB_PORT_5432_TCP": "tcp://10.0.0.5:5432",
    "MY_DB_PORT_5432_TCP_PROTO": "tcp",
    "MY_DB_PORT_5432_TCP_PORT": "5432",
    "MY_DB_PORT_5432_TCP_ADDR": "10.0.0.5",
    "MY_DB_PORT_53_UDP": "udp://10.0.0.5:53",
    "MY_DB_PORT_53_UDP_PROTO": "udp",
    "MY_DB_PORT_53_UDP_PORT": "53",
    "MY_DB_PORT_53_UDP_ADDR": "10.0.0.5",
}


@pytest.mark.parametrize(
    ("spec", "expected"), [({}, OF_API | OF_DB), ({"enableServiceLinks": False}, OF_API)], ids=["links", "none"]
)
def test_services_of_the_pods_namespace_and_always_the_api_server(spec: dict[str, Any], expected: Any) -> None:
    assert service_variables(pod(APP, **spec), (API, DB, ELSEWHERE)) == expected


def test_an_ipv6_address_stands_in_brackets_in_urls_alone() -> None:
    told = service_variables(pod(APP), (api_server_at("fd00::1", 443),))
    assert (told["KUBERNETES_SERVICE_HOST"], told["KUBERNETES_PORT"]) == ("fd00::1", "tcp://[fd00::1]:443")


def raw(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "default", "name": "my-db"}, "spec": spec}


def test_a_service_is_read() -> None:
    ports = [{"port": 5432, "name": "sql-wire", "protocol": "TCP"}, {"port": 53, "name": "dns", "protocol": "UDP"}]
    assert read_service(raw(clusterIP="10.0.0.5", ports=ports)) == DB


@pytest.mark.parametrize(
    "spec",
    [
        {"clusterIP": "None", "ports": [{"port": 1}]},
        {"type": "ExternalName", "externalName": "a.example", "ports": [{"port": 1}]},
        {"clusterIP": "10.0.0.5"},
    ],
)
def test_services_without_an_address_or_a_port_are_passed_over(spec: dict[str, Any]) -> None:
    assert read_service(raw(**spec)) is None
