from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from blockbuster import blockbuster_ctx

from tests.node.disk import Disk
from vkprovider.node.log_setup import set_up_logging


@pytest.fixture(autouse=True)
def _nothing_blocks_the_loop() -> Iterator[None]:
    """vkprovider itself must not touch the disk from the event loop; the tests may."""
    with blockbuster_ctx("vkprovider"):
        yield


@pytest.fixture(autouse=True)
def _logs_are_as_users_see_them() -> Iterator[None]:
    set_up_logging()
    yield
    structlog.reset_defaults()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    """A writer on a directory of the test's own."""
    return Disk(tmp_path)


@pytest.fixture(params=[0o022, 0o077, 0o000], ids=["umask 022", "umask 077", "umask 000"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)
