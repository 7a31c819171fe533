"""Where a node is: the cluster that it joins, its pods' network, and a directory and a port of its own."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec
import structlog

from vkprovider.config import ConfigError
from vkprovider.core.services import Service, api_server_at
from vkprovider.engine.kind_clusters import find_kind_cluster
from vkprovider.kube.client import Answered
from vkprovider.kube.node.joining import Membership, join
from vkprovider.kube.node.machine import address_towards
from vkprovider.kube.node.pod_network import api_server_of
from vkprovider.kube.node.settings import NodeSettings
from vkprovider.kube.secret_files import write_secret
from vkprovider.node.state_directory import state_kept_in
from vkprovider.ports import WaitingClock
from vkprovider.server.serving import listen

NODES = "nodes"  # in the state directory
log = structlog.get_logger()


class Place(NamedTuple):
    """A node's place, for as long as the context lasts. ``settings`` have an ``internal_ip``, and the port that is had.

    ``network`` is the engine's network that pods are attached to, "" for its default one; ``api_server`` is where they
    find the API server, None where that is only known to the cluster's own Service.
    """

    settings: NodeSettings
    member: Membership
    network: str
    api_server: Service | None
    locked: LockedDirectory
    listener: socket.socket  # of the port: from the start, so that it can be registered

    @property
    def directory(self) -> Path:
        return self.locked.path

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.listener.close()
        await self.member.aclose()
        self.locked.release()


class LockedDirectory:
    """A node's directory, held by this process until ``release`` or its death. Raises ConfigError if it is held."""

    def __init__(self, path: Path, node: str) -> None:
        self.path = path
        with state_kept_in(path):
            path.mkdir(parents=True, exist_ok=True, mode=0o711)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._lock, 20).decode().strip()
            os.close(self._lock)
            raise ConfigError(
                f"node {node} is run by another vkprovider already (process {holder or 'unknown'}): "
                "stop that one, or give this one another --nodename"
            ) from None
        os.ftruncate(self._lock, 0)
        os.write(self._lock, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        os.close(self._lock)


async def find_place(
    settings: NodeSettings,
    state_dir: Path,
    environ: Mapping[str, str],
    clock: WaitingClock,
    answered: Answered | None = None,
) -> Place:
    """Take the node's directory, join its cluster and listen; as long as that takes. Raises VkError and OSError.

    ``answered`` is told of every request to the API server.
    """
    locked = await asyncio.to_thread(LockedDirectory, state_dir / NODES / settings.name, settings.name)
    member: Membership | None = None
    try:
        network, api_server = "", settings.pod_network.api_server
        if settings.kind is not None:
            wanted = environ.get("KIND_EXPERIMENTAL_DOCKER_NETWORK", "kind")
            cluster = await find_kind_cluster(settings.kind, wanted)
            kubeconfig, network = locked.path / "kubeconfig.json", cluster.network
            api_server = api_server or api_server_at(cluster.address, cluster.port)
            await asyncio.to_thread(write_secret, kubeconfig, cluster.kubeconfig.encode())
            address = settings.internal_ip or cluster.host_ip
            settings = msgspec.structs.replace(settings, kubeconfig=str(kubeconfig), internal_ip=address)
        member, settings = await join(settings, locked.path / "pki", clock, answered)
        url = await member.api.server()
        address = settings.internal_ip or await address_towards(url)
        listener = listen(settings.port)
    except BaseException:
        if member is not None:
            await member.aclose()
        locked.release()
        raise
    settings = msgspec.structs.replace(settings, internal_ip=address, port=listener.getsockname()[1])
    return Place(settings, member, network, api_server or _api_server_for_pods(url), locked, listener)


def _api_server_for_pods(url: str) -> Service | None:
    found = api_server_of(url)
    if found is None:
        log.warning(
            "pods are told the cluster's own address of the API server, since they cannot reach it where this node "
            "does: --service-host says where they can",
            server=url,
        )
    return found
