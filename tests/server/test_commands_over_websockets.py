"""exec and attach over WebSockets: from clients of their own, and from API servers that pass them on."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from tests.server.conftest import Node
from tests.server.programs import Process, echoes, says, waits
from tests.server.spdy_client import PATIENCE
from vkprovider.wire import channels
from vkprovider.wire.channels import ChannelCodec, Message

EXEC = "/exec/default/web/app"


async def heard(socket: aiohttp.ClientWebSocketResponse) -> dict[int, bytes]:
    """All that comes, by channel."""
    codec, by_channel = ChannelCodec(socket.protocol or ""), dict[int, bytes]()
    async with asyncio.timeout(PATIENCE):
        async for message in socket:
            decoded = codec.decode(message.data)
            assert isinstance(decoded, Message)
            by_channel[decoded.channel] = by_channel.get(decoded.channel, b"") + decoded.data
    return by_channel


@pytest.mark.parametrize("protocol", [None, *channels.REMOTE_COMMAND])
async def test_output_apart_and_the_exit_code(node: Node, http: aiohttp.ClientSession, protocol: str | None):
    node.engine.commands["ls"] = says(("stdout", b"out"), ("stderr", b"err"), code=2)
    protocols = ["v9", protocol] if protocol else []
    async with http.ws_connect(f"{EXEC}?command=ls&output=1&error=1", protocols=protocols) as socket:
        assert socket.protocol == protocol
        by_channel = await heard(socket)
    assert socket.close_code == 1000
    told = by_channel.pop(channels.ERROR)
    assert by_channel == {channels.STDOUT: b"out", channels.STDERR: b"err"}
    if ChannelCodec(protocol or "").has_status:
        assert json.loads(told)["details"] == {"causes": [{"reason": "ExitCode", "message": "2"}]}
    else:
        assert told == b"command terminated with non-zero exit code: command terminated with exit code 2"


async def test_the_first_message_says_that_the_connection_is_there(node: Node, http: aiohttp.ClientSession):
    node.engine.commands["sleep"] = waits
    for query, channel in (("output=1&error=1", 1), ("error=1", 2), ("input=1", 3)):
        async with http.ws_connect(f"{EXEC}?command=sleep&{query}", protocols=[channels.V4]) as socket:
            assert await socket.receive_bytes(timeout=PATIENCE) == bytes([channel])


async def test_input_and_its_end_in_version_5(node: Node, http: aiohttp.ClientSession):
    node.engine.commands["cat"] = echoes
    async with http.ws_connect(f"{EXEC}?command=cat&input=1&output=1", protocols=[channels.V5]) as socket:
        await socket.send_bytes(b"\0hello")
        await socket.send_bytes(bytes([channels.CLOSE, channels.STDIN]))
        by_channel = await heard(socket)
    assert by_channel[channels.STDOUT] == b"hello"
    assert json.loads(by_channel[channels.ERROR])["status"] == "Success"


async def test_a_terminal_and_its_size(node: Node, http: aiohttp.ClientSession):
    async def program(process: Process) -> int:
        await process.resized.wait()
        await process.say(str(process.sizes).encode())
        return 0

    node.engine.commands["sh"] = program
    async with http.ws_connect(f"{EXEC}?command=sh&output=1&tty=1", protocols=[channels.V4]) as socket:
        await socket.send_bytes(b'\4{"Width":120,"Height":30}')
        assert (await heard(socket))[channels.STDOUT] == b"[(120, 30)]"


async def test_a_client_that_hangs_up_takes_its_command_along(node: Node, http: aiohttp.ClientSession):
    node.engine.commands["sleep"] = waits
    async with http.ws_connect(f"{EXEC}?command=sleep&output=1", protocols=[channels.V4]) as socket:
        await socket.receive_bytes(timeout=PATIENCE)
    await asyncio.wait_for(node.engine.processes[0].left.wait(), PATIENCE)


@pytest.mark.parametrize("message", [b"\xff\0\1", b"\xff"])
async def test_a_client_that_breaks_the_protocol_is_hung_up_on(node: Node, http: aiohttp.ClientSession, message: bytes):
    node.engine.commands["sleep"] = waits
    async with http.ws_connect(f"{EXEC}?command=sleep&output=1", protocols=[channels.V5]) as socket:
        await socket.receive_bytes(timeout=PATIENCE)
        await socket.send_bytes(message)
        await asyncio.wait_for(node.engine.processes[0].left.wait(), PATIENCE)


async def test_channels_that_are_not_there_are_passed_over(node: Node, http: aiohttp.ClientSession):
    node.engine.commands["cat"] = echoes
    async with http.ws_connect(f"{EXEC}?command=cat&input=1&output=1", protocols=[channels.V5]) as socket:
        for message in (b"\x09what", b"\xff\x09", b"\0hello", b"\xff\0"):
            await socket.send_bytes(message)
        assert (await heard(socket))[channels.STDOUT] == b"hello"


async def test_attach(node: Node, http: aiohttp.ClientSession):
    node.engine.commands["attach"] = says(("stdout", b"seen"))
    async with http.ws_connect("/attach/default/web/app?output=1", protocols=[channels.V4]) as socket:
        by_channel = await heard(socket)
    assert by_channel[channels.STDOUT] == b"seen"
    assert json.loads(by_channel[channels.ERROR])["status"] == "Success"


async def test_protocols_that_nobody_knows(node: Node, http: aiohttp.ClientSession):
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await http.ws_connect(f"{EXEC}?command=ls&output=1", protocols=["v9"])
    assert refusal.value.status == 403
