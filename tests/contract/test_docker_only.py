"""What only a real engine can show: that Docker takes what it is given, and that what should end has ended."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.contract.benches import PATIENCE, DockerBench, eventually
from tests.engine.busybox_image import load_image
from tests.fakes.programs import Program
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.engine.endpoint import find_endpoint
from vkprovider.engine.kernel_limits import OOM_SCORE_NOTE
from vkprovider.engine.tools import TOOL_TYPE
from vkprovider.errors import EngineNotFound, ImagePullError
from vkprovider.model.create import Limits, Mount, PortBinding
from vkprovider.model.labels import NODE, TYPE
from vkprovider.model.observed import Run
from vkprovider.model.refs import ContainerID

pytestmark = pytest.mark.docker


@pytest.fixture
def idle_bench(client: docker.APIClient, images: tuple[str, str]) -> DockerBench:
    return DockerBench(client, *images, find_endpoint().url)


@pytest.fixture
async def bench(idle_bench: DockerBench) -> AsyncIterator[DockerBench]:
    yield idle_bench
    await idle_bench.clean()


async def output(bench: DockerBench, script: str, **spec: Any) -> list[str]:
    """What a script of the shell says in a container of its own."""
    container_id = await bench.run(f"c{uuid.uuid4().hex[:8]}", script, **spec)
    await bench.ended(container_id)
    lines = [line.data.decode() async for line in bench.engine.logs(container_id)]
    return "".join(lines).splitlines()


# --- create -----------------------------------------------------------------------------------------------------


async def test_a_container_is_as_it_was_asked_for(bench: DockerBench, tmp_path: Path):
    (tmp_path / "with:colon").mkdir()
    (tmp_path / "with:colon" / "file").write_text("from the host")
    await bench.engine.create_volume(f"vkprovider-{bench.uid}", {}, {})
    script = """
        pwd; id -u; id -g; id -G; hostname; echo $A
        cat /host/file; echo
        touch /host/file 2>/dev/null || echo read-only mount
        touch /file 2>/dev/null || echo read-only root
        grep -q ' /data ' /proc/mounts && ls -A /data && echo empty volume
        grep NoNewPrivs /proc/self/status
        grep CapBnd /proc/self/status
        cat /proc/self/oom_score_adj
        cat /proc/sys/net/ipv4/ip_unprivileged_port_start
        grep -E '^(options|search) ' /etc/resolv.conf | sort
    """
    lines = await output(
        bench,
        script,
        env=("A=value with spaces",),
        working_dir="/tmp",
        user="12:34",
        groups=("56", "78"),
        hostname="named",
        dns_searches=("example.test",),
        dns_options=("ndots:5",),
        mounts=(
            Mount(source=str(tmp_path / "with:colon"), target="/host", read_only=True),
            Mount(source=f"vkprovider-{bench.uid}", target="/data", volume=True),
        ),
        network="none",
        read_only_root=True,
        cap_drop=("ALL",),
        cap_add=("CHOWN",),
        security_opts=("no-new-privileges", "seccomp=unconfined"),
        sysctls={"net.ipv4.ip_unprivileged_port_start": "7"},
        limits=Limits(memory=32 << 20, cpu_quota=50_000, cpu_shares=512, pids=50, oom_score_adj=500),
    )
    assert lines == [
        "/tmp",
        *("12", "34", "34 56 78", "named", "value with spaces"),
        *("from the host", "read-only mount", "read-only root", "empty volume"),
        *("NoNewPrivs:\t1", "CapBnd:\t0000000000000001", "500", "7"),
        *("options ndots:5", "search example.test"),
    ]


async def test_an_entrypoint_drops_the_images_arguments_and_arguments_keep_its_entrypoint(bench: DockerBench):
    image = f"vkprovider-contract/entry:{uuid.uuid4().hex[:12]}"
    await asyncio.to_thread(load_image, bench.client, image, Entrypoint=["echo", "entry"], Cmd=["arguments"])
    try:
        assert await output(bench, "", image=image, entrypoint=None) == ["entry arguments"]
        assert await output(bench, "", image=image, entrypoint=None, args=("mine",)) == ["entry mine"]
        assert await output(bench, "", image=image, entrypoint=("echo", "own"), args=()) == ["own"]
    finally:
        await asyncio.to_thread(bench.remove_all)
        await asyncio.to_thread(bench.client.remove_image, image, force=True)


async def test_a_sandbox_shares_its_namespaces(bench: DockerBench):
    sandbox_id = await bench.run_sandbox(hostname="the-pod", ipc="shareable")
    joined = f"container:{sandbox_id}"
    script = "hostname; cat /proc/1/comm; [ /proc/self/ns/net -ef /proc/1/ns/net ] && echo same"
    lines = await output(bench, script, network=joined, ipc=joined, pid=joined)
    assert lines == ["the-pod", "sleep", "same"]


async def test_a_port_is_bound_on_the_host(bench: DockerBench, unused_tcp_port: int):
    port = PortBinding(container_port=8080, host_port=unused_tcp_port, host_ip="127.0.0.1")
    await bench.run(
        "POD", "mkdir /tmp/w; echo hello >/tmp/w/index.html; exec httpd -f -p 8080 -h /tmp/w", ports=(port,)
    )

    async def get() -> bytes:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            answer = await reader.read()
            writer.close()
        except ConnectionError:
            return b""
        return answer

    assert b"hello" in await eventually(get)


async def test_a_port_of_each_protocol_is_asked_for(bench: DockerBench):
    """One that is for SCTP is: whether the kernel has it shows when the container starts."""
    protocols = ("tcp", "udp", "sctp")
    ports = tuple(PortBinding(container_port=7, host_port=7, protocol=each, host_ip="127.0.0.1") for each in protocols)
    created = await bench.create(ports=ports)
    inspected = await asyncio.to_thread(bench.client.inspect_container, created)
    bound = {"HostIp": "127.0.0.1", "HostPort": "7"}
    assert inspected["HostConfig"]["PortBindings"] == {f"7/{each}": [bound] for each in protocols}
    assert set(inspected["Config"]["ExposedPorts"]) == {f"7/{each}" for each in protocols}


async def test_a_mount_of_nothing_is_refused_and_not_made_up(bench: DockerBench, tmp_path: Path):
    with pytest.raises(Exception, match="does not exist"):
        await bench.create(mounts=(Mount(source=str(tmp_path / "nothing"), target="/x"),))
    assert not (tmp_path / "nothing").exists()


async def test_a_negative_oom_score_never_keeps_a_container_from_starting(bench: DockerBench):
    container_id = await bench.run(limits=Limits(oom_score_adj=-998))
    state = await bench.see(container_id)
    assert state is not None
    assert state.run is Run.RUNNING
    inspected = await asyncio.to_thread(bench.client.inspect_container, container_id)
    limited = bench.docker.limitations == (OOM_SCORE_NOTE,)
    assert inspected["HostConfig"]["OomScoreAdj"] == (0 if limited else -998)


async def test_the_limits_are_told_with_the_info(bench: DockerBench):
    """What looking at the engine's process finds is what trying a container finds."""
    await bench.engine.info()

    def try_it() -> bool:
        settings = bench.client.create_host_config(oom_score_adj=-998)
        labels = {NODE: bench.engine.node}
        made = bench.client.create_container(bench.image, ["true"], labels=labels, host_config=settings)
        try:
            bench.client.start(made["Id"])
        except docker.errors.APIError:
            return False
        return True

    allowed = await asyncio.to_thread(try_it)
    assert bench.docker.limitations == (() if allowed else (OOM_SCORE_NOTE,))


