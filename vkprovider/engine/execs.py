"""Commands executed in running containers.

Docker has no way to end one: hanging up leaves it running. So a command that takes too long is killed by its process
id, which Docker tells: by us, where we see that process and may signal it, else by a container of our own in the
engine's process namespace (a user who may use the engine need not be root, and need not even share its machine's
process namespace).
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import structlog

from vkprovider.engine.attached import CommandStreams
from vkprovider.engine.seen_through import seen_through
from vkprovider.engine.streaming import Streaming
from vkprovider.engine.tools import Tools
from vkprovider.engine.unary import Unary
from vkprovider.errors import EngineError, EngineNotFound
from vkprovider.model.engine import ExecResult
from vkprovider.model.refs import ContainerID
from vkprovider.wire.stdcopy import SYSTEM_ERROR, Deframer

LARGEST_OUTPUT = 10 * 1024  # what a kubelet keeps of a probe's (pkg/probe/exec/exec.go)
KILL_SECONDS = 30.0
HANG_UP_SECONDS = 1.0  # for a command to end by itself once it sees the end of its input
_WAIT_FOR_START = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds between looks, for a start that is under way
_FIRST_LOOK_SECONDS, _LONGEST_LOOK_SECONDS = 0.005, 0.25
log = structlog.get_logger()


class Execs:
    """Runs commands and sees to their end."""

    def __init__(self, unary: Unary, streaming: Streaming, tools: Tools) -> None:
        self._unary = unary
        self._streaming = streaming
        self._tools = tools

    async def run(self, container_id: ContainerID, command: Sequence[str], timeout: float | None) -> ExecResult:
        """Run a command to its end, or to the end of its time: then it is killed, as it is when this is cancelled."""
        body = {"AttachStdout": True, "AttachStderr": True, "Cmd": list(command)}
        exec_id: str = (await self._unary.call("POST", f"/containers/{container_id}/exec", body=body))["Id"]
        output = bytearray()
        code: int | None = None
        try:
            async with asyncio.timeout(timeout):
                await self._drain(exec_id, output)
                code = await self._exit_code(exec_id)
        except TimeoutError:
            await self._kill(exec_id, container_id)
        except asyncio.CancelledError:
            await self._give_up(exec_id, container_id)
            raise
        return ExecResult(exit_code=code, output=bytes(output))

    @asynccontextmanager
    async def open(
        self, container_id: ContainerID, command: Sequence[str], *, stdin: bool, tty: bool
    ) -> AsyncIterator[CommandStreams]:
        """Run a command with its streams. Left before its end, it sees the end of its input, and is killed."""
        body = {"AttachStdin": stdin, "AttachStdout": True, "AttachStderr": True, "Tty": tty, "Cmd": list(command)}
        exec_id: str = (await self._unary.call("POST", f"/containers/{container_id}/exec", body=body))["Id"]
        start = {"Detach": False, "Tty": tty}
        async with self._streaming.hijack(f"/exec/{exec_id}/start", body=start) as connection:
            streams = CommandStreams(
                connection, tty=tty, resize=partial(self._resize, exec_id), exit_code=partial(self._exit_code, exec_id)
            )
            try:
                yield streams
            finally:
                if (
                    not streams.ended
                ):  # the client's end may be noticed twice: as an error first, then by being cancelled
                    await seen_through(self._hang_up(streams, exec_id, container_id))

    async def _resize(self, exec_id: str, width: int, height: int) -> None:
        await self._unary.call("POST", f"/exec/{exec_id}/resize", params={"w": width, "h": height})

    async def _hang_up(self, streams: CommandStreams, exec_id: str, container_id: ContainerID) -> None:
        try:
            async with asyncio.timeout(HANG_UP_SECONDS):
                await streams.end_input()
                await streams.exit_code()
        except (EngineError, TimeoutError):
            await self._give_up(exec_id, container_id)

    async def _drain(self, exec_id: str, output: bytearray) -> None:
        """Start the command and take all it says, keeping the beginning: one that is not read from would stall."""
        deframer = Deframer()
        start = {"Detach": False, "Tty": False}
        async with self._streaming.open("POST", f"/exec/{exec_id}/start", body=start) as content:
            async for chunk in content.iter_any():
                for frame in deframer.feed(chunk):
                    if frame.stream == SYSTEM_ERROR:
                        raise EngineError(frame.payload.decode(errors="replace"))
                    output += frame.payload[: LARGEST_OUTPUT - len(output)]

    async def _exit_code(self, exec_id: str) -> int:
        """The command's exit code. Its output may end before it does, and before the engine knows that it did."""
        pause = _FIRST_LOOK_SECONDS
        while True:
            state = await self._unary.call("GET", f"/exec/{exec_id}/json")
            if not state["Running"] and state["ExitCode"] is not None:
                code: int = state["ExitCode"]
                return code
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_LOOK_SECONDS)

    async def _kill(self, exec_id: str, container_id: ContainerID) -> None:
        """End the command's process. What it has started itself lives on, as under a kubelet."""
        pid = await self._pid(exec_id)
        if pid == 0 or await asyncio.to_thread(_kill_process, pid, container_id):
            return
        if await self._pid(exec_id) == pid:
            await self._tools.kill(pid)

    async def _give_up(self, exec_id: str, container_id: ContainerID) -> None:
        """End a command whose caller is gone. Nobody is left to be told that this failed."""
        try:
            async with asyncio.timeout(KILL_SECONDS):
                await self._kill(exec_id, container_id)
        except (EngineError, TimeoutError) as exc:
            log.warning("a command that was given up may run on", container=container_id, error=str(exc))

    async def _pid(self, exec_id: str) -> int:
        """The process id as the engine sees it, 0 if the command runs no more, or was not even begun."""
        for pause in _WAIT_FOR_START:
            try:
                state = await self._unary.call("GET", f"/exec/{exec_id}/json")
            except EngineNotFound:  # together with its container
                return 0
            if state["Running"] or state["ExitCode"] is not None:
                pid: int = state["Pid"] if state["Running"] else 0
                return pid
            await asyncio.sleep(pause)
        return 0


def _kill_process(pid: int, container_id: ContainerID) -> bool:
    """Kill a process if it is visible here, is of that container, and we may.

    The number may mean another process here than where the engine runs; the control group tells, and the descriptor
    holds on to the process that was looked at.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as cgroup:
            if container_id not in cgroup.read():
                return False
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)
