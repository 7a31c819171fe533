"""Pulls by a real engine, from a registry on the loopback interface."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncIterator

import docker
import pytest

from tests.contract.benches import PATIENCE, DockerBench
from tests.engine import registry
from vkprovider.engine.endpoint import find_endpoint
from vkprovider.errors import EngineError, ImagePullError
from vkprovider.model.engine import PullProgress, RegistryAuth

pytestmark = pytest.mark.docker
RIGHT, WRONG = RegistryAuth(username="me", password="secret"), RegistryAuth(username="me", password="wrong")


@pytest.fixture
def idle_bench(client: docker.APIClient, images: tuple[str, str]) -> DockerBench:
    return DockerBench(client, *images, find_endpoint().url)


@pytest.fixture
async def bench(idle_bench: DockerBench) -> AsyncIterator[DockerBench]:
    yield idle_bench
    await idle_bench.clean()


@pytest.fixture
async def store(bench: DockerBench) -> AsyncIterator[registry.Registry]:
    """A registry that asks for a password, with an image that this engine has never seen."""
    store = registry.Registry(bench.uid.encode(), credentials="me:secret")
    async with registry.serving(store):
        yield store
    await asyncio.to_thread(bench.forget_image, store.image)


async def test_a_pull_with_progress(bench: DockerBench, store: registry.Registry):
    assert await bench.engine.image(store.image) is None
    heard: list[PullProgress] = []
    store.go_on.clear()
    pull = asyncio.create_task(bench.engine.pull(store.image, (WRONG, RIGHT), heard.append))
    async with asyncio.timeout(PATIENCE):
        await store.halfway.wait()
        store.go_on.set()
        info = await pull
    assert store.refusals > 0
    assert info == await bench.engine.image(store.image)
    assert (info.user, info.env, info.digest) == ("7:8", ("PULLED=yes",), store.digest)
    assert info.size_bytes == 1 << 20
    assert heard[-1].current_bytes == heard[-1].total_bytes >= 1 << 20
    assert await bench.engine.image(info.id) is not None


async def test_a_pull_by_digest(bench: DockerBench, store: registry.Registry):
    info = await bench.engine.pull(store.digest, (RIGHT,), lambda _: None)
    assert info.digest == store.digest
    assert await bench.engine.image(store.digest) == info
    await asyncio.to_thread(bench.forget_image, store.digest)


@pytest.mark.parametrize("auths", [(), (WRONG,)])
async def test_a_pull_without_the_right_password(
    bench: DockerBench, store: registry.Registry, auths: tuple[RegistryAuth, ...]
):
    with pytest.raises(ImagePullError, match=r"auth|credentials"):
        await bench.engine.pull(store.image, auths, lambda _: None)
    assert await bench.engine.image(store.image) is None


async def test_a_pull_of_a_tag_that_does_not_exist(bench: DockerBench, store: registry.Registry):
    missing = store.image.removesuffix(":1") + ":2"
    with pytest.raises(ImagePullError, match="manifest"):
        await bench.engine.pull(missing, (RIGHT,), lambda _: None)


async def test_a_pull_that_is_given_up_ends_in_the_engine(bench: DockerBench, store: registry.Registry):
    under_way = asyncio.Event()

    def hear(progress: PullProgress) -> None:
        if progress.current_bytes:
            under_way.set()

    store.go_on.clear()
    pulls = [asyncio.create_task(bench.engine.pull(store.image, (RIGHT,), hear)) for _ in range(2)]
    async with asyncio.timeout(PATIENCE):
        await under_way.wait()
        for pull in pulls:
            pull.cancel()
        assert [type(e) for e in await asyncio.gather(*pulls, return_exceptions=True)] == [asyncio.CancelledError] * 2
        await store.hung_up.wait()
    assert await bench.engine.image(store.image) is None


async def test_an_image_with_several_names_is_removed_with_all_of_them(bench: DockerBench, store: registry.Registry):
    info = await bench.engine.pull(store.image, (RIGHT,), lambda _: None)
    for repository in ("vkprovider-contract/one", "vkprovider-contract/two"):
        await asyncio.to_thread(bench.client.tag, info.id, repository, bench.uid)
    await bench.engine.remove_image(info.id)
    assert await bench.engine.image(info.id) is None
    await bench.engine.remove_image(info.id)  # it is gone


async def test_an_image_as_docker_save_writes_it(bench: DockerBench, store: registry.Registry):
    info = await bench.engine.pull(store.image, (RIGHT,), lambda _: None)
    content = b"".join([chunk async for chunk in bench.engine.image_archive(info.id)])
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        (image,) = json.loads(archive.extractfile("manifest.json").read())  # type: ignore[union-attr]
        (layer,) = image["Layers"]
        assert archive.getmember(layer).size >= 1 << 20
    with pytest.raises(EngineError, match=r"no such|No such"):
        _ = [chunk async for chunk in bench.engine.image_archive("sha256:" + "0" * 64)]
