"""Work for clients that come and go."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.virtual_time import virtual_time
from tests.server.conftest import Node
from tests.server.programs import waits
from tests.server.spdy_client import PATIENCE
from vkprovider.server.channels import ClientGone
from vkprovider.server.idleness import IDLE_SECONDS
from vkprovider.server.sessions import Sessions, unless
from vkprovider.server.spdy_connection import SpdyConnection
from vkprovider.wire.spdy import FrameWriter, Settings


async def forever() -> None:
    await asyncio.Event().wait()


async def soon(task: asyncio.Task[None]) -> None:
    await asyncio.wait_for(task, PATIENCE)


class Work:
    """Work that takes its time to be given up."""

    def __init__(self) -> None:
        self.begun, self.allowed, self.cleared_up = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        self.begun.set()
        try:
            await forever()
        finally:
            await self.allowed.wait()
            self.cleared_up.set()


async def test_work_is_given_up_when_the_client_goes():
    work, gone = Work(), asyncio.Event()
    work.allowed.set()
    running = asyncio.create_task(Sessions().run(_until(gone), work.run()))
    await work.begun.wait()
    gone.set()
    await soon(running)
    assert work.cleared_up.is_set()


async def _until(event: asyncio.Event) -> None:
    await event.wait()


async def test_a_request_that_is_cancelled_twice_does_not_cut_the_clearing_up_short():
    sessions, work = Sessions(), Work()
    running = asyncio.create_task(sessions.run(forever(), work.run()))
    await work.begun.wait()
    for _ in range(2):
        running.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not work.cleared_up.is_set()
    work.allowed.set()
    await asyncio.wait_for(sessions.close(), PATIENCE)
    assert work.cleared_up.is_set()


async def test_closing_ends_all_work():
    sessions, works = Sessions(), [Work(), Work()]
    running = [asyncio.create_task(sessions.run(forever(), work.run())) for work in works]
    for work in works:
        await work.begun.wait()
        work.allowed.set()
    await asyncio.wait_for(sessions.close(), PATIENCE)
    assert all(work.cleared_up.is_set() for work in works)
    for task in running:
        await soon(task)


async def test_unless_gives_the_result_or_the_error():
    async def fail() -> None:
        raise ValueError("no")

    async def succeed() -> int:
        return 7

    assert await unless(asyncio.Event(), succeed()) == 7
    with pytest.raises(ValueError, match="no"):
        await unless(asyncio.Event(), fail())


async def test_unless_gives_up():
    work, dropped = Work(), asyncio.Event()
    work.allowed.set()
    dropped.set()
    with pytest.raises(ClientGone):
        await unless(dropped, work.run())
    assert work.cleared_up.is_set() or not work.begun.is_set()


class Line:
    """A link over which a piece comes every hour, so many times, and nothing after."""

    def __init__(self, hours: int) -> None:
        self._left = hours

    async def read(self) -> bytes:
        await asyncio.sleep(3600 if self._left else 1e9)
        self._left -= 1
        return FrameWriter().write(Settings(()))

    async def write(self, data: bytes) -> None:
        await asyncio.sleep(0)


@virtual_time
async def test_silence_has_a_limit_that_every_frame_puts_off():
    loop = asyncio.get_running_loop()
    await SpdyConnection(Line(hours=10)).run()
    assert loop.time() == 10 * 3600 + IDLE_SECONDS


@virtual_time
async def test_what_we_say_puts_it_off_too():
    loop = asyncio.get_running_loop()
    connection = SpdyConnection(Line(hours=0))
    running = asyncio.create_task(connection.run())
    await asyncio.sleep(3 * 3600)
    await connection.leave()
    await running
    assert loop.time() == 3 * 3600 + IDLE_SECONDS


async def test_no_task_is_left_of_clients_that_have_gone(node: Node):
    node.engine.commands["sleep"] = waits
    before = len(asyncio.all_tasks())
    for _ in range(5):
        async with node.spdy("/exec/default/web/app?command=sleep&output=1", "v4.channel.k8s.io") as client:
            client.open(streamType="error"), client.open(streamType="stdout")
            await client.see(lambda: len(client.accepted) == 2)
    async with asyncio.timeout(PATIENCE):
        while len(asyncio.all_tasks()) > before:  # noqa: ASYNC110  tasks tell nobody that they end
            await asyncio.sleep(0)
    assert all(process.left.is_set() for process in node.engine.processes)
