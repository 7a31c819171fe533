"""What a pod's requests and limits come to on a real engine: settings of containers, and the kernel's own files."""

from __future__ import annotations

import asyncio
import json
import subprocess
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from integration.docker import pods
from tests.contract.benches import eventually
from vkprovider.core.actions import StartContainer
from vkprovider.core.create import Gathered, NodeFacts, plan_container, plan_sandbox
from vkprovider.core.devices import Device
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.errors import EngineError
from vkprovider.model.create import DeviceMapping
from vkprovider.model.observed import ContainerState, Run
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.model.refs import ContainerID, PodUID
from vkprovider.node.clock import SystemClock
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.node.pod_uses import PodUses

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("busybox")]

MI = 1 << 20
MEMORY = 4 << 30
BOTH = {"cpu": "100m", "memory": "64Mi"}
# Its first process keeps so many bytes: it may have to print them when its input ends.
HOLD = "mkfifo /f; (head -c {bytes} /dev/zero; sleep 600) > /f & exec tail -c {bytes} /f"


class Bench:
    """Pods on a real engine, made of the plans, without any decision."""

    def __init__(self, engine: DockerEngine) -> None:
        self.engine = engine
        self.node = NodeFacts(name=engine.node, memory=MEMORY)
        self.uid = PodUID(uuid.uuid4().hex)

    def pod(self, *containers: dict[str, Any], **spec: Any) -> Pod:
        metadata = {"name": "p", "namespace": "test", "uid": self.uid}
        return decode_pod({"metadata": metadata, "spec": {"containers": list(containers), **spec}})

    async def create(self, pod: Pod, **given: tuple[str, ...]) -> list[ContainerID]:
        """The pod's sandbox, started, and its containers; ``given`` are devices of all of them, by the name's end."""
        image = await self.engine.image(pods.IMAGE)
        assert image is not None
        sandbox = await self.engine.create(plan_sandbox(pod, self.node, 0, await self.engine.sandbox_image()))
        await self.engine.start(sandbox)
        devices = {
            name: given[name.rpartition("/")[2]] for name in self.node.devices if name.rpartition("/")[2] in given
        }
        made = []
        for container in pod.spec.containers:
            start = StartContainer(
                key=container.name,
                attempt=0,
                sandbox_id=sandbox,
                image_id=image.id,
                backoff_seconds=0,
                devices=devices,
            )
            made.append(await self.engine.create(plan_container(pod, container, start, self.node, Gathered())))
        return made

    async def start(self, pod: Pod, **given: tuple[str, ...]) -> list[ContainerID]:
        made = await self.create(pod, **given)
        for container in made:
            await self.engine.start(container)
        return made

    async def inside(self, container: ContainerID, script: str) -> list[str]:
        result = await self.engine.exec(container, ["sh", "-c", script], 20)
        return result.output.decode().splitlines()

    async def see(self, container: ContainerID) -> ContainerState:
        state = (await self.engine.observe(self.uid)).by_id(container)
        assert state is not None
        return state

    async def end(self) -> None:
        observed = await self.engine.observe(self.uid)
        for target in (*observed.containers, *observed.sandboxes):
            await self.engine.remove(target.id)
        await self.engine.forget(self.uid)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    engine = DockerEngine(f"test-resources-{uuid.uuid4().hex[:8]}")
    made = Bench(engine)
    yield made
    await made.end()
    await engine.close()


def host_config(container: ContainerID) -> dict[str, Any]:
    shown = subprocess.run(["docker", "inspect", container], check=True, capture_output=True, text=True).stdout
    config: dict[str, Any] = json.loads(shown)[0]["HostConfig"]
    return config


def sleeper(name: str = "app", script: str = "exec sleep 600", **fields: Any) -> dict[str, Any]:
    return pods.shell(name, script, **fields)


SETTINGS = ("CpuShares", "CpuQuota", "Memory", "MemorySwap", "OomScoreAdj")


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, (2, 0, 0, 0, 1000)),
        ({"requests": {"memory": "1Gi"}}, (2, 0, 0, 0, 750)),
        ({"requests": {"cpu": "100m"}, "limits": {"cpu": "500m"}}, (102, 50_000, 0, 0, 999)),
        ({"limits": BOTH}, (102, 10_000, 64 * MI, 64 * MI, -997)),
    ],
    ids=["BestEffort", "Burstable", "Burstable by cpu", "Guaranteed"],
)
async def test_settings_by_quality_of_service(
    bench: Bench, resources: dict[str, Any], expected: tuple[int, ...]
) -> None:
    (container,) = await bench.start(bench.pod(sleeper(resources=resources)))
    config = await asyncio.to_thread(host_config, container)
    score = expected[-1] if expected[-1] > 0 or not bench.engine.limitations else 0  # the host may withhold it
    assert tuple(config[name] for name in SETTINGS) == (*expected[:-1], score)
    (seen,) = await bench.inside(container, "cat /proc/1/oom_score_adj")
    assert int(seen) == score


