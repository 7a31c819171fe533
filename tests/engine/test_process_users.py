"""As whom a container's first process runs, read from a /proc of the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vkprovider.engine.process_users import ProcessUsers
from vkprovider.model.observed import ContainerUser
from vkprovider.model.refs import ContainerID

ID = ContainerID("a" * 64)
STATUS = "Name:\tsh\nUid:\t1000\t1000\t1000\t1000\nGid:\t2000\t2000\t2000\t2000\nGroups:\t2000 3000 \n"


def process(proc: Path, pid: int, status: str = STATUS, container_id: str = ID) -> None:
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "status").write_text(status)
    (proc / str(pid) / "cgroup").write_text(f"12:memory:/docker/{container_id}\n")


def inspected(pid: int = 7, *, running: bool = True, user: str = "") -> dict[str, Any]:
    return {"Id": ID, "State": {"Running": running, "Pid": pid}, "Config": {"User": user}}


@pytest.mark.parametrize("asked", ["1000", "1000:2000", "somebody"])
async def test_a_user_is_read(tmp_path: Path, asked: str):
    process(tmp_path, 7)
    known = await ProcessUsers(tmp_path).look([inspected(user=asked)])
    assert known == {ID: ContainerUser(uid=1000, gid=2000, groups=(2000, 3000))}


@pytest.mark.parametrize("asked", ["", "77", "0:0"])
async def test_one_that_has_become_somebody_else_is_not(tmp_path: Path, asked: str):
    process(tmp_path, 7)
    assert await ProcessUsers(tmp_path).look([inspected(user=asked)]) == {}


async def test_one_that_is_only_just_starting_is_looked_at_again(tmp_path: Path):
    process(tmp_path, 7, STATUS.replace("1000", "0"))
    users = ProcessUsers(tmp_path)
    assert await users.look([inspected(user="1000")]) == {}
    (tmp_path / "7" / "status").write_text(STATUS)
    assert (await users.look([inspected(user="1000")]))[ID].uid == 1000


async def test_a_process_of_somebody_elses_is_not(tmp_path: Path):
    process(tmp_path, 7, container_id="b" * 64)
    assert await ProcessUsers(tmp_path).look([inspected(user="1000")]) == {}


@pytest.mark.parametrize("entry", [inspected(8), inspected(running=False), {"Id": ID, "Labels": {}}])
async def test_what_cannot_be_looked_at_is_not_known(tmp_path: Path, entry: dict[str, Any]):
    process(tmp_path, 7)
    assert await ProcessUsers(tmp_path).look([entry]) == {}


@pytest.mark.parametrize("status", ["", "Uid:\tx\nGid:\t0\nGroups:\n", "nonsense"])
async def test_what_makes_no_sense_is_not_known(tmp_path: Path, status: str):
    process(tmp_path, 7, status)
    assert await ProcessUsers(tmp_path).look([inspected(user="1000")]) == {}


async def test_each_is_looked_at_once_and_remembered_until_it_is_gone(tmp_path: Path):
    process(tmp_path, 7)
    users = ProcessUsers(tmp_path)
    seen = await users.look([inspected(user="1000")])
    (tmp_path / "7" / "status").unlink()
    assert await users.look([inspected(user="1000")]) == seen
    assert await users.look([inspected(running=False)]) == seen
    users.forget(ID)
    assert await users.look([inspected(user="1000")]) == {}
