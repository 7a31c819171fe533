from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import docker
import pytest
from blockbuster import BlockBuster, blockbuster_ctx

from tests.contract.benches import Bench, DockerBench, FakeBench
from tests.engine.busybox_image import load_image
from vkprovider.engine.endpoint import find_endpoint


@pytest.fixture(scope="session")
def client() -> Iterator[docker.APIClient]:
    client = find_endpoint().client()
    yield client
    client.close()


@pytest.fixture(scope="session")
def images(client: docker.APIClient) -> Iterator[tuple[str, str]]:
    """Names of an image with a shell, and of one that wants to be stopped by USR1. Nobody else has the same contents:
    who removes an image by its id takes all its names."""
    session = uuid.uuid4().hex[:12]
    names = (f"vkprovider-contract/plain:{session}", f"vkprovider-contract/usr1:{session}")
    load_image(client, names[0], Labels={"session": session})
    load_image(client, names[1], Labels={"session": session}, StopSignal="USR1")
    yield names
    for name in names:
        client.remove_image(name, force=True)


@pytest.fixture(params=["fake", pytest.param("docker", marks=pytest.mark.docker)])
def unclean_bench(request: pytest.FixtureRequest) -> Bench:
    if request.param == "fake":
        return FakeBench()
    return DockerBench(request.getfixturevalue("client"), *request.getfixturevalue("images"), find_endpoint().url)


@pytest.fixture
async def bench(unclean_bench: Bench) -> AsyncIterator[Bench]:
    """An engine with a node of its own, watched for calls that would block the event loop."""
    with blockbuster_ctx("vkprovider") as watched:
        allow_what_starts_threads(watched)
        yield unclean_bench
    await unclean_bench.clean()


def allow_what_starts_threads(watched: BlockBuster) -> None:
    """Starting a thread waits until it runs, on a lock: for microseconds."""
    watched.functions["threading.Lock.acquire"].can_block_in("concurrent/futures/thread.py", "submit")
