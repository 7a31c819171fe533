"""The streams of processes in containers, on a real engine: they hold no thread, lose no byte and leave nothing."""

from __future__ import annotations

import asyncio
import hashlib
import resource
import threading
from contextlib import AsyncExitStack, aclosing

import docker
import pytest

from tests.contract.benches import NOBODY, PATIENCE, Bench, DockerBench, eventually, said
from vkprovider.engine.docker_engine import THREADS
from vkprovider.engine.endpoint import find_endpoint
from vkprovider.errors import EngineConflict, EngineNotFound
from vkprovider.model.refs import ContainerID
from vkprovider.ports import ExecStreams, ProcessStreams

pytestmark = pytest.mark.docker

MEGABYTE = 1 << 20
BLOCK = bytes(range(256)) * 256
LISTEN = "echo from-loopback >/tmp/index.html; httpd -p 127.0.0.1:8081 -h /tmp; exec nc -ll -p 8080 -e cat"


@pytest.fixture
def unclean_bench(client: docker.APIClient, images: tuple[str, str]) -> DockerBench:
    return DockerBench(client, *images, find_endpoint().url)


async def all_of(streams: ProcessStreams) -> dict[str, bytes]:
    """Everything it says, by stream."""
    heard = {"stdout": b"", "stderr": b""}
    async with asyncio.timeout(PATIENCE):
        async for output in streams.output():
            heard[output.stream] += output.data
    return heard


async def until(streams: ProcessStreams, wanted: bytes) -> None:
    """Listen until it has said so."""
    heard = b""
    async with asyncio.timeout(PATIENCE), aclosing(streams.output()) as outputs:
        async for output in outputs:
            heard += output.data
            if wanted in heard:
                return
    raise AssertionError(f"it said {heard!r}")


async def processes(bench: Bench, container_id: ContainerID) -> str:
    async with bench.engine.open_exec(container_id, ["ps", "-o", "args"]) as streams:
        return (await all_of(streams))["stdout"].decode()


async def test_output_apart_and_the_exit_code(bench: Bench):
    container_id = await bench.run()
    async with bench.engine.open_exec(container_id, ["sh", "-c", "echo out; echo err >&2; exit 5"]) as streams:
        assert await all_of(streams) == {"stdout": b"out\n", "stderr": b"err\n"}
        assert await streams.exit_code() == 5


async def test_input_and_its_end(bench: Bench):
    container_id = await bench.run()
    async with bench.engine.open_exec(container_id, ["cat"], stdin=True) as streams:
        await streams.write(b"one\n")
        await streams.write(bytes(range(256)))
        await streams.end_input()
        assert (await all_of(streams))["stdout"] == b"one\n" + bytes(range(256))
        assert await streams.exit_code() == 0


