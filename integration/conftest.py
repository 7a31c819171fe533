"""Fixtures that tests of several folders use."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from integration.own_image import image_builder, own_base, own_image
from vkprovider.node.mounting import detach_all

__all__ = ["image_builder", "own_base", "own_image"]


@pytest.fixture(scope="session", autouse=True)
def _no_mounts_stay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What processes that were killed have left mounted would be in the way of those who clean up."""
    yield
    if os.geteuid() == 0:
        detach_all(str(tmp_path_factory.getbasetemp()))
