from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import docker
import pytest

from integration.docker.command import Command, clean_command
from integration.docker.pods import IMAGE
from integration.docker.records import Records, keep_records
from vkprovider.engine.endpoint import find_endpoint

SETUP = Path(__file__).parents[1] / "setup"


@pytest.fixture(scope="session")
def client() -> Iterator[docker.APIClient]:
    """The engine that vkprovider would use: DOCKER_HOST is honoured."""
    client = find_endpoint().client("auto")
    yield client
    client.close()


@pytest.fixture(scope="session")
def busybox(client: docker.APIClient) -> Iterator[str]:
    subprocess.run([SETUP / "busybox-image.sh", IMAGE], check=True, capture_output=True, timeout=60)
    yield IMAGE
    client.remove_image(IMAGE, force=True)


@pytest.fixture(scope="session")
def records(client: docker.APIClient, busybox: str) -> Iterator[Records]:
    with keep_records(client, busybox) as records:
        yield records


@pytest.fixture
def command(records: Records, tmp_path: Path) -> Iterator[Command]:
    """``vkprovider``, which must leave nothing behind."""
    with clean_command(records, tmp_path) as command:
        yield command


CommandIn = Callable[[Path], AbstractContextManager[Command]]


@pytest.fixture(scope="session")
def command_in(records: Records) -> CommandIn:
    """For fixtures of a wider scope: a command whose directory is given."""
    return partial(clean_command, records)
