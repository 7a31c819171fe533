"""The images of an engine: by name and ID, pulled, in use, and removed."""

from __future__ import annotations

import pytest

from tests.contract.benches import Bench
from vkprovider.errors import EngineConflict, ImagePullError


async def test_an_image_by_name_and_by_id(bench: Bench):
    assert await bench.engine.image("no-such/image:1") is None
    by_name = await bench.engine.image(bench.usr1_image)
    assert by_name is not None
    assert by_name.stop_signal.removeprefix("SIG") == "USR1"
    by_id = await bench.engine.image(by_name.id)
    assert by_id is not None
    assert by_id.id == by_name.id


async def test_a_pull_that_fails(bench: Bench):
    with pytest.raises(ImagePullError, match="connection refused"):
        await bench.engine.pull(bench.unpullable, (), lambda _: None)
    assert await bench.engine.image(bench.unpullable) is None


async def test_the_stored_images_bear_their_names(bench: Bench):
    found = await bench.engine.image(bench.usr1_image)
    assert found is not None
    stored = await bench.engine.stored_images()
    sizes = {name: image.size_bytes for image in stored for name in image.names}
    assert sizes[bench.usr1_image] == found.size_bytes
    assert found.id in {image.id for image in stored if bench.usr1_image in image.names}
    assert bench.unpullable not in sizes


async def test_images_are_in_use_as_long_as_there_are_containers_whosever_they_are(bench: Bench):
    stranger = bench.another_node()
    found = await bench.engine.image(bench.usr1_image)
    assert found is not None
    container_id = await stranger.create(image=bench.usr1_image)
    assert found.id in await bench.engine.images_in_use()
    with pytest.raises(EngineConflict):
        await bench.engine.remove_image(found.id)
    await stranger.engine.remove(container_id)
    assert found.id not in await bench.engine.images_in_use()


async def test_the_sandbox_image_is_there_once_asked_for(bench: Bench):
    name = await bench.engine.sandbox_image()
    assert await bench.engine.image(name) is not None
    assert await bench.engine.sandbox_image() == name
    sandbox_id = await bench.run("POD", image=name, entrypoint=None)
    (sandbox,) = (await bench.engine.observe(bench.uid)).sandboxes
    assert sandbox.ready
    await bench.engine.remove(sandbox_id)
