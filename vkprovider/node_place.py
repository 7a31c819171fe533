"""Where a node is: the cluster that it joins, its pods' network, and a directory of its own."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import msgspec

from vkprovider.config import ConfigError
from vkprovider.core.services import Service, api_server_at
from vkprovider.engine.kind_clusters import find_kind_cluster
from vkprovider.kube.client import ApiClient
from vkprovider.kube.joining import Membership, join
from vkprovider.kube.machine import address_towards
from vkprovider.kube.node_settings import NodeSettings
from vkprovider.kube.pod_network import api_server_of
from vkprovider.ports import WaitingClock

NODES = "nodes"  # in the state directory


class Place:
    """A node's place, for as long as the context lasts. ``settings`` are complete: they have an ``internal_ip``.

    ``network`` is the engine's network that pods are attached to, "" for its default one; ``api_server`` is where they
    find the API server, None where that is only known to the cluster's own Service.
    """

    def __init__(
        self,
        settings: NodeSettings,
        member: Membership,
        network: str,
        api_server: Service | None,
        directory: LockedDirectory,
    ) -> None:
        self.settings = settings
        self.member = member
        self.network = network
        self.api_server = api_server
        self.directory = directory.path
        self._locked = directory

    @property
    def api(self) -> ApiClient:
        return self.member.api

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.member.aclose()
        self._locked.release()


class LockedDirectory:
    """A node's directory, held by this process until ``release`` or its death. Raises ConfigError if it is held."""

    def __init__(self, path: Path, node: str) -> None:
        self.path = path
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


async def find_place(settings: NodeSettings, state_dir: Path, environ: Mapping[str, str], clock: WaitingClock) -> Place:
    """Take the node's directory and join its cluster; as long as that takes. Raises VkError and OSError."""
    directory = await asyncio.to_thread(LockedDirectory, state_dir / NODES / settings.name, settings.name)
    member: Membership | None = None
    try:
        network, address, api_server = "", settings.internal_ip, settings.pod_network.api_server
        if settings.kind is not None:
            wanted = environ.get("KIND_EXPERIMENTAL_DOCKER_NETWORK", "kind")
            cluster = await find_kind_cluster(settings.kind, wanted)
            kubeconfig, network = str(directory.path / "kubeconfig.json"), cluster.network
            address = address or cluster.host_ip
            api_server = api_server or api_server_at(cluster.address, cluster.port)
            await asyncio.to_thread(_write_secret, kubeconfig, cluster.kubeconfig)
            settings = msgspec.structs.replace(settings, kubeconfig=kubeconfig)
        member, settings = await join(settings, directory.path / "pki", clock)
        url = await member.api.server()
        api_server = api_server or api_server_of(url)
        if not address:
            server = urlsplit(url)
            address = await address_towards(server.hostname or "", server.port or 443)
    except BaseException:
        if member is not None:
            await member.aclose()
        directory.release()
        raise
    return Place(msgspec.structs.replace(settings, internal_ip=address), member, network, api_server, directory)


def _write_secret(path: str, content: str) -> None:
    """A file that only this user can read."""
    with open(path, "w", encoding="utf-8", opener=partial(os.open, mode=0o600)) as file:
        file.write(content)
