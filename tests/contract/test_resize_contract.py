"""New limits for containers that run, and as whom they run."""

from __future__ import annotations

import os

import docker
import pytest

from tests.contract.benches import NOBODY, Bench, DockerBench, eventually
from vkprovider.errors import EngineNotFound
from vkprovider.model.container import ResourceRequirements
from vkprovider.model.create import Limits
from vkprovider.model.labels import encode_resources

BEFORE = Limits(cpu_shares=102, cpu_quota=20_000, memory=64 << 20, oom_score_adj=1000)
SETTINGS = ("Memory", "MemorySwap", "CpuShares", "CpuQuota", "OomScoreAdj")


async def test_an_update_of_what_is_not_there_is_not_found(bench: Bench):
    with pytest.raises(EngineNotFound):
        await bench.engine.update(NOBODY, BEFORE)
    with pytest.raises(EngineNotFound):
        await bench.engine.memory_usage(NOBODY)


async def test_a_running_container_takes_an_update_and_goes_on(bench: Bench):
    container_id = await bench.run(limits=BEFORE)
    await bench.engine.update(container_id, Limits(cpu_shares=204, cpu_quota=40_000, memory=128 << 20))
    state = await bench.see(container_id)
    assert state is not None
    assert state.alive


async def test_containers_that_are_limited_together(bench: Bench):
    container_id = await bench.run(limits=BEFORE, pod_limits=Limits(memory=64 << 20, pids=50))
    state = await bench.see(container_id)
    assert state is not None
    assert state.alive
    await bench.engine.remove(container_id)
    await bench.engine.forget(bench.uid)
    await bench.engine.forget(bench.uid)


async def test_a_container_shows_the_resources_of_its_label(bench: Bench):
    asked = ResourceRequirements(limits={"memory": "64Mi"}, requests={"cpu": "100m", "memory": 1024})
    container_id = await bench.create(labels={"resources": encode_resources(asked)})
    state = await bench.see(container_id)
    assert state is not None
    assert state.resources == asked
    bare = await bench.see(await bench.create("bare"))
    assert bare is not None
    assert bare.resources is None


async def test_what_does_not_run_uses_no_memory(bench: Bench):
    assert await bench.engine.memory_usage(await bench.create()) == 0


@pytest.mark.docker
@pytest.mark.parametrize("unclean_bench", ["docker"], indirect=True)
async def test_an_update_is_in_force_at_once(bench: DockerBench, client: docker.APIClient):
    container_id = await bench.run(limits=BEFORE)
    for after in (
        Limits(cpu_shares=204, cpu_quota=40_000, memory=128 << 20),
        Limits(cpu_shares=2, cpu_quota=10_000, memory=32 << 20),
    ):
        await bench.engine.update(container_id, after)
        host = client.inspect_container(container_id)["HostConfig"]
        expected = (after.memory, after.memory, after.cpu_shares, after.cpu_quota, 1000)
        assert tuple(host[name] for name in SETTINGS) == expected


@pytest.mark.docker
@pytest.mark.parametrize("unclean_bench", ["docker"], indirect=True)
async def test_a_limit_that_is_not_given_stays(bench: DockerBench, client: docker.APIClient):
    container_id = await bench.run(limits=BEFORE)
    await bench.engine.update(container_id, Limits(cpu_shares=204))
    host = client.inspect_container(container_id)["HostConfig"]
    assert (host["Memory"], host["CpuQuota"], host["CpuShares"]) == (64 << 20, 20_000, 204)


@pytest.mark.docker
@pytest.mark.parametrize("unclean_bench", ["docker"], indirect=True)
async def test_what_runs_uses_memory(bench: DockerBench):
    container_id = await bench.run(script="head -c 20000000 /dev/zero >/dev/shm/hoard; sleep 1000")

    async def enough() -> bool:
        return await bench.engine.memory_usage(container_id) > 20_000_000

    await eventually(enough)


@pytest.mark.docker
@pytest.mark.skipif(not os.path.isdir("/proc/1"), reason="the engine's processes are not to be seen")
@pytest.mark.parametrize("unclean_bench", ["docker"], indirect=True)
@pytest.mark.parametrize(
    ("user", "groups", "expected"),
    [("", (), (0, 0)), ("1000:2000", ("3000",), (1000, 2000)), ("77", (), (77, 0))],
)
async def test_as_whom_a_container_runs(
    bench: DockerBench, user: str, groups: tuple[str, ...], expected: tuple[int, int]
):
    container_id = await bench.run(user=user, groups=groups)
    seen = await bench.see(container_id)
    assert seen is not None
    assert seen.user is not None
    assert (seen.user.uid, seen.user.gid) == expected
    assert {int(gid) for gid in groups} <= set(seen.user.groups)
    await bench.engine.signal(container_id, "KILL")
    ended = await bench.ended(container_id)
    assert ended.user == seen.user
