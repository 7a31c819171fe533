"""A node's directory belongs to one process, and so does its port."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.fakes.api_server import FakeApiServer, write_kubeconfig
from tests.kube.quick_clock import QuickClock
from vkprovider.config import ConfigError
from vkprovider.kube.node.settings import NodeSettings
from vkprovider.node_place import LockedDirectory, find_place
from vkprovider.server.refusals import ServerError


def test_it_is_had_by_one_at_a_time(tmp_path: Path) -> None:
    mine = LockedDirectory(tmp_path / "nodes" / "n", "n")
    with pytest.raises(ConfigError, match=rf"node n is run by another .* \(process {os.getpid()}\): .* --nodename"):
        LockedDirectory(tmp_path / "nodes" / "n", "n")
    LockedDirectory(tmp_path / "nodes" / "m", "m").release()
    mine.release()
    LockedDirectory(tmp_path / "nodes" / "n", "n").release()


def test_a_state_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"/file/nodes/n: Not a directory \(--state-dir names another\)$"):
        LockedDirectory(tmp_path / "file" / "nodes" / "n", "n")


def test_only_its_owner_reads_the_lock(tmp_path: Path) -> None:
    LockedDirectory(tmp_path / "n", "n").release()
    assert (tmp_path / "n" / "lock").stat().st_mode & 0o777 == 0o600


@asynccontextmanager
async def cluster() -> AsyncIterator[FakeApiServer]:
    server = FakeApiServer()
    server.fail("create", "selfsubjectreviews", 404)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def test_the_port_that_is_had_is_the_one_to_register(tmp_path: Path) -> None:
    """Whichever it was to be: where the usual one is taken, it is any free one."""
    told: list[str] = []
    async with cluster() as server:
        wanted = NodeSettings(name="n", kubeconfig=str(write_kubeconfig(tmp_path / "k", server.url)), port=0)
        answered = lambda method, host, code, seconds: told.append(code)  # noqa: E731
        place = await find_place(wanted, tmp_path / "state", {}, QuickClock(), answered)
        async with place:
            assert place.settings.port == place.listener.getsockname()[1] != 0
            assert place.settings.internal_ip == "127.0.0.1"
            assert place.directory == tmp_path / "state" / "nodes" / "n"
        assert place.listener.fileno() == -1
        LockedDirectory(place.directory, "n").release()
    assert told  # joining is asking


async def test_a_port_that_is_not_to_be_had_leaves_the_directory_to_others(tmp_path: Path) -> None:
    with socket.create_server(("", 0)) as taken:
        async with cluster() as server:
            kubeconfig, port = str(write_kubeconfig(tmp_path / "k", server.url)), taken.getsockname()[1]
            wanted = NodeSettings(name="n", kubeconfig=kubeconfig, port=port)
            with pytest.raises(ServerError, match=f"port {port} cannot be listened on: .* --port"):
                await find_place(wanted, tmp_path, {}, QuickClock())
    LockedDirectory(tmp_path / "nodes" / "n", "n").release()
