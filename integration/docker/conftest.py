from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import docker
import pytest

from integration.docker.command import Command, Run, clean_command
from integration.docker.long_jobs import LONGEST, manifests
from integration.docker.pods import IMAGE
from integration.docker.records import Records, keep_records
from integration.docker.registries import Registry, serving
from vkprovider.engine.endpoint import find_endpoint

SETUP = Path(__file__).parents[1] / "setup"
LONG = "long_jobs"

CommandIn = Callable[[Path], AbstractContextManager[Command]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that look at the long Jobs come last: the others have run while those Jobs waited. Tests without a run of
    ``vkprovider`` come first: they keep the engine busy, and times are to be true.
    """
    for item in items:
        if _needs(item, LONG):
            item.add_marker(pytest.mark.clock)
    items.sort(key=lambda item: (_needs(item, "records"), _needs(item, LONG)))


def _needs(item: pytest.Item, fixture: str) -> bool:
    return fixture in getattr(item, "fixturenames", ())


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
def registry_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with serving(tmp_path_factory.mktemp("registry")) as port:
        yield port


@pytest.fixture
def registry(client: docker.APIClient, registry_port: int) -> Iterator[Registry]:
    """A registry on this machine that asks for no password."""
    registry = Registry(client, registry_port)
    yield registry
    registry.tidy()


@pytest.fixture(scope="session")
def records(client: docker.APIClient, busybox: str) -> Iterator[Records]:
    with keep_records(client, busybox) as records:
        yield records


@pytest.fixture(scope="session")
def long_jobs(records: Records, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """The Jobs of ``long_jobs.py`` under way, all at once."""
    with clean_command(records, tmp_path_factory.mktemp("jobs")) as command:
        files = {name: command.file(manifest, name=f"{name}.json") for name, manifest in manifests().items()}
        runs = {name: command.run("-o", "json", file) for name, file in files.items()}
        yield runs
        for run in runs.values():
            run.finish(LONGEST)


@pytest.fixture(scope="session")
def _begin_long_jobs(request: pytest.FixtureRequest) -> None:
    """They begin before any other, if a test that was chosen looks at them."""
    if any(_needs(item, LONG) for item in request.session.items):
        request.getfixturevalue(LONG)


@pytest.fixture
def command(_begin_long_jobs: None, records: Records, tmp_path: Path) -> Iterator[Command]:
    """``vkprovider``, which must leave nothing behind."""
    with clean_command(records, tmp_path) as command:
        yield command


@pytest.fixture(scope="session")
def command_in(_begin_long_jobs: None, records: Records) -> CommandIn:
    """For fixtures of a wider scope: a command whose directory is given."""
    return partial(clean_command, records)
