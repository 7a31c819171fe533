"""kind clusters on this engine: how to reach one's API server from here, and from where its nodes reach us.

A kind node is a container that bears kind's labels and has kubeadm's files inside
(sigs.k8s.io/kind pkg/cluster/internal/providers/docker, pkg/cluster/constants). The API server's certificate is for
the name that is in the kubeconfig, not for the address it is reached at.
"""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import yaml

from vkprovider.engine.endpoint import Endpoint, find_endpoint
from vkprovider.engine.streaming import Streaming
from vkprovider.engine.unary import Unary
from vkprovider.errors import EngineNotFound, VkError

CLUSTER_LABEL = "io.x-k8s.kind.cluster"
ROLE_LABEL = "io.x-k8s.kind.role"
CONTROL_PLANE = "control-plane"
NETWORK = "kind"
ADMIN_CONF = "/etc/kubernetes/admin.conf"

CALL_SECONDS = 30.0
CONNECT_SECONDS = 2.0

Json = Mapping[str, Any]


class KindError(VkError):
    """There is no such kind cluster, or it cannot be used as it is. The message says what to do."""

    reason = "KindCluster"


class KindCluster(msgspec.Struct, frozen=True, kw_only=True):
    """A running cluster. ``kubeconfig`` is the administrator's, as JSON, for use from here.

    ``host_ip`` is this machine as the cluster's nodes and API server reach it: its address in ``network``.
    """

    name: str
    container: str  # the name of the control plane that was asked
    network: str
    address: str  # of that control plane, in the network
    port: int  # of its API server, there
    host_ip: str
    kubeconfig: str


