"""Run directories: who holds which, what is taken over and what is not, and that nobody gets in another's way."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from vkprovider.standalone.run_store import RunDirectory, RunStore

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
LATER = datetime(2026, 1, 1, 13, 0, 0, tzinfo=UTC)
JOB: dict[str, Any] = {"kind": "Job", "metadata": {"name": "test", "labels": {"a": "1", "b": "2"}}}
OTHER: dict[str, Any] = {"kind": "Job", "metadata": {"name": "other"}}


@contextmanager
def begun(store: RunStore, *objects: dict[str, Any], now: datetime = NOW) -> Iterator[RunDirectory]:
    """A run with a living process; leaving the block is its death."""
    run = store.begin(list(objects or (JOB,)), now)
    try:
        yield run
    finally:
        run.release()


def left(store: RunStore) -> list[str]:
    """The ids of all runs without a living process."""
    ids = []
    for run in store.interrupted():
        ids.append(run.run_id)
        run.release()
    return ids


def test_a_new_run_has_a_directory_of_its_own(tmp_path: Path):
    with begun(RunStore(tmp_path / "state")) as run:
        assert run.path == tmp_path / "state" / "runs" / run.run_id
        assert run.node == f"run-{run.run_id}"
        assert (run.content.began_at, run.content.ended) == (NOW, False)


def test_what_is_in_the_manifests_is_not_kept(tmp_path: Path):
    secret = {"kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"password": "sesame"}}
    with begun(RunStore(tmp_path), JOB, secret) as run:
        assert "sesame" not in (run.path / "run.json").read_text()


def test_an_interrupted_run_of_the_same_manifests_is_taken_over(tmp_path: Path):
    store = RunStore(tmp_path)
    with begun(store) as first:
        pass
    with begun(store, now=LATER) as again:
        assert again.run_id == first.run_id
        assert again.content == first.content


def test_the_order_of_keys_makes_no_other_manifest(tmp_path: Path):
    store = RunStore(tmp_path)
    with begun(store) as first:
        pass
    turned = {"metadata": {"labels": {"b": "2", "a": "1"}, "name": "test"}, "kind": "Job"}
    with begun(store, turned) as again:
        assert again.run_id == first.run_id


@pytest.mark.parametrize("objects", [(OTHER,), (JOB, OTHER), (OTHER, JOB)])
def test_other_manifests_are_another_run(tmp_path: Path, objects: tuple[dict[str, Any], ...]):
    store = RunStore(tmp_path)
    with begun(store) as first:
        pass
    with begun(store, *objects) as run:
        assert run.run_id != first.run_id
        assert left(store) == [first.run_id]


def test_a_run_with_a_living_process_is_not_taken_over(tmp_path: Path):
    store = RunStore(tmp_path)
    with begun(store) as first, begun(store) as second:
        assert first.run_id != second.run_id
        assert left(store) == []
    assert sorted(left(store)) == sorted([first.run_id, second.run_id])


def test_a_run_that_has_ended_is_not_taken_over_but_is_there_to_be_removed(tmp_path: Path):
    store = RunStore(tmp_path)
    with begun(store) as first:
        first.mark_ended()
        assert first.content.ended
    with begun(store) as second:
        assert second.run_id != first.run_id
        assert left(store) == [first.run_id]


def test_a_removed_run_is_gone(tmp_path: Path):
    store = RunStore(tmp_path)
    run = store.begin([JOB], NOW)
    run.save("more.json", {})
    (run.path / "pods" / "uid").mkdir(parents=True)
    run.remove()
    assert list((tmp_path / "runs").iterdir()) == []
    assert left(store) == []


def test_without_any_run_there_is_nothing(tmp_path: Path):
    assert left(RunStore(tmp_path / "never" / "used")) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"{", b"\0" * 99, b'{"digest":"\xff"}'])
def test_what_cannot_be_read_is_a_run_to_be_removed(tmp_path: Path, content: bytes):
    store = RunStore(tmp_path)
    with begun(store) as first:
        (first.path / "run.json").write_bytes(content)
    with begun(store) as second:
        assert second.run_id != first.run_id
        assert left(store) == [first.run_id]


HOLDS = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from vkprovider.standalone.run_store import RunStore

run = RunStore(Path(sys.argv[1])).begin([], datetime.now(UTC))
print(run.run_id, flush=True)
sys.stdin.read()
"""


