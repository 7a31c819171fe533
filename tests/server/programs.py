"""An engine whose commands are functions of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.fakes.engine import FakeEngine
from vkprovider.errors import EngineError
from vkprovider.model.engine import Output
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ContainerID, PodKey, PodUID


class Process:
    """What a function of the test is given: the inside of the streams."""

    def __init__(self, words: tuple[str, ...], stdin: bool, tty: bool) -> None:
        self.words, self.stdin, self.tty = words, stdin, tty
        self.sizes: list[tuple[int, int]] = []
        self.resized = asyncio.Event()
        self.left = asyncio.Event()  # the streams are no longer used
        self.taken = 0  # bytes of output that were asked for
        self._input: asyncio.Queue[bytes] = asyncio.Queue(1)
        self._output: asyncio.Queue[Output | None] = asyncio.Queue(1)

    async def read(self) -> bytes:
        """A piece of input, b"" at its end."""
        return await self._input.get()

    async def say(self, data: bytes, stream: str = "stdout") -> None:
        await self._output.put(Output(stream, data))


class Streams:
    """The outside."""

    def __init__(self, process: Process, running: asyncio.Task[int]) -> None:
        self._process = process
        self._running = running

    async def output(self) -> AsyncIterator[Output]:
        while (output := await self._process._output.get()) is not None:
            self._process.taken += len(output.data)
            yield output

    async def write(self, data: bytes) -> None:
        await self._process._input.put(data)

    async def end_input(self) -> None:
        await self._process._input.put(b"")

    async def resize(self, width: int, height: int) -> None:
        self._process.sizes.append((width, height))
        self._process.resized.set()

    async def exit_code(self) -> int:
        return await self._running


Program = Callable[[Process], Awaitable[int]]


class StreamingEngine(FakeEngine):
    """``programs`` by the first word of the command, ``ports`` by number; attaching runs the program "attach"."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands: dict[str, Program] = {}
        self.ports: dict[int, Program] = {}
        self.processes: list[Process] = []

    @asynccontextmanager
    async def open_exec(
        self, container_id: ContainerID, command: Sequence[str], *, stdin: bool = False, tty: bool = False
    ) -> AsyncIterator[Streams]:
        if command[0] not in self.commands:
            raise EngineError(f"exec: {command[0]}: not found")
        async with self._run(self.commands[command[0]], Process(tuple(command), stdin, tty)) as streams:
            yield streams

    @asynccontextmanager
    async def open_attach(self, container_id: ContainerID, *, stdin: bool = False) -> AsyncIterator[Streams]:
        async with self._run(self.commands["attach"], Process((), stdin, False)) as streams:
            yield streams

    @asynccontextmanager
    async def open_port(self, sandbox_id: ContainerID, port: int) -> AsyncIterator[Streams]:
        program = self.ports.get(port, refuses(port))
        async with self._run(program, Process((str(port),), True, False)) as streams:
            yield streams

    @asynccontextmanager
    async def _run(self, program: Program, process: Process) -> AsyncIterator[Streams]:
        self.processes.append(process)

        async def run() -> int:
            try:
                return await program(process)
            finally:
                await process._output.put(None)

        running = asyncio.get_running_loop().create_task(run())
        try:
            yield Streams(process, running)
        finally:
            process.left.set()
            running.cancel()
            await asyncio.wait((running,), timeout=0)


async def echoes(process: Process) -> int:
    while data := await process.read():
        await process.say(data)
    return 0


def says(*outputs: tuple[str, bytes], code: int = 0) -> Program:
    async def say(process: Process) -> int:
        for stream, data in outputs:
            await process.say(data, stream)
        return code

    return say


def refuses(port: int) -> Program:
    return says(("stderr", f"connect: {port}: Connection refused\n".encode()), code=1)


async def waits(process: Process) -> int:
    await process.left.wait()
    return 0


class Pods:
    """A ``PodIndex`` of what the test puts in."""

    def __init__(self) -> None:
        self.pods: dict[PodKey, Pod] = {}
        self.statuses: dict[PodUID, Mapping[str, Any]] = {}

    def all(self) -> list[Pod]:
        return list(self.pods.values())

    def find(self, key: PodKey) -> Pod | None:
        return self.pods.get(key)

    def status(self, uid: PodUID) -> Mapping[str, Any]:
        return self.statuses.get(uid, {})