class Address(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class _Node(NamedTuple):
    """What the inspection of a control plane's container shows."""

    cluster: str
    container: str
    network: str
    address: str
    gateway: str
    ports: Json


async def find_kind_cluster(name: str = "", network: str = NETWORK, base_url: str = "") -> KindCluster:
    """The cluster ``name``, or without a name the only one there is.

    ``network`` is the one to take where a control plane is in several; ``base_url`` as for DockerEngine.
    Raises KindError, EngineError.
    """
    endpoint = find_endpoint(base_url)
    unary = Unary(endpoint, threads=1, timeout=CALL_SECONDS)
    try:
        container = choose(await _control_planes(unary), name)
        node = read_node(await unary.call("GET", f"/containers/{container}/json"), network)
        admin_conf = read_admin_conf(await _archive(endpoint, unary, container), node.container)
    finally:
        await unary.close()
    candidates = reachable_at(node, server_of(admin_conf).port)
    for address in candidates:
        own_address = await _own_address_towards(address)
        if own_address:
            return KindCluster(
                name=node.cluster,
                container=node.container,
                network=node.network,
                address=node.address,
                port=server_of(admin_conf).port,
                host_ip=own_address if address.host == node.address else node.gateway,
                kubeconfig=msgspec.json.encode(redirected(admin_conf, address)).decode(),
            )
    tried = " and ".join(str(address) for address in candidates)
    raise KindError(f"the API server of kind cluster {node.cluster} cannot be reached from here; tried {tried}")


# --- from the engine's answers. Pure ----------------------------------------------------------------------------


def choose(containers: Sequence[Json], name: str) -> str:
    """The ID of a running control plane, from the answer to ``GET /containers/json``. Raises KindError."""
    names = sorted({container["Labels"][CLUSTER_LABEL] for container in containers})
    if not names:
        raise KindError("there is no kind cluster on this Docker engine: create one with: kind create cluster")
    if not name and len(names) > 1:
        raise KindError(f"there are several kind clusters on this Docker engine, choose one: --kind {'|'.join(names)}")
    name = name or names[0]
    if name not in names:
        raise KindError(f"there is no kind cluster {name} on this Docker engine; there is {', '.join(names)}")
    planes = [container for container in containers if container["Labels"][CLUSTER_LABEL] == name]
    running = [container for container in planes if container["State"] == "running"]
    if not running:
        stopped = " ".join(sorted(container["Names"][0].lstrip("/") for container in planes))
        raise KindError(f"kind cluster {name} is not running: start it with: docker start {stopped}")
    return str(min(running, key=lambda container: container["Names"])["Id"])


def read_node(inspected: Json, preferred: str) -> _Node:
    """From the answer to ``GET /containers/{id}/json``. Raises KindError."""
    cluster, container = inspected["Config"]["Labels"][CLUSTER_LABEL], inspected["Name"].lstrip("/")
    networks: Json = inspected["NetworkSettings"]["Networks"]
    if preferred not in networks and len(networks) != 1:
        raise KindError(
            f"{container} is in the networks {', '.join(sorted(networks))}, and none of them is {preferred}"
        )
    network = preferred if preferred in networks else next(iter(networks))
    place = networks[network]
    address = place["IPAddress"] or place.get("GlobalIPv6Address")
    if not address:
        raise KindError(f"{container} has no address in the network {network}")
    gateway = place["Gateway"] or place.get("IPv6Gateway") or ""
    ports: Json = inspected["NetworkSettings"].get("Ports") or {}
    return _Node(cluster, container, network, address, gateway, ports)


def read_admin_conf(archive: bytes, container: str) -> dict[str, Any]:
    """The kubeconfig in the tar that ``GET /containers/{id}/archive`` gives. Raises KindError."""
    with suppress(tarfile.TarError, yaml.YAMLError, UnicodeDecodeError):
        config = yaml.safe_load(_only_file(archive).decode())
        if isinstance(config, dict) and config.get("clusters"):
            return config
    raise KindError(f"{ADMIN_CONF} in {container} is not a kubeconfig")


def server_of(config: Json) -> Address:
    """Where the kubeconfig's first cluster has its API server."""
    url = urlsplit(config["clusters"][0]["cluster"]["server"])
    return Address(url.hostname or "", url.port or 443)


def reachable_at(node: _Node, port: int) -> tuple[Address, ...]:
    """Where this machine may reach the API server: in the network, or if that is not routed to here, published."""
    bindings = node.ports.get(f"{port}/tcp") or ()
    published = (Address(_host(binding["HostIp"]), int(binding["HostPort"])) for binding in bindings)
    return (Address(node.address, port), *published)


def redirected(config: Json, to: Address) -> dict[str, Any]:
    """The kubeconfig with its API server at another address, and still with the certificate of its name."""
    server = server_of(config)
    clusters = [
        {**entry, "cluster": {**entry["cluster"], "server": f"https://{to}", "tls-server-name": server.host}}
        for entry in config["clusters"]
    ]
    return {**config, "clusters": clusters}


def _only_file(archive: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None:
                return content.read()
    return b""


def _host(published: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(published, published)


# --- asking -----------------------------------------------------------------------------------------------------


async def _control_planes(unary: Unary) -> list[Json]:
    filters = {"label": [CLUSTER_LABEL, f"{ROLE_LABEL}={CONTROL_PLANE}"]}
    found: list[Json] = await unary.call(
        "GET", "/containers/json", params={"all": 1, "filters": msgspec.json.encode(filters).decode()}
    )
    return found


async def _archive(endpoint: Endpoint, unary: Unary, container: str) -> bytes:
    streaming = Streaming(endpoint, unary)
    try:
        async with streaming.open("GET", f"/containers/{container}/archive", params={"path": ADMIN_CONF}) as content:
            return await content.read()
    except EngineNotFound as exc:
        raise KindError(f"the control plane has no {ADMIN_CONF} yet: wait until kind has created the cluster") from exc
    finally:
        await streaming.close()


async def _own_address_towards(address: Address) -> str:
    """This machine's end of a connection to ``address``, "" if none comes about."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(*address)
    except OSError:  # a TimeoutError is one
        return ""
    own: str = writer.get_extra_info("sockname")[0]
    writer.close()
    return own
