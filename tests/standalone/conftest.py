from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from blockbuster import blockbuster_ctx

from vkprovider.node.log_setup import set_up_logging


@pytest.fixture(autouse=True)
def _nothing_blocks_the_loop() -> Iterator[None]:
    """vkprovider itself must not touch the disk from the event loop; the tests may."""
    with blockbuster_ctx("vkprovider") as watched:
        # Manifests are read before there is a loop.
        watched.functions["io.BufferedReader.read"].can_block_in("vkprovider/standalone/sources.py", "read_text")
        yield


@pytest.fixture(autouse=True)
def _logs_are_as_users_see_them() -> Iterator[None]:
    set_up_logging()
    yield
    structlog.reset_defaults()
