"""The open files of processes: of this test's own, and of ones that cannot be seen."""

from __future__ import annotations

import os
import resource
import socket
from pathlib import Path

import pytest

from vkprovider.engine import descriptors
from vkprovider.engine.descriptors import open_files

PROC = Path("/proc")
NONE = "99999999"  # no kernel gives such a number


def test_of_this_process(tmp_path: Path):
    own = [NONE, str(os.getpid())]
    before = open_files(PROC, own)
    assert before is not None
    assert before.limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    with socket.socket(), (tmp_path / "file").open("w"):
        now = open_files(PROC, own)
    assert now is not None
    assert (now.all - before.all, now.sockets - before.sockets) == (2, 1)


def test_nobody_is_left():
    assert open_files(PROC, [NONE]) is None
    assert open_files(PROC, []) is None


def test_what_may_not_be_seen_is_not_told(monkeypatch: pytest.MonkeyPatch):
    def refuse(directory: str) -> list[str]:
        raise PermissionError(directory)

    monkeypatch.setattr(descriptors, "_opened", refuse)
    assert open_files(PROC, [str(os.getpid())]) is None
