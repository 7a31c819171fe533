"""The ContainerEngine port on a Docker engine, API 1.41 and later.

Each call of the port is as few calls of the engine as it can be: a pod's start waits for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec
import requests

from vkprovider.core.withheld import without
from vkprovider.engine import convert
from vkprovider.engine.cgroups import Cgroups
from vkprovider.engine.changes import changes
from vkprovider.engine.disks import EngineDisks
from vkprovider.engine.endpoint import find_endpoint
from vkprovider.engine.engine_process import shares_mounts
from vkprovider.engine.execs import Execs
from vkprovider.engine.glances import glances
from vkprovider.engine.images import Images
from vkprovider.engine.kernel_limits import KernelLimits
from vkprovider.engine.log_copies import LogCopies
from vkprovider.engine.log_tails import LogTails
from vkprovider.engine.logins import Logins
from vkprovider.engine.machine_files import MachineFiles
from vkprovider.engine.pod_cgroups import CGROUPFS, PodCgroups
from vkprovider.engine.process_users import ProcessUsers
from vkprovider.engine.sandbox_source import SandboxSource
from vkprovider.engine.streaming import Streaming
from vkprovider.engine.streams import attach, followed, logs
from vkprovider.engine.tools import Tools
from vkprovider.engine.unary import Unary
from vkprovider.engine.usage import EngineUsage
from vkprovider.errors import EngineConflict, EngineNotFound, EngineUnavailable
from vkprovider.model.create import ContainerCreate, Limits
from vkprovider.model.engine import (
    EngineInfo,
    ExecResult,
    ImageInfo,
    LogLine,
    LogTarget,
    PullProgress,
    RegistryAuth,
    StoredImage,
)
from vkprovider.model.labels import NODE, POD_UID
from vkprovider.model.observed import Glance, PodObservation
from vkprovider.model.refs import ContainerID, PodUID
from vkprovider.model.usage import RunningContainer
from vkprovider.ports import ExecStreams, ProcessStreams, WaitingClock

THREADS = 8
UNARY_SECONDS = 30.0
DEFAULT_STOP_SIGNAL = "TERM"


class DockerEngine:
    """The containers of one node on a Docker engine.

    ``base_url`` "" means the engine that the ``docker`` command would use, ``sandbox_image`` "" the built-in one.
    ``threads`` bounds the calls made at once (see ``Unary``), ``timeout`` how many seconds each may take; streams and
    pulls are not counted and take their time. ``registry_config`` is the path of ``Logins``. To be used within one
    event loop.
    Raises EngineUnavailable if no engine is configured; whether it answers is seen by the first call.
    """

    def __init__(
        self,
        node: str,
        base_url: str = "",
        sandbox_image: str = "",
        threads: int = THREADS,
        timeout: float = UNARY_SECONDS,
        registry_config: str | None = "",
    ) -> None:
        endpoint = find_endpoint(base_url)
        self.node = node
        self._socket_path = endpoint.socket_path
        self._unary = Unary(endpoint, threads, timeout)
        self._streaming = Streaming(endpoint, self._unary)
        self._images = Images(self._unary, self._streaming, Logins(registry_config))
        self._sandbox = SandboxSource(self._unary, self._images, sandbox_image)
        self._tools = Tools(node, self._unary, self._streaming, self._sandbox)
        self._execs = Execs(self._unary, self._streaming, self._tools)
        self._limits = KernelLimits(endpoint.socket_path, self._tools.can_start_with)
        self._users = ProcessUsers()
        self._pod_cgroups = PodCgroups()
        self._log_tails = LogTails()
        self._log_copies = LogCopies(self._unary, self._streaming)
        self._has_pod_limits: bool | None = None  # as ``info`` has told last
        self._has_run: set[ContainerID] = set()  # adopted after they had run: to start them would run them twice

    @property
    def limitations(self) -> tuple[str, ...]:
        """What the engine's host does not allow and is left out of containers. Known once ``info`` has been asked."""
        return self._limits.notes

    async def info(self) -> EngineInfo:
        withheld = await self._limits.withheld()
        version = await self._unary.version()
        info = convert.engine_info(await self._unary.call("GET", "/info"), version.api_version)
        seen = bool(self._socket_path) and await asyncio.to_thread(shares_mounts, self._socket_path)
        by_files = seen and info.cgroup_driver == CGROUPFS and await asyncio.to_thread(self._pod_cgroups.usable)
        self._has_pod_limits = by_files
        return msgspec.structs.replace(info, shares_mounts=seen, pod_limits=by_files, withheld=withheld)

    async def pods(self) -> Mapping[PodUID, Glance]:
        return glances(await self._list(f"{NODE}={self.node}"))

    async def observe(self, uid: PodUID) -> PodObservation:
        entries = await self._list(f"{NODE}={self.node}", f"{POD_UID}={uid}")
        seen = await asyncio.gather(*(self._look_at(entry) for entry in entries))
        found = [entry for entry in seen if entry is not None]
        return convert.observation(found, await self._users.look(found))

    async def running(self) -> tuple[RunningContainer, ...]:
        params = _filters([f"{NODE}={self.node}"])
        return convert.running_containers(await self._unary.call("GET", "/containers/json", params=params))

    async def create(self, spec: ContainerCreate) -> ContainerID:
        if spec.limits.oom_score_adj < 0 and not await self._limits.allows_negative_oom_score():
            spec = msgspec.structs.replace(spec, limits=msgspec.structs.replace(spec.limits, oom_score_adj=0))
        known = convert.knows_capabilities((await self._unary.version()).api_version)
        spec = without(spec, await self._limits.withheld(), known=known)
        parent = ""
        if spec.pod_limits is not None and await self._limits_pods():
            parent = await self._pod_cgroups.make(PodUID(spec.labels[POD_UID]), spec.pod_limits)
        try:
            created = await self._unary.call(
                "POST", "/containers/create", params={"name": spec.name}, body=convert.create_body(spec, parent)
            )
        except EngineConflict as conflict:
            return await self._adopt(spec, conflict)
        except EngineNotFound:
            self._sandbox.missing(spec.image)
            raise
        return ContainerID(created["Id"])

    async def start(self, container_id: ContainerID) -> None:
        if container_id not in self._has_run:
            await self._unary.call("POST", f"/containers/{container_id}/start")

    async def signal(self, container_id: ContainerID, signal: str) -> bool:
        """As the port says; "" sends the signal that the container's image asks to be stopped with, else TERM."""
        try:
            name = signal or await self._stop_signal(container_id)
            await self._unary.call("POST", f"/containers/{container_id}/kill", params={"signal": name})
        except (EngineNotFound, EngineConflict):
            return False
        return True

    async def update(self, container_id: ContainerID, limits: Limits) -> None:
        await self._unary.call("POST", f"/containers/{container_id}/update", body=convert.update_body(limits))

    async def memory_usage(self, container_id: ContainerID) -> int:
        params: dict[str, str | int] = {"stream": 0, "one-shot": 1}
        stats = await self._unary.call("GET", f"/containers/{container_id}/stats", params=params)
        usage: int = (stats.get("memory_stats") or {}).get("usage", 0)
        return usage

    async def remove(self, container_id: ContainerID) -> None:
        try:
            await self._unary.call("DELETE", f"/containers/{container_id}", params={"force": 1, "v": 1})
        except EngineNotFound:
            pass
        except EngineConflict as exc:
            if "already in progress" not in str(exc):
                raise
        self._has_run.discard(container_id)
        self._users.forget(container_id)

    async def sandbox_image(self) -> str:
        return await self._sandbox.image()

    async def image(self, name: str) -> ImageInfo | None:
        return await self._images.find(name)

    async def stored_images(self) -> tuple[StoredImage, ...]:
        return await self._images.stored()

    async def images_in_use(self) -> frozenset[str]:
        entries = await self._unary.call("GET", "/containers/json", params={"all": 1})
        return frozenset(entry["ImageID"] for entry in entries)

    async def remove_image(self, image_id: str) -> None:
        await self._images.remove(image_id)

    def image_archive(self, image_id: str) -> AsyncIterator[bytes]:
        return self._images.archive(image_id)

    async def pull(
        self, name: str, auths: Sequence[RegistryAuth], progress: Callable[[PullProgress], None]
    ) -> ImageInfo:
        return await self._images.pull(name, auths, progress)

    async def exec(self, container_id: ContainerID, command: Sequence[str], timeout: float | None) -> ExecResult:
        return await self._execs.run(container_id, command, timeout)

    def open_exec(
        self, container_id: ContainerID, command: Sequence[str], *, stdin: bool = False, tty: bool = False
    ) -> AbstractAsyncContextManager[ExecStreams]:
        return self._execs.open(container_id, command, stdin=stdin, tty=tty)

    def open_attach(
        self, container_id: ContainerID, *, stdin: bool = False
    ) -> AbstractAsyncContextManager[ProcessStreams]:
        return attach(self._unary, self._streaming, container_id, stdin=stdin)

    @asynccontextmanager
    async def open_port(self, sandbox_id: ContainerID, port: int) -> AsyncIterator[ExecStreams]:
        program: str = (await self._unary.call("GET", f"/containers/{sandbox_id}/json"))["Path"]
        async with self._execs.open(sandbox_id, [program, "connect", str(port)], stdin=True, tty=False) as streams:
            yield streams

    def logs(
        self,
        container_id: ContainerID,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[LogLine]:
        if follow:
            return followed(self._unary, self._streaming, self._log_tails, container_id, tail=tail, since=since)
        return logs(self._unary, self._streaming, container_id, tail=tail, since=since)

    async def copy_log(self, container_id: ContainerID, target: LogTarget) -> None:
        await self._log_copies.copy(container_id, target)

    async def create_volume(self, name: str, labels: Mapping[str, str], options: Mapping[str, str]) -> None:
        body = {
            "Name": name,
            "Driver": "local",
            "DriverOpts": dict(options),
            "Labels": {**labels, NODE: self.node},
        }
        await self._unary.call("POST", "/volumes/create", body=body)

    async def volume_directory(self, name: str) -> str:
        volume = await self._unary.call("GET", f"/volumes/{name}")
        directory: str = volume["Mountpoint"]
        return directory

    async def remove_volumes(self, labels: Mapping[str, str]) -> None:
        own = {**labels, NODE: self.node}
        params = _filters([f"{key}={value}" for key, value in own.items()])
        found = await self._unary.call("GET", "/volumes", params=params)
        for volume in found["Volumes"] or ():
            try:
                await self._unary.call("DELETE", f"/volumes/{volume['Name']}")
            except EngineNotFound:
                continue

    async def forget(self, uid: PodUID) -> None:
        await self._pod_cgroups.remove(uid)

    async def run_tool(self, args: Sequence[str], directory: str) -> None:
        await self._tools.run(args, directory)

    async def sweep_tools(self) -> None:
        """Remove what a crash has left of ``run_tool``'s containers."""
        await self._tools.sweep()

    def usages(self, node_dir: str, clock: WaitingClock) -> EngineDisks:
        """What the containers and the machine use; pods have their volumes below ``node_dir``."""
        machine = MachineFiles(clock.now)
        used = EngineUsage(self.running, self._unary, clock, machine, Cgroups(), self._socket_path)
        return EngineDisks(used, self._unary, self.info, self.stored_images, node_dir, clock)

    def changes(self) -> AsyncIterator[PodUID | None]:
        return changes(self._streaming, self.node)

    async def close(self) -> None:
        await self._log_copies.close()
        await self._streaming.close()
        await self._unary.close()

    async def _limits_pods(self) -> bool:
        if self._has_pod_limits is None:
            return (await self.info()).pod_limits
        return self._has_pod_limits

    async def _list(self, *labels: str) -> list[dict[str, Any]]:
        """All containers, dead or alive, that bear these labels."""
        params = _filters(list(labels)) | {"all": 1}
        entries: list[dict[str, Any]] = await self._unary.call("GET", "/containers/json", params=params)
        return entries

    async def _look_at(self, entry: dict[str, Any]) -> dict[str, Any] | None:
        """Inspect a container of a list. None if it is gone by now, its line of the list if that cannot be told.

        An engine that answers, but not about this one, hangs on it: Docker has a lock for each container.
        """
        try:
            found: dict[str, Any] = await self._unary.call("GET", f"/containers/{entry['Id']}/json")
        except EngineNotFound:
            return None
        except EngineUnavailable as exc:
            if not isinstance(exc.__cause__, requests.ReadTimeout):
                raise
            return entry
        return found

    async def _stop_signal(self, container_id: ContainerID) -> str:
        inspected = await self._unary.call("GET", f"/containers/{container_id}/json")
        signal: str = inspected["Config"].get("StopSignal") or DEFAULT_STOP_SIGNAL
        return signal

    async def _adopt(self, spec: ContainerCreate, conflict: EngineConflict) -> ContainerID:
        """The name is taken. By the same instance: then it is what was asked for, created by a call whose answer was
        lost. Raises the conflict if by anything else, or by one that is being removed.
        """
        try:
            holder = await self._unary.call("GET", f"/containers/{spec.name}/json")
        except EngineNotFound:
            raise conflict from None
        state = holder["State"]
        if not convert.same_instance(spec.labels, holder["Config"]["Labels"]) or state["Status"] in (
            "removing",
            "dead",
        ):
            raise conflict
        container_id = ContainerID(holder["Id"])
        if convert.instant(state["StartedAt"]) is not None and not state["Running"]:
            self._has_run.add(container_id)
        return container_id


def _filters(labels: list[str]) -> dict[str, str | int]:
    return {"filters": msgspec.json.encode({"label": labels}).decode()}