@pytest.fixture
def network_of_both(bench: DockerBench) -> Iterator[str]:
    """A network whose containers have an address of each family."""
    name = f"vkprovider-test-{uuid.uuid4().hex[:8]}"
    pool = docker.types.IPAMPool(subnet=f"fd{uuid.uuid4().hex[:2]}:{uuid.uuid4().hex[:4]}:{uuid.uuid4().hex[:4]}::/64")
    try:
        bench.client.create_network(name, enable_ipv6=True, ipam=docker.types.IPAMConfig(pool_configs=[pool]))
    except docker.errors.APIError as exc:
        pytest.skip(f"the engine has no IPv6: {exc}")
    yield name
    bench.remove_all()
    bench.client.remove_network(name)


async def test_a_sandbox_has_an_address_of_each_family(bench: DockerBench, network_of_both: str):
    await bench.run_sandbox(network=network_of_both)
    (sandbox,) = (await bench.engine.observe(bench.uid)).sandboxes
    assert [ip_address(ip).version for ip in sandbox.ips] == [4, 6]


async def test_a_paused_container_is_paused(bench: DockerBench):
    container_id = await bench.run()
    await asyncio.to_thread(bench.client.pause, container_id)
    state = await bench.see(container_id)
    assert state is not None
    assert (state.run, state.alive) == (Run.PAUSED, True)
    await bench.engine.remove(container_id)
    assert await bench.see(container_id) is None


