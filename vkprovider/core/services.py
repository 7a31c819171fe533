"""The variables by which a container finds the Services of its namespace, and always the API server.

Names and rules are those of pkg/kubelet/envvars/envvars.go and pkg/kubelet/kubelet_pods.go getServiceEnvVarMap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from vkprovider.model.pod import Pod

NOT_READ = "services have not yet been read at least once, cannot construct envvars"

_API_SERVER = ("default", "kubernetes")
_NO_ADDRESS = ("", "None")


class ServicePort(msgspec.Struct, frozen=True, kw_only=True):
    port: int
    name: str = ""
    protocol: str = "TCP"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A Service as containers are told of it: ``host`` is its address, or a name that stands for one."""

    namespace: str
    name: str
    host: str
    ports: tuple[ServicePort, ...]

    @property
    def is_api_server(self) -> bool:
        return (self.namespace, self.name) == _API_SERVER


def read_service(raw: Mapping[str, Any]) -> Service | None:
    """A v1.Service; None for one that has no address or no port of its own: headless ones, names of other hosts."""
    metadata, spec = raw["metadata"], raw.get("spec") or {}
    host, ports = spec.get("clusterIP") or "", spec.get("ports") or ()
    if host in _NO_ADDRESS or not ports:
        return None
    return Service(
        namespace=metadata["namespace"],
        name=metadata["name"],
        host=host,
        ports=tuple(
            ServicePort(port=port["port"], name=port.get("name") or "", protocol=port.get("protocol") or "TCP")
            for port in ports
        ),
    )


def api_server_at(host: str, port: int) -> Service:
    """The Service ``kubernetes`` of a cluster whose API server the containers reach at that address."""
    namespace, name = _API_SERVER
    return Service(namespace=namespace, name=name, host=host, ports=(ServicePort(port=port, name="https"),))


def service_variables(pod: Pod, services: Iterable[Service]) -> dict[str, str]:
    """What the containers of a pod are told. ``enableServiceLinks: false`` leaves them the API server alone."""
    own = pod.metadata.namespace if pod.spec.enable_service_links else None
    told = {service.name: service for service in services if service.namespace == own or service.is_api_server}
    return {name: value for service in told.values() for name, value in _variables(service)}


def _variables(service: Service) -> Iterator[tuple[str, str]]:
    prefix, first = _spelt(service.name), service.ports[0]
    yield f"{prefix}_SERVICE_HOST", service.host
    yield f"{prefix}_SERVICE_PORT", str(first.port)
    yield from ((f"{prefix}_SERVICE_PORT_{_spelt(p.name)}", str(p.port)) for p in service.ports if p.name)
    yield f"{prefix}_PORT", _url(service, first)
    for port in service.ports:
        link = f"{prefix}_PORT_{port.port}_{port.protocol.upper()}"
        yield link, _url(service, port)
        yield f"{link}_PROTO", port.protocol.lower()
        yield f"{link}_PORT", str(port.port)
        yield f"{link}_ADDR", service.host


def _spelt(name: str) -> str:
    return name.upper().replace("-", "_")


def _url(service: Service, port: ServicePort) -> str:
    host = f"[{service.host}]" if ":" in service.host else service.host
    return f"{port.protocol.lower()}://{host}:{port.port}"
