"""What a node remembers of the images that it has pulled."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from tests.core.given import T0, at
from vkprovider.model.engine import StoredImage
from vkprovider.node.pulled_images import PulledImages

ID = "sha256:1"


def has(*names: str, image_id: str = ID) -> list[StoredImage]:
    return [StoredImage(id=image_id, names=names, size_bytes=1)]


def names(pulled: PulledImages) -> list[list[str]]:
    return [sorted(image.names) for image in pulled.known()]


async def read(directory: Path) -> PulledImages:
    return await asyncio.to_thread(PulledImages, directory / "images.json")


async def test_an_image_that_was_not_there_is_the_nodes_own(tmp_path: Path):
    pulled = await read(tmp_path)
    await pulled.note(ID, has("other:1", image_id="sha256:2"), has("web@sha256:9", "web:1"), T0)
    assert names(pulled) == [["web:1", "web@sha256:9"]]
    again = await read(tmp_path)
    assert again.known() == pulled.known()
    assert again.known()[0].first_seen == T0


async def test_an_image_that_was_there_is_somebody_elses(tmp_path: Path):
    pulled = await read(tmp_path)
    await pulled.note(ID, has("web:1"), has("web@sha256:9", "web:1"), T0)
    assert pulled.known() == ()
    assert os.listdir(tmp_path) == []


async def test_a_second_name_is_the_nodes_if_it_was_pulled_too(tmp_path: Path):
    pulled = await read(tmp_path)
    await pulled.note(ID, [], has("web:1"), T0)
    await pulled.note(ID, has("web:1", "keep:this"), has("web:1", "keep:this", "web:2"), at(5))
    assert names(await read(tmp_path)) == [["web:1", "web:2"]]
    assert pulled.known()[0].first_seen == T0


async def test_one_that_is_gone_again_is_not_remembered(tmp_path: Path):
    pulled = await read(tmp_path)
    await pulled.note(ID, [], [], T0)
    assert pulled.known() == ()


async def test_the_last_use_is_no_reason_to_write(tmp_path: Path):
    pulled = await read(tmp_path)
    await pulled.note(ID, [], has("web:1"), T0)
    (tmp_path / "images.json").unlink()
    await pulled.keep(msgspec.structs.replace(image, last_used=at(3)) for image in pulled.known())
    assert pulled.known()[0].last_used == at(3)
    assert os.listdir(tmp_path) == []
    await pulled.keep(())
    assert (await read(tmp_path)).known() == ()


async def test_a_file_that_cannot_be_written_costs_nothing_but_what_it_would_say(tmp_path: Path):
    pulled = await asyncio.to_thread(PulledImages, tmp_path / "missing" / "images.json")
    await pulled.note(ID, [], has("web:1"), T0)
    assert names(pulled) == [["web:1"]]


@pytest.mark.parametrize("content", [b"{", b'[{"id":"\xff"}]'])
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes):
    (tmp_path / "images.json").write_bytes(content)
    assert PulledImages(tmp_path / "images.json").known() == ()
