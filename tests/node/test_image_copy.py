"""A copy of what an image shows."""

from __future__ import annotations

import asyncio
import os
import stat
import tarfile
from pathlib import Path

import pytest

from tests.node.disk import as_nobody, mode
from tests.node.saved_image import file, layer, other, saved
from vkprovider.errors import SpecError
from vkprovider.node.image_copy import copy_image


def copied(directory: Path, archive: bytes) -> Path:
    (directory / "image.tar").write_bytes(archive)
    copy_image(str(directory / "image.tar"), str(directory / "copy"))
    return directory / "copy"


def test_layers_on_one_another(tmp_path: Path):
    below = layer(file("etc/motd", "old"), file("etc/gone"), other("bin", tarfile.SYMTYPE, "/usr/bin"))
    above = layer(file("etc/motd", "new", 0o640), file("etc/.wh.gone"), other("data", tarfile.DIRTYPE, mode=0o1777))
    copy = copied(tmp_path, saved(below, above))
    assert sorted(os.listdir(copy)) == ["bin", "data", "etc"]
    assert os.listdir(copy / "etc") == ["motd"]
    assert (copy / "etc" / "motd").read_text() == "new"
    assert mode(copy / "etc" / "motd") == 0o640
    assert (copy / "etc" / "motd").stat().st_mtime == 1000
    assert mode(copy / "data") == 0o1777
    assert (copy / "data").stat().st_mtime == 2000
    assert os.readlink(copy / "bin") == "/usr/bin"


@pytest.mark.parametrize("compression", ["w:gz", "w:bz2", "w:xz"])
def test_a_layer_that_is_compressed(tmp_path: Path, compression: str):
    assert (copied(tmp_path, saved(layer(file("a", "b"), mode=compression))) / "a").read_text() == "b"


def test_a_layer_that_the_image_has_twice(tmp_path: Path):
    archive = saved(layer(file("a", "b")), names=("0/layer.tar", "0/layer.tar"))
    assert (copied(tmp_path, archive) / "a").read_text() == "b"


def test_files_with_several_names_are_one(tmp_path: Path):
    copy = copied(tmp_path, saved(layer(file("a", "b"), other("d/c", tarfile.LNKTYPE, "a"))))
    assert (copy / "d" / "c").read_text() == "b"
    assert (copy / "a").stat().st_nlink == 2


def test_neither_devices_nor_programs(tmp_path: Path):
    copy = copied(
        tmp_path, saved(layer(other("null", tarfile.CHRTYPE), other("p", tarfile.FIFOTYPE), file("su", "", 0o4755)))
    )
    assert os.listdir(copy) == ["su"]
    assert mode(copy / "su") == 0o644


def test_nothing_is_written_outside(tmp_path: Path):
    """A layer that puts a file behind a link of a layer below, as ``docker pull`` would refuse to unpack it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    links = layer(other("d", tarfile.SYMTYPE, str(outside)), other("f", tarfile.SYMTYPE, str(outside / "f")))
    copy = copied(tmp_path, saved(links, layer(file("d/evil", "x"), file("f", "x"))))
    assert list(outside.iterdir()) == []
    assert (copy / "d" / "evil").read_text() == "x"
    assert (copy / "f").read_text() == "x"


def test_a_name_that_leads_out(tmp_path: Path):
    with pytest.raises(SpecError, match="leads out"):
        copied(tmp_path, saved(layer(file("../evil"))))
    assert os.listdir(tmp_path) == ["image.tar"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_keeps_the_owners(tmp_path: Path):
    owned, linked = file("a", "b", 0o600), other("l", tarfile.SYMTYPE, "a")
    owned.uid, owned.gid, linked.uid = 7, 8, 9
    copy = copied(tmp_path, saved(layer(owned, linked)))
    assert ((copy / "a").stat().st_uid, (copy / "a").stat().st_gid) == (7, 8)
    assert (copy / "l").lstat().st_uid == 9


def test_an_ordinary_user_owns_it_and_can_read_and_remove_it(tmp_path: Path):
    owned = file("d/a", "b", 0o000)
    owned.uid = 7

    async def work() -> list[int]:
        archive = saved(layer(other("d", tarfile.DIRTYPE, mode=0o555), owned))
        copy = await asyncio.to_thread(copied, tmp_path, archive)
        return [mode(copy / "d"), mode(copy / "d" / "a"), stat.S_IMODE(copy.stat().st_mode)]

    assert as_nobody(tmp_path, work) == [0o755, 0o400, 0o755]


@pytest.mark.parametrize(
    "archive",
    [
        b"",
        b"no tar",
        saved(b"no tar"),
        saved(layer(), names=("missing",)),
        layer(file("manifest.json", "{")),
        layer(file("manifest.json", "[{}]")),
        layer(file("manifest.json", '[{"Layers":["?"]}]')).replace(b'["?"]', b'["\xff"]'),
        layer(other("manifest.json", tarfile.DIRTYPE)),
        saved(layer(file("a", "b" * 2000)))[:2048],
    ],
)
def test_what_is_no_image(tmp_path: Path, archive: bytes):
    with pytest.raises(SpecError, match="cannot be read"):
        copied(tmp_path, archive)
