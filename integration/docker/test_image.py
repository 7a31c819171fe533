"""The Dockerfile gives an image that works."""

from __future__ import annotations

import subprocess

import pytest

from integration.own_image import docker
from vkprovider.engine import sandbox_image

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


def test_the_entry_point_is_vkprovider(own_image: str) -> None:
    assert docker("run", "--rm", "--network=none", own_image, "version").startswith("vkprovider ")
    assert "Usage: vkprovider" in docker("run", "--rm", "--network=none", own_image, "--help")


def test_the_base_is_lengthened_by_one_layer_of_moderate_size(own_image: str, own_base: str) -> None:
    sizes = [docker("history", "--human=false", "--format={{.Size}}", name).split() for name in (own_image, own_base)]
    added = [int(size) for size in sizes[0][: len(sizes[0]) - len(sizes[1])] if int(size)]
    assert len(added) == 1
    assert added[0] < 220_000_000  # two thirds of it the Kubernetes client


def test_nothing_of_the_build_is_left_in_the_image(own_image: str) -> None:
    listing = ["docker", "run", "--rm", "--network=none", "--entrypoint=ls", own_image, "-d"]
    result = subprocess.run(
        [*listing, "/opt", "/source", "/wheels", "/root/.cache"], capture_output=True, text=True, check=False
    )
    assert result.stdout == "/opt\n"


def test_the_installed_program_brings_its_sandbox_image(own_image: str) -> None:
    ask = "from vkprovider.engine import sandbox_image; print(sandbox_image.name('amd64'))"
    named = docker("run", "--rm", "--network=none", "--entrypoint=/opt/vkprovider/bin/python", own_image, "-c", ask)
    assert named.strip() == sandbox_image.name("amd64")
