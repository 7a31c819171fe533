"""One-off containers of the sandbox image, for what must be done as root on the engine's machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from vkprovider.engine.convert import log_config
from vkprovider.engine.sandbox_source import SandboxSource
from vkprovider.engine.streaming import Streaming
from vkprovider.engine.streams import logs
from vkprovider.engine.unary import Unary
from vkprovider.errors import EngineError, EngineNotFound, EngineUnavailable
from vkprovider.model.create import LogLimits
from vkprovider.model.labels import NODE, TYPE
from vkprovider.model.refs import ContainerID

TOOL_TYPE = "tool"


class Tools:
    """Runs them and removes them. One that a crash left behind is found by its labels, by ``sweep``."""

    def __init__(self, node: str, unary: Unary, streaming: Streaming, sandbox: SandboxSource) -> None:
        self._labels = {NODE: node, TYPE: TOOL_TYPE}
        self._unary = unary
        self._streaming = streaming
        self._sandbox = sandbox

    async def run(self, args: Sequence[str], directory: str) -> None:
        """Run the sandbox program on a directory of the host. Raises EngineError with its words if it fails."""
        # Nothing is removed through a mount: what is mounted below is somebody's, and not what is to go.
        options = {"NonRecursive": args[0] == "remove"}
        mount = {"Type": "bind", "Source": directory, "Target": directory, "BindOptions": options}
        await self._run(args, {"Mounts": [mount]})

    async def kill(self, pid: int) -> None:
        """End a process of the engine's own process namespace, at once."""
        await self._run(["kill", str(pid)], {"PidMode": "host"})

    async def can_start_with(self, host_config: Mapping[str, Any]) -> bool:
        """Whether a container can be made and started with these settings, found out by trying."""
        try:
            container_id = await self._create([], host_config)
        except EngineUnavailable:
            raise
        except EngineError:
            return False
        try:
            await self._unary.call("POST", f"/containers/{container_id}/start")
        except EngineError:
            return False
        else:
            return True
        finally:
            await self._remove(container_id)

    async def sweep(self) -> None:
        """Remove what a crash has left of this node's tools."""
        filters = {"label": [f"{key}={value}" for key, value in self._labels.items()]}
        params: dict[str, str | int] = {"all": 1, "filters": msgspec.json.encode(filters).decode()}
        for entry in await self._unary.call("GET", "/containers/json", params=params):
            await self._remove(entry["Id"])

    async def _run(self, args: Sequence[str], host_config: Mapping[str, Any]) -> None:
        container_id = await self._create(args, host_config)
        try:
            await self._unary.call("POST", f"/containers/{container_id}/start")
            code = await self._wait(container_id)
            if code != 0:
                raise EngineError(await self._last_words(container_id) or f"{args[0]} ended with code {code}")
        finally:
            await self._remove(container_id)

    async def _create(self, args: Sequence[str], host_config: Mapping[str, Any]) -> ContainerID:
        body = {
            "Image": await self._sandbox.image(),
            "Cmd": list(args),
            "User": "0:0",
            "Labels": self._labels,
            "Healthcheck": {"Test": ["NONE"]},
            "HostConfig": {
                "NetworkMode": "none",
                "UsernsMode": "host",  # root is to be root, also where the engine remaps users
                "ReadonlyRootfs": True,
                "SecurityOpt": ["no-new-privileges"],
                "RestartPolicy": {"Name": "no"},
                "LogConfig": log_config(LogLimits()),
                "Init": False,
            }
            | dict(host_config),
        }
        created = await self._unary.call("POST", "/containers/create", body=body)
        return ContainerID(created["Id"])

    async def _wait(self, container_id: ContainerID) -> int:
        async with self._streaming.open("POST", f"/containers/{container_id}/wait") as content:
            return msgspec.json.decode(await content.read(), type=_Waited).StatusCode

    async def _last_words(self, container_id: ContainerID) -> str:
        lines = [line.data async for line in logs(self._unary, self._streaming, container_id)]
        return b"".join(lines).decode(errors="replace").strip()

    async def _remove(self, container_id: ContainerID) -> None:
        try:
            await self._unary.call("DELETE", f"/containers/{container_id}", params={"force": 1, "v": 1})
        except EngineNotFound:
            return


class _Waited(msgspec.Struct):
    StatusCode: int
