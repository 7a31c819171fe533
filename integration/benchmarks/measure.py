"""What the benchmarks share: raw Docker pods to compare with, and figures as they are printed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import docker


def timed(work: Callable[[], None]) -> float:
    """Seconds."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def shown(name: str, seconds: Sequence[float]) -> str:
    """The median with its range."""
    return f"{name:34} {statistics.median(seconds):6.3f} s   ({min(seconds):.3f} to {max(seconds):.3f})"


def sandbox_image(client: docker.APIClient) -> str:
    """The image of vkprovider's sandboxes, once a pod has run."""
    tags = (tag for image in client.images() for tag in image["RepoTags"] or ())
    return next(tag for tag in tags if tag.startswith("vkprovider/sandbox:"))


def start_raw(client: docker.APIClient, sandbox: str, image: str, command: Sequence[str]) -> tuple[str, str]:
    """A pod of one container, with as few calls as can be: the sandbox's ID and the container's, both started."""
    host = client.create_host_config(ipc_mode="shareable")
    pause = client.create_container(sandbox, host_config=host)["Id"]
    client.start(pause)
    joined = client.create_host_config(network_mode=f"container:{pause}", ipc_mode=f"container:{pause}")
    app = client.create_container(image, list(command), host_config=joined)["Id"]
    client.start(app)
    return pause, app


def remove_raw(client: docker.APIClient, ids: Sequence[str]) -> None:
    for container_id in reversed(ids):
        client.remove_container(container_id, force=True)
