from __future__ import annotations

import asyncio
import contextlib
import io
import json
import tarfile
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import docker
import pytest
import yaml
from aiohttp import web

from tests.engine.busybox_image import load_image
from tests.engine.scripted_engine import ScriptedEngine
from vkprovider.engine.endpoint import find_endpoint
from vkprovider.engine.kind_clusters import (
    ADMIN_CONF,
    CLUSTER_LABEL,
    ROLE_LABEL,
    Address,
    KindError,
    choose,
    find_kind_cluster,
    reachable_at,
    read_admin_conf,
    read_node,
    redirected,
    server_of,
)

ADMIN = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [
        {"name": "kind", "cluster": {"server": "https://kind-control-plane:6443", "certificate-authority-data": "Q0E="}}
    ],
    "contexts": [{"name": "kubernetes-admin@kind", "context": {"cluster": "kind", "user": "kubernetes-admin"}}],
    "current-context": "kubernetes-admin@kind",
    "users": [{"name": "kubernetes-admin", "user": {"client-certificate-data": "QQ==", "client-key-data": "Qg=="}}],
}


def listed(name: str, cluster: str = "kind", state: str = "running") -> dict[str, Any]:
    return {"Id": f"id-{name}", "Names": [f"/{name}"], "Labels": {CLUSTER_LABEL: cluster}, "State": state}


def inspected(networks: dict[str, dict[str, str]], ports: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "Id": "id-kind-control-plane",
        "Name": "/kind-control-plane",
        "Config": {"Labels": {CLUSTER_LABEL: "kind", ROLE_LABEL: "control-plane"}},
        "NetworkSettings": {"Networks": networks, "Ports": ports},
    }


def place(address: str = "172.18.0.2", gateway: str = "172.18.0.1") -> dict[str, str]:
    return {"IPAddress": address, "Gateway": gateway, "GlobalIPv6Address": "", "IPv6Gateway": ""}


def tar_of_a_directory() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("admin.conf")
        entry.type = tarfile.DIRTYPE
        archive.addfile(entry)
    return buffer.getvalue()


def tar_of(content: bytes, name: str = "admin.conf") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


# --- which cluster ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("containers", "name", "chosen"),
    [
        ([listed("kind-control-plane")], "", "id-kind-control-plane"),
        ([listed("kind-control-plane")], "kind", "id-kind-control-plane"),
        ([listed("a", "a"), listed("b", "b")], "b", "id-b"),
        ([listed("kind-control-plane2"), listed("kind-control-plane")], "", "id-kind-control-plane"),
        ([listed("kind-control-plane", state="exited"), listed("kind-control-plane2")], "", "id-kind-control-plane2"),
    ],
)
def test_the_cluster_that_was_meant(containers: list[dict[str, Any]], name: str, chosen: str) -> None:
    assert choose(containers, name) == chosen


@pytest.mark.parametrize(
    ("containers", "name", "message"),
    [
        ([], "", "there is no kind cluster on this Docker engine: create one with: kind create cluster"),
        ([], "dev", "there is no kind cluster on this Docker engine: create one with: kind create cluster"),
        ([listed("a", "a")], "dev", "there is no kind cluster dev on this Docker engine; there is a"),
        (
            [listed("b", "b"), listed("a", "a")],
            "",
            "there are several kind clusters on this Docker engine, choose one: --kind a|b",
        ),
        (
            [listed("kind-control-plane", state="exited")],
            "",
            "kind cluster kind is not running: start it with: docker start kind-control-plane",
        ),
    ],
)
def test_why_no_cluster_can_be_chosen(containers: list[dict[str, Any]], name: str, message: str) -> None:
    with pytest.raises(KindError) as raised:
        choose(containers, name)
    assert str(raised.value) == message


