"""The image as bytes."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

import pytest

from tests.engine_sandbox.programs import SOURCE
from vkprovider.engine import sandbox_image
from vkprovider.errors import EngineError


def read(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        return {member.name: files.extractfile(member).read() for member in files}  # type: ignore[union-attr]


@pytest.mark.parametrize("arch", sandbox_image.ARCHITECTURES)
def test_the_archive_holds_one_layer_with_the_program_alone(arch: str) -> None:
    files = read(sandbox_image.tar(arch))
    (entry,) = json.loads(files["manifest.json"])
    config = json.loads(files[entry["Config"]])
    (layer_name,) = entry["Layers"]
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(files[layer_name]).hexdigest()]
    assert (config["architecture"], config["os"]) == (arch, "linux")
    (program,) = config["config"]["Entrypoint"]
    with tarfile.open(fileobj=io.BytesIO(files[layer_name])) as layer:
        (member,) = layer.getmembers()
    assert (f"/{member.name}", member.mode, member.uid, member.gid, member.mtime) == (program, 0o755, 0, 0, 0)
    assert read(files[layer_name])[member.name] == (SOURCE / f"sandbox-{arch}").read_bytes()


@pytest.mark.parametrize("arch", sandbox_image.ARCHITECTURES)
def test_the_name_tells_the_content(arch: str) -> None:
    archive = sandbox_image.tar(arch)
    (entry,) = json.loads(read(archive)["manifest.json"])
    assert entry["RepoTags"] == [sandbox_image.name(arch)]
    assert sandbox_image.name(arch) == f"vkprovider/sandbox:{entry['Config'][:12]}"
    assert sandbox_image.tar(arch) == archive


@pytest.mark.parametrize(("kernel", "arch"), [("x86_64", "amd64"), ("aarch64", "arm64")])
def test_the_kernel_s_names_of_architectures_do_as_well(kernel: str, arch: str) -> None:
    assert sandbox_image.tar(kernel) == sandbox_image.tar(arch)
    assert sandbox_image.name(kernel) == sandbox_image.name(arch)


def test_each_architecture_has_its_own_image() -> None:
    assert len({sandbox_image.name(arch) for arch in sandbox_image.ARCHITECTURES}) == 2


def test_an_architecture_without_a_program_is_named() -> None:
    with pytest.raises(EngineError, match=r"no built-in sandbox image for architecture 's390x'.*--sandbox-image"):
        sandbox_image.tar("s390x")
