"""How fast ``vkprovider node`` is: pods as ratios to the same raw Docker calls made in the same minutes.

    python -m integration.benchmarks.node_speed [ROUNDS]

Claims: from the creation of a pod in the API until it is Ready, scheduler and all, takes at most 1.4 times the raw
Docker calls, for one pod and for 20 at once; 150 ms after a container has ended the API server has its status (95 of
100). A real control plane and the local engine take part, and nothing else should run on the machine.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import docker

from integration.benchmarks.measure import remove_raw, sandbox_image, shown, start_raw, timed
from integration.benchmarks.pods import NODE, Pods
from integration.cluster.controlplane import ControlPlane
from integration.cluster.nodes import IMAGE, NodeProcess, make_image
from vkprovider.kube.client import ApiClient
from vkprovider.node.clock import SystemClock

TOGETHER = 20
THREADS = 8  # the raw calls for many pods at once
EXITS = 100
ALLOWED_READY, ALLOWED_EXIT = 1.4, 0.150
STAY = ["sleep", "3600"]


async def ready_seconds(pods: Pods, count: int) -> float:
    """From the creation of so many pods until the last is Ready."""
    begun = SystemClock().now().timestamp()
    names = await pods.create(count, "exec sleep 3600")
    await pods.until_all(names, "ready")
    seconds = max(pods.first[name, "ready"] for name in names) - begun
    await pods.remove(names)
    return seconds


async def exit_delays(pods: Pods, client: docker.APIClient) -> list[float]:
    """From the end of a container, as the engine dates it, until the API shows the pod to be over.

    One ends after the other: an engine that is busy starting containers tells late of those that end.
    """
    names = await pods.create(EXITS, "exec sleep 3600")
    await pods.until_all(names, "ready")
    delays = []
    for name in names:
        container_id = pods.raw(name)["status"]["containerStatuses"][0]["containerID"].removeprefix("docker://")
        await asyncio.to_thread(client.kill, container_id)
        await pods.until_all([name], "over")
        inspected = await asyncio.to_thread(client.inspect_container, container_id)
        delays.append(pods.first[name, "over"] - _seconds(inspected["State"]["FinishedAt"]))
    await pods.remove(names)
    return delays


def _seconds(stamp: str) -> float:
    """The time of a stamp of the engine, which has nanoseconds."""
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    return datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp() + float(f"0.{fraction or 0}")


def raw_pods(client: docker.APIClient, executor: ThreadPoolExecutor, count: int) -> float:
    """The time that so many pods take with nothing but Docker calls."""
    started: list[tuple[str, str]] = []
    sandbox = sandbox_image(client)

    def start_all() -> None:
        started.extend(executor.map(lambda _: start_raw(client, sandbox, IMAGE, STAY), range(count)))

    seconds = timed(start_all)
    list(executor.map(lambda ids: remove_raw(client, ids), started))
    return seconds


async def bench(api: ApiClient, rounds: int) -> None:
    pods, client = Pods(api), docker.APIClient(version="auto", timeout=60, num_pools=THREADS)
    following = asyncio.create_task(pods.follow())
    await ready_seconds(pods, 1)  # loads the sandbox image
    with ThreadPoolExecutor(THREADS) as executor:
        for count in (1, TOGETHER):
            raw, ours = [], []
            for _ in range(rounds):
                raw.append(await asyncio.to_thread(raw_pods, client, executor, count))
                ours.append(await ready_seconds(pods, count))
            print(shown(f"{count} raw", raw))
            print(shown(f"{count} created to Ready", ours))
            ratio = statistics.median(one / other for one, other in zip(ours, raw, strict=True))
            print(f"ratio {ratio:.2f}   (claimed: at most {ALLOWED_READY})\n", flush=True)
    delays = await exit_delays(pods, client)
    p95 = statistics.quantiles(delays, n=20)[-1]
    print(shown(f"{EXITS} exits to status", delays))
    print(f"95 of 100 within {p95:.3f} s   (claimed: {ALLOWED_EXIT} s)")
    following.cancel()


async def with_api(kubeconfig: Path, rounds: int) -> None:
    api = ApiClient(SystemClock(), str(kubeconfig))
    try:
        await bench(api, rounds)
    finally:
        await api.aclose()


def main(rounds: int) -> None:
    make_image()
    with (
        ControlPlane.start() as plane,
        tempfile.TemporaryDirectory() as folder,
        NodeProcess(plane, NODE, Path(folder), plane.kubeconfig),
    ):
        asyncio.run(with_api(plane.kubeconfig, rounds))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