# --- where it is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("networks", "network", "address"),
    [
        ({"kind": place()}, "kind", "172.18.0.2"),
        ({"mine": place("10.1.0.2")}, "mine", "10.1.0.2"),
        ({"mine": place("10.1.0.2"), "kind": place()}, "kind", "172.18.0.2"),
        ({"kind": place("", "") | {"GlobalIPv6Address": "fc00::2", "IPv6Gateway": "fc00::1"}}, "kind", "fc00::2"),
    ],
)
def test_the_network_that_pods_are_to_join(networks: dict[str, dict[str, str]], network: str, address: str) -> None:
    node = read_node(inspected(networks), "kind")
    assert (node.cluster, node.container, node.network, node.address) == (
        "kind",
        "kind-control-plane",
        network,
        address,
    )


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        (
            {"b": place(), "a": place()},
            "kind-control-plane is in the networks a, b, and none of them is kind",
        ),
        ({}, "kind-control-plane is in the networks , and none of them is kind"),
        ({"host": place("", "")}, "kind-control-plane has no address in the network host"),
    ],
)
def test_why_there_is_no_network(networks: dict[str, dict[str, str]], message: str) -> None:
    with pytest.raises(KindError) as raised:
        read_node(inspected(networks), "kind")
    assert str(raised.value) == message


def test_the_api_server_is_tried_in_the_network_and_then_where_it_is_published() -> None:
    ports = {"6443/tcp": [{"HostIp": "0.0.0.0", "HostPort": "33001"}, {"HostIp": "::1", "HostPort": "33002"}]}
    node = read_node(inspected({"kind": place()}, ports), "kind")
    assert reachable_at(node, 6443) == (
        Address("172.18.0.2", 6443),
        Address("127.0.0.1", 33001),
        Address("::1", 33002),
    )
    assert reachable_at(node, 8443) == (Address("172.18.0.2", 8443),)


# --- its kubeconfig ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [yaml.safe_dump(ADMIN), json.dumps(ADMIN)])
def test_the_kubeconfig_is_read_from_the_archive(written: str) -> None:
    assert read_admin_conf(tar_of(written.encode()), "plane") == ADMIN


@pytest.mark.parametrize(
    "archive",
    [
        b"",
        b"no tar",
        tar_of(b""),
        tar_of(b"- a\n- b\n"),
        tar_of(b"a: ["),
        tar_of(b"\xff\xfe\xff"),
        tar_of(b"kind: x"),
        tar_of_a_directory(),
    ],
)
def test_something_else_than_a_kubeconfig(archive: bytes) -> None:
    with pytest.raises(KindError, match=r"^/etc/kubernetes/admin.conf in plane is not a kubeconfig$"):
        read_admin_conf(archive, "plane")


@pytest.mark.parametrize(
    ("to", "server"),
    [(Address("172.18.0.2", 6443), "https://172.18.0.2:6443"), (Address("fc00::2", 6443), "https://[fc00::2]:6443")],
)
def test_the_api_server_keeps_the_name_of_its_certificate(to: Address, server: str) -> None:
    config = redirected(ADMIN, to)
    assert config["clusters"][0]["cluster"] == {
        "server": server,
        "tls-server-name": "kind-control-plane",
        "certificate-authority-data": "Q0E=",
    }
    assert {key: config[key] for key in ("users", "contexts")} == {key: ADMIN[key] for key in ("users", "contexts")}
    assert server_of(config) == to


