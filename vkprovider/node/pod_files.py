"""What a pod has on disk and in engine volumes: the plans of ``core`` carried out by the volume writer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from vkprovider.core.env_files import Contents, needed_files
from vkprovider.core.faults import Fault
from vkprovider.core.image_volumes import image_paths
from vkprovider.core.mounts import HOSTS, RESOLV_CONF, plan_mounts, sandbox_mounts, termination_log
from vkprovider.core.network_files import Dns, hosts_file, pod_resolver, resolv_conf
from vkprovider.core.projections import Fetched, NodeShare, without_backsteps
from vkprovider.core.volumes import needed_objects, plan_volumes
from vkprovider.model.container import Container
from vkprovider.model.create import Mount
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ObjectRef, PodUID
from vkprovider.node.container_files import read_termination_message
from vkprovider.node.log_dirs import LogDirs
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.secret_memory import close_memory
from vkprovider.node.volume_writer import VolumeWriter

NODE_HOSTS = "/etc/hosts"
NODES_RESOLVER = Dns()
NO_PROFILES = Path("/nonexistent")


class PodFiles:
    """``share`` says what of the node shows in volumes, as it is now; whether this process may give files away is seen
    here. ``profiles`` is where pods' own seccomp profiles are.
    """

    def __init__(
        self,
        dirs: PodDirs,
        writer: VolumeWriter,
        share: Callable[[], NodeShare],
        *,
        dns: Dns = NODES_RESOLVER,
        profiles: Path = NO_PROFILES,
    ) -> None:
        self.logs = LogDirs(dirs)
        self._dirs = dirs
        self._writer = writer
        self._share = share
        self._dns = dns
        self._profiles = profiles

    def needed(self, pod: Pod) -> frozenset[ObjectRef]:
        """The objects the pod's volumes are made from."""
        return needed_objects(pod)

    async def prepare(self, pod: Pod, fetched: Fetched) -> tuple[str, ...]:
        """Make the pod's volumes, or bring them up to date; a message for each that failed."""
        share = msgspec.structs.replace(self._share(), may_chown=os.geteuid() == 0)
        try:
            return await self._writer.write(plan_volumes(pod, fetched, self._dirs.of(pod.uid), share))
        except OSError as exc:
            return (f"error making pod data directories: {exc}",)

    def sandbox_mounts(self, pod: Pod) -> tuple[Mount, ...]:
        return sandbox_mounts(pod)

    async def container_mounts(
        self,
        pod: Pod,
        container: Container,
        attempt: int,
        env: Mapping[str, str],
        ips: tuple[str, ...],
        images: Mapping[str, str] | None = None,
    ) -> tuple[Mount, ...]:
        """The mounts of one container instance, its files made. ``images`` are the IDs of those that it has as volumes,
        by the volumes' names. Raises Fault.
        """
        try:
            node_hosts = await asyncio.to_thread(_read, NODE_HOSTS) if pod.spec.host_network else ""
            etc = {HOSTS: hosts_file(pod, ips, cluster_domain=self._dns.domain, node_hosts=node_hosts)}
            resolver = resolv_conf(pod_resolver(pod, self._dns)[0])
            etc |= {RESOLV_CONF: resolver} if resolver else {}
            if self.logs.keeps(pod):  # before the instance begins: it may read its own
                await asyncio.to_thread(self.logs.begin, pod, container.name, attempt)
            plan = plan_mounts(pod, container, self._dirs.of(pod.uid), attempt, etc, env)
            return await self._writer.prepare_container(plan, image_paths(pod, self._dirs.of(pod.uid), images or {}))
        except OSError as exc:
            raise Fault(str(exc), "CreateContainerError") from exc

    async def env_files(self, pod: Pod, container: Container) -> Contents:
        """What is in the files of the pod's volumes that variables of a container come from."""
        needed = needed_files(pod, container, self._dirs.of(pod.uid))
        return {(file.volume, file.path): await self._writer.read_env_file(file) for file in needed}

    async def seccomp_profile(self, name: str) -> str:
        """The content of a profile, on one line; "" without a name. Raises Fault."""
        if not name:
            return ""
        path = self._profiles / name
        try:
            if not without_backsteps(name):
                raise ValueError("it is not below the directory of profiles")
            content = await asyncio.to_thread(path.read_bytes)
            return msgspec.json.format(content, indent=-1).decode()
        except (OSError, ValueError) as exc:
            raise Fault(f'cannot load seccomp profile "{path}": {exc}', "CreateContainerError") from exc

    def termination_message(self, pod: Pod, container: str, attempt: int) -> str:
        """What an ended instance left as its message. Blocks on the disk."""
        return read_termination_message(termination_log(self._dirs.of(pod.uid), container, attempt))

    async def uids(self) -> frozenset[PodUID]:
        """All pods of which anything is on disk."""
        return await self._dirs.uids()

    async def remove(self, uid: PodUID) -> None:
        """Remove all of it. Raises VkError where something is still in use."""
        await asyncio.to_thread(self.logs.remove_elsewhere, uid)
        await self._writer.remove(uid)

    async def aclose(self) -> None:
        """Let go of the memory for secrets, unless pods have some that go on."""
        await close_memory(self._dirs.memory)


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
