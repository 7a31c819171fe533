"""Tests need real parts: a Docker engine, a compiler. Where one is missing a test is skipped, but in CI it fails."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from typing import NoReturn

import docker
import pytest
from docker.errors import DockerException


def missing(what: str) -> NoReturn:
    """End the present test because of a part that this machine does not have: skipped, or failed where CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}, and in CI nothing may be missing", pytrace=False)
    pytest.skip(what)


@functools.cache
def engine_fault() -> str:
    """Why no Docker engine can be used, or ""."""
    try:
        with contextlib.closing(docker.from_env(timeout=10)) as client:
            client.ping()
    except DockerException as exc:
        return str(exc)
    return ""


def pytest_configure() -> None:
    """Shells start what they put into the background with SIGINT ignored, and what it starts inherits that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test marked ``docker`` is not even set up without an engine."""
    if item.get_closest_marker("docker") and engine_fault():
        missing(f"no Docker engine answers ({engine_fault()}): run integration/setup/engine.sh")