# --- asking -----------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[int]:
    """Something that takes connections on loopback; its port."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def script(engine: ScriptedEngine, port: int, address: str = "127.0.0.1", ports: Any = None) -> None:
    """One cluster, whose API server has this address and port."""

    async def archive(_: web.Request) -> web.Response:
        config = redirected(ADMIN, Address("kind-control-plane", port))
        return web.Response(body=tar_of(yaml.safe_dump(config).encode()), content_type="application/x-tar")

    engine.answers |= {
        "GET /containers/json": [listed("kind-control-plane")],
        "GET /containers/id-kind-control-plane/json": inspected({"kind": place(address)}, ports),
        "GET /containers/id-kind-control-plane/archive": archive,
    }


async def test_a_cluster_is_found_by_its_labels(scripted: ScriptedEngine) -> None:
    async with listening() as port:
        script(scripted, port)
        found = await find_kind_cluster(base_url=scripted.url)
    assert (found.name, found.container, found.network) == ("kind", "kind-control-plane", "kind")
    assert (found.address, found.host_ip) == ("127.0.0.1", "127.0.0.1")
    cluster = json.loads(found.kubeconfig)["clusters"][0]["cluster"]
    assert (cluster["server"], cluster["tls-server-name"]) == (f"https://127.0.0.1:{port}", "kind-control-plane")
    listing = next(asked for asked in scripted.asked if asked.path == "/containers/json")
    assert json.loads(listing.query["filters"]) == {
        "label": ["io.x-k8s.kind.cluster", "io.x-k8s.kind.role=control-plane"]
    }
    archive = next(asked for asked in scripted.asked if asked.path.endswith("/archive"))
    assert archive.query == {"path": ADMIN_CONF}


async def test_a_published_port_will_do_where_the_network_is_out_of_reach(scripted: ScriptedEngine) -> None:
    async with listening() as port:
        ports = {f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
        script(scripted, port, "127.0.0.2", ports)  # where nobody listens
        found = await find_kind_cluster(base_url=scripted.url)
    assert json.loads(found.kubeconfig)["clusters"][0]["cluster"]["server"] == f"https://127.0.0.1:{port}"
    assert found.host_ip == "172.18.0.1"


async def test_an_api_server_out_of_reach(scripted: ScriptedEngine) -> None:
    async with listening() as port:
        pass
    script(scripted, port, "127.0.0.2", {f"{port}/tcp": [{"HostIp": "", "HostPort": str(port)}]})
    with pytest.raises(KindError) as raised:
        await find_kind_cluster(base_url=scripted.url)
    assert str(raised.value) == (
        f"the API server of kind cluster kind cannot be reached from here; tried 127.0.0.2:{port} and 127.0.0.1:{port}"
    )


async def test_a_cluster_that_is_not_ready_yet(scripted: ScriptedEngine) -> None:
    script(scripted, 6443)
    del scripted.answers["GET /containers/id-kind-control-plane/archive"]
    with pytest.raises(KindError, match=r"^the control plane has no /etc/kubernetes/admin.conf yet: wait until"):
        await find_kind_cluster(base_url=scripted.url)


# --- a stand-in for kind ----------------------------------------------------------------------------------------


class StandIn:
    """A container with kind's labels, its kubeconfig and something that listens on the API server's port."""

    def __init__(self, client: docker.APIClient) -> None:
        self.name = f"vkprovider-kind-{uuid.uuid4().hex[:8]}"
        self.image = f"{self.name}:test"
        self._client = client

    def start(self) -> None:
        load_image(self._client, self.image)
        self._client.create_network(self.name, driver="bridge", internal=True)
        networking = self._client.create_networking_config({self.name: self._client.create_endpoint_config()})
        self._client.create_container(
            self.image,
            ["httpd", "-f", "-p", "6443"],
            name=f"{self.name}-control-plane",
            labels={CLUSTER_LABEL: self.name, ROLE_LABEL: "control-plane"},
            networking_config=networking,
        )
        config = tar_of(yaml.safe_dump(ADMIN).encode(), "kubernetes/admin.conf")
        assert self._client.put_archive(f"{self.name}-control-plane", "/etc", config)
        self._client.start(f"{self.name}-control-plane")

    def remove(self) -> None:
        for remove in (
            lambda: self._client.remove_container(f"{self.name}-control-plane", force=True, v=True),
            lambda: self._client.remove_network(self.name),
            lambda: self._client.remove_image(self.image, force=True),
        ):
            with contextlib.suppress(docker.errors.NotFound):
                remove()

    @property
    def gateway(self) -> str:
        return str(self._client.inspect_network(self.name)["IPAM"]["Config"][0]["Gateway"])


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with contextlib.closing(find_endpoint().client()) as client:
        stand_in = StandIn(client)
        try:
            stand_in.start()
            yield stand_in
        finally:
            stand_in.remove()


async def reached(name: str) -> Any:
    """The cluster, once its server listens."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await find_kind_cluster(name)
            except KindError as exc:
                if "cannot be reached" not in str(exc):
                    raise


@pytest.mark.docker
async def test_a_stand_in_is_found_and_reached(stand_in: StandIn) -> None:
    found = await reached(stand_in.name)
    assert (found.name, found.network) == (stand_in.name, stand_in.name)
    assert found.host_ip == stand_in.gateway
    cluster = json.loads(found.kubeconfig)["clusters"][0]["cluster"]
    assert cluster["server"] == f"https://{found.address}:6443"
    assert cluster["tls-server-name"] == "kind-control-plane"