async def test_many_pods_at_once(bench: DockerBench):
    async def pod(number: int) -> None:
        name = f"app-{number}"
        container_id = await bench.run(name, f"exit {number}")
        assert (await bench.ended(container_id)).exit_code == number
        await bench.engine.remove(container_id)

    await asyncio.gather(*(pod(number) for number in range(20)))
    assert (await bench.engine.observe(bench.uid)).containers == ()


# --- exec -------------------------------------------------------------------------------------------------------


async def test_a_command_is_really_ended_at_the_end_of_its_time(bench: DockerBench):
    container_id = await bench.run()
    result = await bench.engine.exec(container_id, ["sleep", "4242"], 0.5)
    assert result.exit_code is None
    await no_process(bench, container_id, "sleep 4242")


async def test_a_command_is_really_ended_when_it_is_given_up(bench: DockerBench):
    container_id = await bench.run()
    run = asyncio.create_task(bench.engine.exec(container_id, ["sleep", "4343"], None))

    async def is_there() -> bool:
        return "sleep 4343" in await processes(bench, container_id)

    await eventually(is_there)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await no_process(bench, container_id, "sleep 4343")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_a_command_is_really_ended_for_a_user_who_may_not_signal_it(bench: DockerBench):
    container_id = await bench.run()
    script = Path(__file__).with_name("given_up.py")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')"),
        *(bench.url, container_id, "sleep", "4444"),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    async with asyncio.timeout(PATIENCE):
        said, _ = await process.communicate()
    assert (process.returncode, said) == (0, b"None\n")
    await no_process(bench, container_id, "sleep 4444")


async def processes(bench: DockerBench, container_id: ContainerID) -> str:
    return (await bench.engine.exec(container_id, ["ps", "-o", "args"], None)).output.decode()


async def no_process(bench: DockerBench, container_id: ContainerID, args: str) -> None:
    """Wait until there is no such process in the container, and see that the container has not suffered."""

    async def is_gone() -> bool:
        return args not in await processes(bench, container_id)

    await eventually(is_gone)
    state = await bench.see(container_id)
    assert state is not None
    assert state.run is Run.RUNNING


async def test_a_command_whose_output_ends_early_is_waited_for(bench: DockerBench):
    container_id = await bench.run()
    words = ["sh", "-c", "exec >/dev/null 2>&1; sleep 0.4; exit 6"]
    assert (await bench.engine.exec(container_id, words, 10)).exit_code == 6


async def test_a_command_whose_container_dies(bench: DockerBench):
    container_id = await bench.run()
    run = asyncio.create_task(bench.engine.exec(container_id, ["sleep", "4545"], 30))

    async def is_there() -> bool:
        return "sleep 4545" in await processes(bench, container_id)

    await eventually(is_there)
    await bench.engine.signal(container_id, "KILL")
    async with asyncio.timeout(PATIENCE):
        assert (await run).exit_code == 137


