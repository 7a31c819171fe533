"""exec and attach as API servers up to 1.35 ask for them."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.server.conftest import Node
from tests.server.programs import Process, echoes, says, waits
from tests.server.spdy_client import PATIENCE, Refusal
from vkprovider.model.refs import ContainerID
from vkprovider.server.channels import MOST_HELD
from vkprovider.wire.spdy import Data, GoAway, Ping, RstStream

V4, V3, V1 = "v4.channel.k8s.io", "v3.channel.k8s.io", "channel.k8s.io"
EXEC = "/exec/default/web/app"


async def test_output_apart_and_success(node: Node):
    node.engine.commands["ls"] = says(("stdout", b"out"), ("stderr", b"err"), ("stdout", b"put"))
    async with node.spdy(f"{EXEC}?command=ls&command=-l&output=1&error=1", V4) as client:
        error, out, err = (client.open(streamType=name) for name in ("error", "stdout", "stderr"))
        await client.until(error, out, err)
    assert (client.heard[out], client.heard[err]) == (b"output", b"err")
    assert json.loads(client.heard[error]) == {"metadata": {}, "status": "Success"}
    assert client.accepted == {error, out, err}
    assert node.engine.processes[0].words == ("ls", "-l")


async def test_the_exit_code(node: Node):
    node.engine.commands["false"] = says(code=3)
    async with node.spdy(f"{EXEC}?command=false&output=1", V4) as client:
        error, out = client.open(streamType="error"), client.open(streamType="stdout")
        await client.until(error, out)
    status = json.loads(client.heard[error])
    assert (status["reason"], status["details"]["causes"]) == (
        "NonZeroExitCode",
        [{"reason": "ExitCode", "message": "3"}],
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("fail", b"command terminated with non-zero exit code: command terminated with exit code 3"),
        ("succeed", b""),
        ("absent", b"Internal error occurred: error executing command in container: exec: absent: not found"),
    ],
)
@pytest.mark.parametrize("protocol", [V3, V1])
async def test_old_protocols_tell_failures_as_text(node: Node, protocol: str, words: str, told: bytes):
    node.engine.commands |= {"fail": says(code=3), "succeed": says()}
    async with node.spdy(f"{EXEC}?command={words}&output=1", "v9", protocol, V4) as client:
        error, out = client.open(streamType="error"), client.open(streamType="stdout")
        await client.until(error, out)
    assert client.heard[error] == told


async def test_input_to_its_end(node: Node):
    node.engine.commands["cat"] = echoes
    async with node.spdy(f"{EXEC}?command=cat&input=1&output=1", V4) as client:
        error, stdin, out = (client.open(streamType=name) for name in ("error", "stdin", "stdout"))
        await client.see(lambda: len(client.accepted) == 3)
        client.send(Data(stdin, b"one\n"))
        await client.see(lambda: client.heard[out] == b"one\n")
        client.send(Data(stdin, b"two\n", fin=True))
        await client.until(error, out)
    assert client.heard[out] == b"one\ntwo\n"


async def test_a_terminal_and_its_sizes(node: Node):
    async def program(process: Process) -> int:
        while (200, 50) not in process.sizes:
            process.resized.clear()
            await process.resized.wait()
        await process.say(b"\x1b[0m")
        return 0

    node.engine.commands["sh"] = program
    target = f"{EXEC}?command=sh&input=1&output=1&error=1&tty=1"
    async with node.spdy(target, V4) as client:
        error, stdin, out, resize = (client.open(streamType=name) for name in ("error", "stdin", "stdout", "resize"))
        await client.see(lambda: len(client.accepted) == 4)
        for piece in (b'{"Width":80,"Heig', b'ht":24}\n{"Width":200,"Height":50}\n'):
            client.send(Data(resize, piece))
        await client.until(error, out)
    assert client.heard[out] == b"\x1b[0m"
    assert (node.engine.processes[0].tty, node.engine.processes[0].stdin) == (True, True)
    assert stdin


async def test_a_client_that_hangs_up_takes_its_command_along(node: Node):
    node.engine.commands["sleep"] = waits
    async with node.spdy(f"{EXEC}?command=sleep&output=1", V4) as client:
        client.open(streamType="error"), client.open(streamType="stdout")
        await client.see(lambda: node.engine.processes)
    await asyncio.wait_for(node.engine.processes[0].left.wait(), PATIENCE)


@pytest.mark.parametrize("farewell", [GoAway(0), b"no frame at all"])
async def test_a_client_that_leaves_or_talks_nonsense_too(node: Node, farewell: GoAway | bytes):
    node.engine.commands["sleep"] = waits
    async with node.spdy(f"{EXEC}?command=sleep&output=1", V4) as client:
        client.open(streamType="error"), client.open(streamType="stdout")
        await client.see(lambda: node.engine.processes)
        if isinstance(farewell, bytes):
            client.writer.write(b"\x80\x02" + farewell)
        else:
            client.send(farewell)
        await asyncio.wait_for(node.engine.processes[0].left.wait(), PATIENCE)


async def test_a_client_that_drops_the_output_ends_the_command(node: Node):
    async def talks(process: Process) -> int:
        while True:
            await process.say(b"again\n")

    node.engine.commands["yes"] = talks
    async with node.spdy(f"{EXEC}?command=yes&output=1", V4) as client:
        client.open(streamType="error")
        out = client.open(streamType="stdout")
        await client.see(lambda: client.heard[out])
        client.send(RstStream(out, 5))
        await asyncio.wait_for(node.engine.processes[0].left.wait(), PATIENCE)


async def test_input_that_is_not_taken_stops_the_client_and_nothing_else(node: Node):
    """The connection is read no further, and no more is held than one stream may hold."""
    taken = asyncio.Event()

    async def slow(process: Process) -> int:
        await taken.wait()
        size = 0
        while data := await process.read():
            size += len(data)
        await process.say(str(size).encode())
        return 0

    node.engine.commands["slow"] = slow
    async with node.spdy(f"{EXEC}?command=slow&input=1&output=1", V4) as client:
        error, stdin, out = (client.open(streamType=name) for name in ("error", "stdin", "stdout"))
        await client.see(lambda: len(client.accepted) == 3)
        block, count = bytes(65536), 400
        for _ in range(count):
            client.send(Data(stdin, block))
        client.send(Data(stdin, b"", fin=True))
        await client.see(lambda: client.writer.transport.get_write_buffer_size() > 8 * MOST_HELD)
        taken.set()
        await client.until(error, out)
    assert client.heard[out] == str(len(block) * count).encode()


async def test_a_client_that_does_not_read_makes_the_command_wait(node: Node):
    async def talks(process: Process) -> int:
        for _ in range(4000):
            await process.say(bytes(65536))
        return 0

    node.engine.commands["yes"] = talks
    async with node.spdy(f"{EXEC}?command=yes&output=1", V4) as client:
        client.writer.transport.pause_reading()
        client.open(streamType="error"), client.open(streamType="stdout")
        process_list = node.engine.processes
        async with asyncio.timeout(PATIENCE):
            while not process_list or process_list[0].taken == 0:  # noqa: ASYNC110  until something has come
                await asyncio.sleep(0)
            before = -1
            while before != process_list[0].taken:  # until it comes to a stop
                before = process_list[0].taken
                for _ in range(200):
                    await asyncio.sleep(0)
        assert process_list[0].taken < 50_000_000


async def test_pings_are_answered_and_unknown_streams_refused(node: Node):
    node.engine.commands["ls"] = says()
    async with node.spdy(f"{EXEC}?command=ls&output=1", V4) as client:
        client.send(Ping(1))
        strange, twice = client.open(streamType="strange"), client.open(streamType="error")
        refused = client.open(streamType="error")
        await client.until(strange, refused)
        out = client.open(streamType="stdout")
        await client.until(twice, out)
    assert client.accepted == {twice, out}


async def test_attach(node: Node):
    node.engine.commands["attach"] = echoes
    async with node.spdy("/attach/default/web/app?input=1&output=1", V4, method="GET") as client:
        error, stdin, out = (client.open(streamType=name) for name in ("error", "stdin", "stdout"))
        await client.see(lambda: len(client.accepted) == 3)
        client.send(Data(stdin, b"hello", fin=True))
        await client.until(error, out)
    assert client.heard[out] == b"hello"
    assert json.loads(client.heard[error])["status"] == "Success"


@pytest.mark.parametrize(
    ("target", "protocols", "status", "text"),
    [
        (f"{EXEC}?command=ls", [V4], 400, "you must specify at least 1 of stdin, stdout, stderr"),
        (f"{EXEC}?command=ls&error=1&tty=1", [V4], 400, "you must specify at least 1 of stdin, stdout, stderr"),
        ("/exec/default/absent/app?command=ls&output=1", [V4], 404, "pod does not exist"),
        ("/exec/default/web/other-uid/app?command=ls&output=1", [V4], 404, "pod not found"),
        ("/exec/default/web/absent?command=ls&output=1", [V4], 500, 'container not found ("absent")'),
        ("/attach/default/web/init?output=1", [V4], 500, 'container not found ("init")'),
        (f"{EXEC}?command=ls&output=1", [], 400, "unable to upgrade: X-Stream-Protocol-Version is required"),
        (
            f"{EXEC}?command=ls&output=1",
            ["v9", "v8"],
            403,
            "unable to upgrade: unable to negotiate protocol: client supports [v9 v8], server accepts"
            " [v4.channel.k8s.io v3.channel.k8s.io v2.channel.k8s.io channel.k8s.io]",
        ),
    ],
)
async def test_what_is_refused(node: Node, target: str, protocols: list[str], status: int, text: str):
    with pytest.raises(Refusal) as refusal:
        async with node.spdy(target, *protocols):
            pass
    assert (refusal.value.status, refusal.value.text) == (status, text)


async def test_a_container_that_has_ended_runs_no_commands(node: Node):
    node.engine.exit(ContainerID(node.app_id))
    with pytest.raises(Refusal, match="container not found"):
        async with node.spdy(f"{EXEC}?command=ls&output=1", V4):
            pass


async def test_the_uid_may_be_in_the_path(node: Node):
    node.engine.commands["ls"] = says(("stdout", b"x"))
    async with node.spdy(f"/exec/default/web/{node.pod.uid}/app?command=ls&output=1", V4) as client:
        error, out = client.open(streamType="error"), client.open(streamType="stdout")
        await client.until(error, out)
    assert client.heard[out] == b"x"