def test_kill_9_frees_the_lock(tmp_path: Path):
    store = RunStore(tmp_path)
    command = [sys.executable, "-c", HOLDS, tmp_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()
        assert left(store) == []
        process.kill()
    assert left(store) == [run_id]


def test_ten_at_once_are_ten_runs(tmp_path: Path):
    store = RunStore(tmp_path)
    together = threading.Barrier(10)

    def begin(_: int) -> RunDirectory:
        together.wait()
        return store.begin([JOB], NOW)

    with ThreadPoolExecutor(10) as threads:
        runs = list(threads.map(begin, range(10)))
    assert len({run.run_id for run in runs}) == 10
    assert left(store) == []
    for run in runs:
        assert run.load("run.json", dict)["ended"] is False
        run.remove()
    assert list((tmp_path / "runs").iterdir()) == []


def test_of_ten_at_once_one_takes_over(tmp_path: Path):
    store = RunStore(tmp_path)
    with begun(store) as interrupted:
        pass
    together = threading.Barrier(10)

    def begin(_: int) -> RunDirectory:
        together.wait()
        return store.begin([JOB], NOW)

    with ThreadPoolExecutor(10) as threads:
        runs = list(threads.map(begin, range(10)))
    assert [run.run_id for run in runs].count(interrupted.run_id) == 1
    assert len({run.run_id for run in runs}) == 10
    for run in runs:
        run.release()


def test_a_run_that_is_being_removed_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its process may remove it in the moment between our opening of the lock and our locking it."""
    store = RunStore(tmp_path)
    lock = fcntl.flock
    with begun(store) as run:
        pass

    def too_late(descriptor: int, how: int) -> None:
        shutil.rmtree(run.path)
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", too_late)
    assert left(store) == []
    assert list((tmp_path / "runs").iterdir()) == []


def test_files_of_a_run(tmp_path: Path):
    with begun(RunStore(tmp_path)) as run:
        assert run.load("some.json", dict) is None
        run.save("some.json", {"a": 1})
        run.save("some.json", {"a": 2})
        assert run.load("some.json", dict[str, int]) == {"a": 2}
        assert run.load("some.json", list) is None
        (run.path / "some.json").write_text('{"a":')
        assert run.load("some.json", dict) is None
        assert sorted(path.name for path in run.path.iterdir()) == ["lock", "run.json", "some.json"]


def test_manifests_may_hold_secrets(tmp_path: Path):
    before = os.umask(0)
    try:
        with begun(RunStore(tmp_path)) as run:
            run.save("final.json", [])
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in run.path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"lock": 0o600, "run.json": 0o600, "final.json": 0o600}


@pytest.mark.parametrize("content", ["", "{", '{"digest": 1}', "[]"])
def test_a_run_that_cannot_be_read_is_not_taken_over_but_is_there_to_be_removed(tmp_path: Path, content: str):
    store = RunStore(tmp_path)
    with begun(store) as broken:
        pass
    (broken.path / "run.json").write_text(content)
    with begun(store) as run:
        assert run.run_id != broken.run_id
        assert left(store) == [broken.run_id]


def test_what_is_no_run_is_left_alone(tmp_path: Path):
    store = RunStore(tmp_path)
    with begun(store):
        runs = tmp_path / "runs"
        (runs / "no-lock").mkdir()
        (runs / "file").write_text("")
        (runs / ".being-made").mkdir()
        (runs / ".being-made" / "lock").touch()
        assert left(store) == []