async def needs_pod_limits(bench: Bench) -> None:
    if not (await bench.engine.info()).pod_limits:
        pytest.skip("the engine is on another machine, or leaves cgroups to systemd")


async def test_a_pod_as_a_whole_has_a_cgroup(bench: Bench) -> None:
    await needs_pod_limits(bench)
    of = bench.pod(sleeper("a"), sleeper("b"), resources={"limits": BOTH})
    found = await bench.start(of)
    for container in found:
        state = await bench.see(container)
        where = await asyncio.to_thread(Path(f"/proc/{state.pid}/cgroup").read_text)
        assert f"/vkprovider/pod{bench.uid}/{container}" in where
        config = await asyncio.to_thread(host_config, container)
        assert (config["Memory"], config["CpuQuota"]) == (64 * MI, 10_000)
    await bench.end()
    left = await asyncio.to_thread(lambda: [*Path("/sys/fs/cgroup").glob(f"**/pod{bench.uid}")])
    assert left == []


async def test_containers_share_the_memory_of_their_pod(bench: Bench) -> None:
    await needs_pod_limits(bench)
    hold = HOLD.format(bytes=40 * MI)
    of = bench.pod(sleeper("a", hold), sleeper("b", hold), resources={"limits": {"memory": "60Mi"}})
    containers = await bench.start(of)

    async def look() -> list[ContainerState]:
        states = [await bench.see(container) for container in containers]
        return [state for state in states if state.run is Run.EXITED]

    ended = await eventually(look)
    assert {(state.exit_code, state.oom_killed) for state in ended} == {(137, True)}


async def test_processes_are_counted(bench: Bench) -> None:
    bench.node = msgspec.structs.replace(bench.node, pod_max_pids=12)
    first, second = await bench.start(bench.pod(sleeper("a"), sleeper("b")))
    assert (await asyncio.to_thread(host_config, first))["PidsLimit"] == 12
    many = "for n in 1 2 3 4 5 6 7 8; do sleep 600 & done 2>&1; true"
    await bench.inside(first, many)
    if (await bench.engine.info()).pod_limits:  # what is left for the other is less than it would have alone
        assert any("fork" in line for line in await bench.inside(second, many))
    else:
        assert any("fork" in line for line in await bench.inside(first, many))


async def test_a_device_by_another_name(bench: Bench) -> None:
    zero = DeviceMapping(source="/dev/zero", target="/dev/plenty", access="r")
    devices = {"example.com/plenty": (Device(id="/dev/zero#0", mapping=zero),)}
    bench.node = msgspec.structs.replace(bench.node, devices=devices)
    (container,) = await bench.start(bench.pod(sleeper()), plenty=("/dev/zero#0",))
    assert await bench.inside(container, "head -c 3 /dev/plenty | wc -c") == ["3"]


async def test_gpus_are_asked_of_the_engine(bench: Bench) -> None:
    bench.node = msgspec.structs.replace(bench.node, devices={"nvidia.com/gpu": (Device(id="0"), Device(id="GPU-8a"))})
    (container,) = await bench.create(bench.pod(sleeper()), gpu=("GPU-8a",))
    (request,) = (await asyncio.to_thread(host_config, container))["DeviceRequests"]
    assert (request["Driver"], request["DeviceIDs"], request["Capabilities"]) == ("nvidia", ["GPU-8a"], [["gpu"]])
    if "nvidia" not in (await bench.engine.info()).runtimes:
        with pytest.raises(EngineError, match="could not select device driver"):
            await bench.engine.start(container)


async def test_what_a_pod_writes_is_counted(bench: Bench, tmp_path: Path) -> None:
    uses = PodUses(bench.engine, bench.engine.usages(str(tmp_path), SystemClock()), PodDirs(str(tmp_path)))
    of = bench.pod(sleeper("app", "head -c 3000000 /dev/zero > /file; head -c 1500000 /dev/zero; exec sleep 600"))
    (container,) = await bench.start(of)

    async def has_written() -> bool:
        return await bench.inside(container, "cat /proc/1/comm") == ["sleep"]

    await eventually(has_written)
    use = (await uses.disk([of]))[bench.uid]
    assert use.containers[0].name == "app"
    assert 4_500_000 <= use.disk < 40_000_000
    running = (await uses.memory())[bench.uid]
    assert running.processes >= 2
    assert 0 < running.memory < MEMORY
