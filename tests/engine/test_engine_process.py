"""Whether the engine sees what this process mounts."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from vkprovider.engine.engine_process import process_id, shares_mounts

LISTEN = """
import signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print("listening", flush=True)
signal.pause()
"""


def test_an_engine_beside_this_process(tmp_path: Path) -> None:
    path = str(tmp_path / "engine.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        assert process_id(path) == os.getpid()
        assert shares_mounts(path)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may have mounts of its own")
def test_an_engine_with_mounts_of_its_own(tmp_path: Path) -> None:
    path = str(tmp_path / "engine.sock")
    apart = ["unshare", "--mount", sys.executable, "-c", LISTEN, path]
    with subprocess.Popen(apart, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        try:
            if engine.stdout.readline() != "listening\n":
                pytest.skip("mount namespaces cannot be made here")
            assert not shares_mounts(path)
        finally:
            engine.send_signal(signal.SIGKILL)


def test_no_engine_at_all(tmp_path: Path) -> None:
    assert not shares_mounts(str(tmp_path / "engine.sock"))
