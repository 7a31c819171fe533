"""Clients that take their time to open the streams they need, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.virtual_time import virtual_time
from vkprovider.server.channels import Channel, CommandChannels
from vkprovider.server.commands import CREATION_SECONDS, run_over_spdy
from vkprovider.server.port_forwards import Pairs
from vkprovider.server.spdy_connection import SpdyConnection
from vkprovider.wire.outcome import Outcome
from vkprovider.wire.spdy import Frame, FrameReader, FrameWriter, GoAway, RstStream, SynReply, SynStream


class Line:
    """A link to a client that says this, each at its second."""

    def __init__(self, *said: tuple[float, Frame]) -> None:
        self._said = list(said)
        self._writer, self._reader = FrameWriter(), FrameReader()
        self.heard: list[tuple[float, Frame]] = []

    async def read(self) -> bytes:
        if not self._said:
            await asyncio.Event().wait()
        at, frame = self._said.pop(0)
        await asyncio.sleep(at - asyncio.get_running_loop().time())
        return self._writer.write(frame)

    async def write(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        self.heard += [(now, frame) for frame in self._reader.feed(data)]


def opens(stream_id: int, kind: str, **headers: str) -> SynStream:
    return SynStream(stream_id, {"streamtype": kind, **headers})


async def succeeds(client: CommandChannels) -> Outcome:
    return Outcome()


@virtual_time
async def test_a_command_waits_for_its_streams():
    line = Line((0, opens(1, "error")), (CREATION_SECONDS - 1, opens(3, "stdout")))
    connection = SpdyConnection(line)
    reading = asyncio.create_task(connection.run())
    await run_over_spdy(connection, {"error", "stdout"}, succeeds, has_status=False)
    assert (CREATION_SECONDS - 1, SynReply(3, {})) in line.heard
    assert line.heard[-1] == (CREATION_SECONDS - 1, GoAway(3))
    reading.cancel()


@virtual_time
async def test_but_not_for_ever():
    line = Line((0, opens(1, "error")), (CREATION_SECONDS + 1, opens(3, "stdout")))
    connection = SpdyConnection(line)
    reading = asyncio.create_task(connection.run())

    async def never(client: CommandChannels) -> Outcome:
        raise AssertionError("the streams are not all there")

    await run_over_spdy(connection, {"error", "stdout"}, never, has_status=True)
    assert line.heard == [(0, SynReply(1, {})), (CREATION_SECONDS, GoAway(1))]
    reading.cancel()


@virtual_time
async def test_half_a_connection_to_a_port_is_refused_in_the_end():
    begun: list[int] = []

    async def forward(port: int, data: Channel, error: Channel) -> None:
        begun.append(port)

    whole = [(0, opens(1, "error", port="80", requestid="a")), (20, opens(3, "data", port="80", requestid="a"))]
    half = [(21, opens(5, "error", port="81", requestid="b")), (60, opens(7, "data", port="81", requestid="b"))]
    line = Line(*whole, *half)
    connection = SpdyConnection(line)
    reading = asyncio.create_task(connection.run())
    pairs = asyncio.create_task(Pairs(connection, forward).run())
    await asyncio.sleep(200)
    assert begun == [80]
    resets = [(at, frame) for at, frame in line.heard if isinstance(frame, RstStream)]
    assert resets == [(21 + CREATION_SECONDS, RstStream(5, 5)), (60 + CREATION_SECONDS, RstStream(7, 5))]
    for task in (reading, pairs):
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pairs
