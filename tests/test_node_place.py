"""A node's directory belongs to one process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vkprovider.config import ConfigError
from vkprovider.node_place import LockedDirectory


def test_it_is_had_by_one_at_a_time(tmp_path: Path) -> None:
    mine = LockedDirectory(tmp_path / "nodes" / "n", "n")
    with pytest.raises(ConfigError, match=rf"node n is run by another .* \(process {os.getpid()}\): .* --nodename"):
        LockedDirectory(tmp_path / "nodes" / "n", "n")
    LockedDirectory(tmp_path / "nodes" / "m", "m").release()
    mine.release()
    LockedDirectory(tmp_path / "nodes" / "n", "n").release()


def test_only_its_owner_reads_the_lock(tmp_path: Path) -> None:
    LockedDirectory(tmp_path / "n", "n").release()
    assert (tmp_path / "n" / "lock").stat().st_mode & 0o777 == 0o600