# --- logs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tty", [False, True])
async def test_a_log_of_long_lines(bench: DockerBench, tty: bool):
    script = "yes 0123456789 | tr -d '\\n' | head -c 40000; echo; echo end"
    container_id = await bench.run("app", script, tty=tty)
    await bench.ended(container_id)
    pieces = [line.data async for line in bench.engine.logs(container_id)]
    end = b"\r\n" if tty else b"\n"
    assert b"".join(pieces) == b"0123456789" * 4000 + end + b"end" + end
    assert {len(piece) for piece in pieces[:2]} == {16384}


async def test_a_log_that_is_followed_for_long(bench: DockerBench):
    script = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done"
    container_id = await bench.create("app", script)
    await bench.engine.start(container_id)
    async with asyncio.timeout(PATIENCE):
        lines = [line.data async for line in bench.engine.logs(container_id, follow=True)]
    assert lines == [f"line {number}\n".encode() for number in range(3000)]


async def test_followers_are_not_limited_in_number(bench: DockerBench):
    """Far more than there are threads, and all else goes on meanwhile."""
    container_id = await bench.run("app", "echo hello; sleep 1000")
    followers = [bench.engine.logs(container_id, follow=True) for _ in range(40)]
    async with asyncio.timeout(PATIENCE):
        firsts = await asyncio.gather(*(anext(follower) for follower in followers))
        assert [line.data for line in firsts] == [b"hello\n"] * 40
        assert (await bench.engine.pods()).keys() == {bench.uid}
        await bench.engine.remove(container_id)
        rests = await asyncio.gather(*(anext(follower, None) for follower in followers))
    assert rests == [None] * 40


# --- changes ----------------------------------------------------------------------------------------------------


async def test_execs_wake_nobody(bench: DockerBench):
    container_id = await bench.run()
    async with aclosing(bench.engine.changes()) as changes, asyncio.timeout(PATIENCE):
        assert await anext(changes) is None
        for _ in range(3):
            assert (await bench.engine.exec(container_id, ["true"], None)).exit_code == 0
        bench.uid = type(bench.uid)("next")
        await bench.create("app")
        seen = []
        while "next" not in seen:
            seen.append(await anext(changes))
    # The first pod's start may be told once more, since events are asked for from a moment before.
    assert len(seen) <= 3


# --- tools and the sandbox's image ------------------------------------------------------------------------------


async def test_a_tool_changes_files_of_the_host(bench: DockerBench, tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("x")
    await bench.engine.run_tool(["chmod", "4640", str(path)], str(tmp_path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o4640
    assert await asyncio.to_thread(bench.leftovers) == []


async def test_what_a_crash_has_left_of_tools_is_swept(bench: DockerBench):
    def leave(node: str) -> str:
        labels = {NODE: node, TYPE: TOOL_TYPE}
        return str(bench.client.create_container(bench.image, ["true"], labels=labels)["Id"])

    mine = await asyncio.to_thread(leave, bench.engine.node)
    other = await asyncio.to_thread(leave, "another-node")
    try:
        assert await bench.engine.pods() == {}
        await bench.docker.sweep_tools()
        with pytest.raises(docker.errors.NotFound):
            await asyncio.to_thread(bench.client.inspect_container, mine)
    finally:
        await asyncio.to_thread(bench.client.remove_container, other)  # it is still there


async def test_a_sandbox_image_that_was_removed_is_loaded_again(bench: DockerBench):
    name = f"vkprovider-contract/sandbox:{uuid.uuid4().hex[:12]}"
    repository, _, tag = name.rpartition(":")
    await asyncio.to_thread(bench.client.tag, bench.image, repository, tag)
    engine = DockerEngine(bench.engine.node, bench.url, sandbox_image=name)
    try:
        assert await engine.sandbox_image() == name
        await asyncio.to_thread(bench.client.remove_image, name)
        with pytest.raises(EngineNotFound):
            await engine.create(bench.plan(bench.identity("POD"), "", Program(), image=name))
        with pytest.raises(ImagePullError):  # it is looked for again, and nowhere to be had
            await engine.sandbox_image()
    finally:
        await engine.close()
