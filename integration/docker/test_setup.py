"""The scripts that prepare a machine: they do nothing twice, and they say what they did or what to do."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.docker

SETUP = Path(__file__).parents[1] / "setup"


def run(script: str, *args: str, **environment: str) -> tuple[int, list[str]]:
    """Run a script; its exit code and the lines it says."""
    result = subprocess.run(
        [SETUP / script, *args],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=90,
        check=False,
    )
    return result.returncode, result.stdout.splitlines()


def docker(*args: str) -> str:
    return subprocess.run(["docker", *args], capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[str, list[str]]]:
    """An image under a name that no registry can give, and what was said when it was made."""
    image = f"registry.invalid/busybox:{uuid.uuid4().hex}"
    code, said = run("busybox-image.sh", image)
    assert code == 0, said
    yield image, said
    docker("rmi", "--force", image)


def test_an_image_made_on_the_spot_is_said_to_be(made: tuple[str, list[str]]) -> None:
    image, said = made
    assert said[0] == f"setup: pulling {image}"
    assert said[1].startswith(f"setup: no registry gave {image}: it was made here from BusyBox v")
    assert len(said) == 2


def test_it_is_not_made_twice_and_stays_known_as_made(made: tuple[str, list[str]]) -> None:
    image, _ = made
    before = docker("image", "inspect", "--format={{.Id}}", image)
    code, said = run("busybox-image.sh", image)
    assert (code, len(said)) == (0, 1)
    assert said[0].startswith(f"setup: {image} was made here from BusyBox v")
    assert docker("image", "inspect", "--format={{.Id}}", image) == before


def test_it_has_what_the_real_one_has(made: tuple[str, list[str]]) -> None:
    image, _ = made
    script = """
        stat -c %a /tmp && id -un && su -s /bin/sh nobody -c 'id -un' && test -x /usr/bin/env &&
        test ! -L /bin/busybox && touch /var/logs.txt && seq 3 | tail -n 1 && grep -c . /etc/passwd /etc/group
    """
    listed = docker("run", "--rm", "--network=none", image, "sh", "-c", script).split()
    assert listed == ["1777", "root", "nobody", "3", "/etc/passwd:2", "/etc/group:2"]


def test_an_engine_that_answers_is_left_alone() -> None:
    assert run("engine.sh") == (0, [])


def test_an_engine_elsewhere_that_does_not_answer_is_named() -> None:
    code, said = run("engine.sh", DOCKER_HOST="unix:///nowhere/docker.sock")
    assert code == 1
    assert said == [
        "setup: Docker at unix:///nowhere/docker.sock does not answer: start it, or unset DOCKER_HOST and run"
        " 'docker context use default'"
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_user_who_may_not_use_docker_is_told_how() -> None:
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    result = subprocess.run(
        [*nobody, "sh", "-s"],  # from standard input, as nobody may not be let into this checkout
        input=(SETUP / "engine.sh").read_text(),
        env={"PATH": os.environ["PATH"], "HOME": "/"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.endswith("log in again, then run this again\n")
    assert result.stderr.count("\n") == 1


def test_packages_that_are_installed_are_not_asked_for_again() -> None:
    assert run("apt.sh", "dpkg") == (0, [])
