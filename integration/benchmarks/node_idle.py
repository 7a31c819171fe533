"""What ``vkprovider node`` costs while nothing happens.

    python -m integration.benchmarks.node_idle [PODS]

Claim: with 100 running pods it takes less than 1 % of one core.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from integration.benchmarks.pods import NODE, Pods
from integration.cluster.controlplane import ControlPlane
from integration.cluster.nodes import NodeProcess, make_image
from vkprovider.kube.client import ApiClient
from vkprovider.node.clock import SystemClock

WINDOW = 90  # seconds: three relists
YOUNG = 60  # seconds: for so long a pod that began is looked at by each relist
ALLOWED_PERCENT = 1.0


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def bench(kubeconfig: Path, pid: int, count: int) -> None:
    api = ApiClient(SystemClock(), str(kubeconfig))
    pods = Pods(api)
    following = asyncio.create_task(pods.follow())
    names = await pods.create(count, "exec sleep 3600")
    await pods.until_all(names, "ready")
    await asyncio.sleep(YOUNG)
    before, begun = cpu_seconds(pid), time.perf_counter()
    await asyncio.sleep(WINDOW)
    percent = 100 * (cpu_seconds(pid) - before) / (time.perf_counter() - begun)
    print(f"{count} idle pods: {percent:.2f} % of a core   (claimed: less than {ALLOWED_PERCENT:.0f} %)")
    print(f"resident: {resident_mib(pid):.0f} MiB")
    await pods.remove(names)
    following.cancel()
    await api.aclose()


def main(count: int) -> None:
    make_image()
    with (
        ControlPlane.start() as plane,
        tempfile.TemporaryDirectory() as folder,
        NodeProcess(plane, NODE, Path(folder), plane.kubeconfig) as node,
    ):
        asyncio.run(bench(plane.kubeconfig, node.pid, count))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
