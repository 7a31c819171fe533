"""What real containers use: as the kernel says it here, and as the engine says it of the same containers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import docker
import pytest
from blockbuster import blockbuster_ctx

from tests.contract.benches import DockerBench, said
from tests.contract.conftest import allow_what_starts_threads
from vkprovider.engine.cgroups import Cgroups
from vkprovider.engine.endpoint import find_endpoint
from vkprovider.engine.machine_files import MachineFiles
from vkprovider.engine.unary import Unary
from vkprovider.engine.usage import EngineUsage
from vkprovider.model.create import Limits, Mount
from vkprovider.model.refs import ContainerID
from vkprovider.model.usage import ContainerUsage
from vkprovider.node.clock import SystemClock

pytestmark = pytest.mark.docker

MIB = 1 << 20
BURN = "echo ready; while :; do :; done"
HOLD = "head -c 32000000 /dev/zero > /held/zeros; head -c 3000000 /dev/zero > /written; echo ready; exec sleep 1000"
QUOTA = Limits(cpu_quota=20_000, cpu_period=100_000, memory=64 * MIB)
SPARE = Limits(memory=256 * MIB)


@pytest.fixture
async def bench(client: docker.APIClient, images: tuple[str, str]) -> AsyncIterator[DockerBench]:
    bench = DockerBench(client, *images, find_endpoint().url)
    with blockbuster_ctx("vkprovider") as watched:
        allow_what_starts_threads(watched)
        yield bench
    await bench.clean()


async def working(bench: DockerBench) -> tuple[ContainerID, ContainerID, ContainerID]:
    """A sandbox, one that burns what it may of the processor, and one that holds memory and has written."""
    sandbox = await bench.run_sandbox()
    network = f"container:{sandbox}"
    await bench.engine.create_volume(f"held-{bench.uid}", {}, {"type": "tmpfs", "device": "tmpfs"})
    held = Mount(source=f"held-{bench.uid}", target="/held", volume=True)
    burner = await bench.run("burner", BURN, limits=QUOTA, network=network)
    holder = await bench.run("holder", HOLD, limits=SPARE, network=network, mounts=(held,))
    for container in (burner, holder):
        await said(bench, container)
    return sandbox, burner, holder


def check(burner: ContainerUsage, holder: ContainerUsage, sandbox: ContainerUsage) -> None:
    assert 100_000_000 < burner.nanocores < 300_000_000  # 200 millicores are what it may have
    assert burner.reading.cpu.throttled_periods > 0
    assert burner.reading.cpu.periods >= burner.reading.cpu.throttled_periods
    assert (burner.reading.cpu.quota, burner.reading.memory.limit) == (20_000, 64 * MIB)
    memory = holder.reading.memory
    assert 30 * MIB < memory.working_set <= memory.usage < 64 * MIB
    assert memory.limit == 256 * MIB
    assert memory.page_faults > 0
    for each in (burner, holder, sandbox):
        assert each.reading.cpu.total > 0
        assert each.reading.memory.working_set > 0
        assert each.reading.processes >= 1
    assert [each.name for each in sandbox.reading.network] == ["eth0"]
    assert holder.reading.network == ()  # it is the sandbox's


@pytest.mark.clock
async def test_from_cgroups(bench: DockerBench, tmp_path: Path):
    sandbox, burner, holder = await working(bench)
    usages = bench.docker.usages(str(tmp_path), SystemClock())
    found = (await usages.usage()).containers
    check(found[burner], found[holder], found[sandbox])
    assert set(found) == {sandbox, burner, holder}
    disks = await usages.disk_usage()
    root, logs = disks.containers[holder].root, disks.containers[holder].logs
    assert root is not None
    assert 3_000_000 <= root.used < 4_000_000
    assert disks.engine is not None
    assert disks.images > 1000
    if os.geteuid() == 0:  # others may not look at the engine's files: then it counts bytes, and nobody else
        assert root.inodes is not None
        assert root.inodes >= 2
        assert logs is not None
        assert logs.inodes == 1


async def test_what_has_ended_goes_on_counting_in_its_pod(bench: DockerBench, tmp_path: Path):
    if not (await bench.engine.info()).pod_limits:
        pytest.skip("pods have no cgroups of their own here")
    whole = Limits(memory=256 * MIB)
    holder = await bench.run("holder", "echo ready; exec sleep 1000", pod_limits=whole)
    burner = await bench.run("burner", BURN, pod_limits=whole)
    for container in (holder, burner):
        await said(bench, container)
    before = await bench.docker.usages(str(tmp_path), SystemClock()).usage()
    burnt = before.containers[burner].reading.cpu.total
    assert before.pods[bench.uid].cpu.total >= burnt
    await bench.engine.remove(burner)
    after = await bench.docker.usages(str(tmp_path), SystemClock()).usage()
    assert set(after.containers) == {holder}
    assert after.pods[bench.uid].cpu.total >= before.pods[bench.uid].cpu.total
    assert after.containers[holder].reading.cpu.total < burnt
    assert after.pods[bench.uid].memory.limit == whole.memory
    await bench.engine.remove(holder)
    await bench.engine.forget(bench.uid)


async def test_from_the_engine_where_cgroups_cannot_be_seen(bench: DockerBench, tmp_path: Path):
    sandbox, burner, holder = await working(bench)
    unary, clock = Unary(await asyncio.to_thread(find_endpoint), 4, 30.0), SystemClock()
    hidden = EngineUsage(bench.docker.running, unary, clock, MachineFiles(clock.now), Cgroups(tmp_path))
    found = (await hidden.usage()).containers
    await unary.close()
    check(found[burner], found[holder], found[sandbox])


async def test_the_machine(bench: DockerBench, tmp_path: Path):
    usages = bench.docker.usages(str(tmp_path), SystemClock())
    busy = await asyncio.create_subprocess_exec(
        "sh", "-c", "while :; do :; done"
    )  # else the machine may rest just then
    try:
        usage = await usages.usage()
    finally:
        busy.kill()
        await busy.wait()
    machine, info = usage.machine, await bench.engine.info()
    assert (machine.cpus, machine.capacity) == (info.cpus, info.memory)
    assert 0 < machine.nanocores <= machine.cpus * 1_200_000_000
    assert 0 < machine.memory.working_set <= machine.memory.usage < machine.capacity
    assert 0 < machine.threads < machine.threads_max
    assert machine.booted_at < machine.at
    own = usage.processes["kubelet"]
    assert own.cpu.total > 0
    assert MIB < own.memory.rss < machine.memory.usage
    assert machine.booted_at < own.started_at < own.at