async def test_input_that_nobody_reads_is_lost(bench: Bench):
    container_id = await bench.run()
    async with bench.engine.open_exec(container_id, ["true"], stdin=True) as streams:
        assert await all_of(streams) == {"stdout": b"", "stderr": b""}
        for _ in range(3):
            await streams.write(bytes(MEGABYTE // 8))
        assert await streams.exit_code() == 0


async def test_a_terminal_and_its_size(bench: Bench):
    container_id = await bench.run()
    words = ["sh", "-c", "while :; do stty size; sleep 0.1; done"]
    async with bench.engine.open_exec(container_id, words, stdin=True, tty=True) as streams:
        await streams.resize(width=123, height=45)
        await until(streams, b"45 123\r\n")


def digest_of(size: int) -> str:
    """Of what ``flood`` writes."""
    digest = hashlib.sha256()
    for _ in range(size // len(BLOCK)):
        digest.update(BLOCK)
    return digest.hexdigest()


async def flood(streams: ExecStreams, size: int) -> str:
    """Write so much while reading it back; the digest of what came."""

    async def feed() -> None:
        for _ in range(size // len(BLOCK)):
            await streams.write(BLOCK)
        await streams.end_input()

    digest = hashlib.sha256()
    async with asyncio.TaskGroup() as group:
        group.create_task(feed())
        async for output in streams.output():
            digest.update(output.data)
    return digest.hexdigest()


@pytest.mark.timeout(300)
async def test_however_much_it_is_no_memory_is_needed(bench: Bench):
    container_id = await bench.run()
    size = 512 * MEGABYTE
    await processes(bench, container_id)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with bench.engine.open_exec(container_id, ["cat"], stdin=True) as streams:
        assert await flood(streams, size) == digest_of(size)
        assert await streams.exit_code() == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40 * 1024


async def test_who_does_not_listen_makes_the_process_wait(bench: Bench):
    container_id = await bench.run()
    words = ["sh", "-c", "head -c 50000000 /dev/zero; touch /tmp/done"]
    async with bench.engine.open_exec(container_id, words) as streams:
        async with aclosing(streams.output()) as outputs:
            assert (await anext(outputs)).data
        result = await bench.engine.exec(container_id, ["test", "-e", "/tmp/done"], 10)
        assert result.exit_code == 1


async def test_a_command_that_is_left_sees_the_end_of_its_input(bench: Bench):
    container_id = await bench.run()
    words = ["sh", "-c", "cat >/dev/null; echo told >/tmp/told"]
    async with bench.engine.open_exec(container_id, words, stdin=True):
        pass
    assert (await bench.engine.exec(container_id, ["cat", "/tmp/told"], 10)).output == b"told\n"


@pytest.mark.parametrize("tty", [False, True])
async def test_a_command_that_is_left_is_ended(bench: Bench, tty: bool):
    container_id = await bench.run()
    words = ["sh", "-c", "echo begun; exec sleep 12345"]

    async def run() -> None:
        async with bench.engine.open_exec(container_id, words, stdin=True, tty=tty) as streams:
            await until(streams, b"begun")
            begun.set()
            await asyncio.Event().wait()

    begun = asyncio.Event()
    task = asyncio.create_task(run())
    await asyncio.wait_for(begun.wait(), PATIENCE)
    assert "sleep 12345" in await processes(bench, container_id)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "sleep 12345" not in await processes(bench, container_id)


async def test_a_command_is_ended_though_its_leaving_is_cut_short(bench: Bench):
    container_id = await bench.run()
    leaving = asyncio.Event()

    async def leave() -> None:
        async with bench.engine.open_exec(container_id, ["sleep", "7654"]):
            await running()
            leaving.set()

    async def running() -> bool:
        return "sleep 7654" in await processes(bench, container_id)

    task = asyncio.create_task(leave())
    await leaving.wait()
    await asyncio.sleep(0.1)  # it is at it, and waits for the command to end by itself
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not await running()


async def test_where_no_command_can_run(bench: Bench):
    dead = await bench.run("dead", "exit 0")
    await bench.ended(dead)
    with pytest.raises(EngineConflict, match="not running"):
        async with bench.engine.open_exec(dead, ["true"]):
            pass
    with pytest.raises(EngineNotFound):
        async with bench.engine.open_exec(NOBODY, ["true"]):
            pass


async def test_a_command_that_does_not_exist(bench: Bench):
    container_id = await bench.run()
    async with bench.engine.open_exec(container_id, ["/no/such/command"]) as streams:
        heard = await all_of(streams)
        assert b"/no/such/command" in heard["stdout"] + heard["stderr"]
        assert await streams.exit_code() in (126, 127)


# --- attach -----------------------------------------------------------------------------------------------------


REPEAT = "echo ready; while read word; do echo got $word; done; echo over; sleep 0.2"


async def test_attached_one_hears_and_is_heard_and_may_leave(bench: Bench):
    container_id = await bench.run("app", REPEAT, stdin=True)
    await said(bench, container_id)
    for word in ("one", "two"):
        async with bench.engine.open_attach(container_id, stdin=True) as streams:
            await streams.write(f"{word}\n".encode())
            await streams.end_input()  # but others may have more to say
            await until(streams, f"got {word}\n".encode())


async def test_input_that_is_given_once_ends_with_the_one_who_gives_it(bench: Bench):
    container_id = await bench.run("app", REPEAT, stdin=True, stdin_once=True)
    await said(bench, container_id)
    async with bench.engine.open_attach(container_id, stdin=True) as streams:
        await streams.write(b"one\n")
        await streams.end_input()
        assert (await all_of(streams))["stdout"] == b"got one\nover\n"


async def test_an_attached_terminal(bench: Bench):
    script = "echo ready; while :; do stty size; sleep 0.1; done"
    container_id = await bench.run("app", script, stdin=True, tty=True)
    async with bench.engine.open_attach(container_id, stdin=True) as streams:
        await streams.resize(width=99, height=11)
        await until(streams, b"11 99\r\n")


async def test_many_streams_need_no_threads(bench: Bench):
    container_id = await bench.run("app", "read word; echo got $word; sleep 1000", stdin=True)
    async with AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(bench.engine.open_attach(container_id, stdin=True)) for _ in range(50)
        ]
        assert threading.active_count() <= THREADS + 1
        await opened[0].write(b"it\n")
        await asyncio.gather(*(until(streams, b"got it\n") for streams in opened))


# --- ports ------------------------------------------------------------------------------------------------------


async def listening(bench: DockerBench) -> ContainerID:
    """A pod with a program on its loopback; its sandbox."""
    image = await bench.engine.sandbox_image()
    sandbox_id = await bench.run_sandbox(image=image, entrypoint=())
    server = await bench.run("app", LISTEN, network=f"container:{sandbox_id}")

    async def look() -> bool:
        return b"8080" in (await bench.engine.exec(server, ["netstat", "-ltn"], 10)).output

    await eventually(look)
    return sandbox_id


async def test_a_port_of_the_pods_own_loopback(bench: DockerBench):
    sandbox_id = await listening(bench)
    async with bench.engine.open_port(sandbox_id, 8080) as streams:
        assert await flood(streams, 8 * MEGABYTE) == digest_of(8 * MEGABYTE)
        assert await streams.exit_code() == 0
    async with bench.engine.open_port(sandbox_id, 8081) as streams:
        await streams.write(b"GET /index.html HTTP/1.0\r\n\r\n")
        assert b"from-loopback" in (await all_of(streams))["stdout"]


async def test_a_port_where_nobody_listens(bench: DockerBench):
    image = await bench.engine.sandbox_image()
    sandbox_id = await bench.run_sandbox(image=image, entrypoint=())
    async with bench.engine.open_port(sandbox_id, 81) as streams:
        assert await all_of(streams) == {"stdout": b"", "stderr": b"connect: 81: Connection refused\n"}
        assert await streams.exit_code() == 1
