"""Checkpoints on a real disk: what survives a crash, and what is done with files that make no sense."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.core.given import at, container, pod
from vkprovider.core.record import Ending, PodRecord, Stop
from vkprovider.model.pod import decode_pod
from vkprovider.model.refs import ContainerID, PodUID
from vkprovider.node.checkpoint import VERSION, FileCheckpoint, Saved

FIXTURES = Path(__file__).parents[1] / "fixtures" / "checkpoints"
POD = pod(container("app"))
UID = POD.uid
FULL = PodRecord(
    start_time=at(0),
    ips=("10.0.0.7", "fd00::7"),
    ending=Ending(cause="DeadlineExceeded", began_at=at(1), deadline=at(31), reason="DeadlineExceeded", failed=True),
    stops={ContainerID("c" * 64): Stop(cause="end", term_at=at(1), kill_at=at(31), term_sent=True)},
    hooks=(f"{'c' * 64}/PreStop",),
    final={"phase": "Failed", "conditions": []},
)


def lines(path: Path) -> list[str]:
    return sorted(found.name for found in path.iterdir())


def test_what_is_saved_is_loaded(tmp_path: Path):
    checkpoint = FileCheckpoint(tmp_path)
    assert checkpoint.load(UID) is None
    checkpoint.save(UID, PodRecord(), POD)
    checkpoint.save(UID, FULL, POD)
    assert checkpoint.load(UID) == Saved(record=FULL, pod=POD.raw)
    assert FileCheckpoint(tmp_path).load_all() == {UID: Saved(record=FULL, pod=POD.raw)}
    assert lines(tmp_path) == [f"{UID}.json"]


def test_what_is_deleted_is_gone(tmp_path: Path):
    checkpoint = FileCheckpoint(tmp_path)
    checkpoint.save(UID, FULL, POD)
    checkpoint.delete(UID)
    checkpoint.delete(UID)
    assert lines(tmp_path) == []


def test_a_uid_with_dots_is_its_own(tmp_path: Path):
    checkpoint = FileCheckpoint(tmp_path)
    for uid in ("a", "a.b", "a.c"):
        checkpoint.save(PodUID(uid), PodRecord(ips=(uid,)), POD)
    assert {uid: saved.record.ips for uid, saved in checkpoint.load_all().items()} == {
        "a": ("a",),
        "a.b": ("a.b",),
        "a.c": ("a.c",),
    }


def test_pods_do_not_write_into_each_others_files(tmp_path: Path):
    checkpoint = FileCheckpoint(tmp_path)
    with ThreadPoolExecutor(4) as threads:
        for number in range(100):
            threads.submit(checkpoint.save, PodUID(f"u{number % 4}"), PodRecord(ips=(f"u{number % 4}",) * 100), POD)
    assert {uid: set(saved.record.ips) for uid, saved in checkpoint.load_all().items()} == {
        f"u{number}": {f"u{number}"} for number in range(4)
    }


def test_nobody_else_reads_them(tmp_path: Path):
    before = os.umask(0)
    try:
        checkpoint = FileCheckpoint(tmp_path / "records")
        checkpoint.save(UID, FULL, POD)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "records", tmp_path / "records" / f"{UID}.json")]
    assert modes == [0o700, 0o600]


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """As on a disk with so little room: the first bytes are taken, the next are refused."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 1, 100])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, size: int):
    checkpoint = FileCheckpoint(tmp_path)
    checkpoint.save(UID, FULL, POD)
    with no_file_larger_than(size), pytest.raises(OSError, match="File too large"):
        checkpoint.save(UID, PodRecord(), POD)
    assert checkpoint.load(UID) == Saved(record=FULL, pod=POD.raw)
    checkpoint.save(UID, PodRecord(), POD)
    assert checkpoint.load(UID) == Saved(record=PodRecord(), pod=POD.raw)


def test_a_half_written_file_is_not_looked_at(tmp_path: Path):
    checkpoint = FileCheckpoint(tmp_path)
    checkpoint.save(UID, FULL, POD)
    (tmp_path / f"{UID}.new").write_text('{"record":')
    assert FileCheckpoint(tmp_path).load_all() == {UID: Saved(record=FULL, pod=POD.raw)}


SAVES_FOR_EVER = """
import sys
from pathlib import Path
from tests.core.given import container, pod
from vkprovider.core.record import PodRecord
from vkprovider.node.checkpoint import FileCheckpoint

checkpoint = FileCheckpoint(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    checkpoint.save("u", PodRecord(ips=(str(number),) * 1000), pod(container("app")))
    print(number, flush=True)
"""


def test_kill_9_leaves_the_old_file_or_the_new_one(tmp_path: Path):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", SAVES_FOR_EVER, tmp_path]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(20)]
        process.kill()
        told += process.stdout.readlines()
    newest = int(told[-1])
    saved = FileCheckpoint(tmp_path).load(UID)
    assert saved is not None
    assert set(saved.record.ips) in ({str(newest)}, {str(newest + 1)})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "truncated"),
        (b"\x00" * 512, "malformed"),
        (b'{"record":{"start_time":"2026-01-01T12:00:0', "truncated"),
        (b'{"record":{"start_time":1},"pod":{}}', "datetime"),
        (b'{"pod":{}}', "record"),
        (b'{"record":{"ips":["\xff"]},"pod":{}}', "utf-8"),
        (b'{"version":2,"record":{},"pod":{}}', "version 2 is newer than 1"),
    ],
)
def test_what_cannot_be_read_is_set_aside(tmp_path: Path, content: bytes, why: str):
    checkpoint = FileCheckpoint(tmp_path)
    checkpoint.save(PodUID("good"), FULL, POD)
    (tmp_path / "bad.json").write_bytes(content)
    with capture_logs() as logs:
        assert checkpoint.load_all().keys() == {"good"}
    assert lines(tmp_path) == ["bad.unreadable", "good.json"]
    assert (tmp_path / "bad.unreadable").read_bytes() == content
    assert [entry["event"] for entry in logs] == ["checkpoint set aside; the pod goes on from its labels"]
    assert why in logs[0]["why"]
    checkpoint.save(PodUID("bad"), FULL, POD)
    assert checkpoint.load_all().keys() == {"bad", "good"}


def test_what_is_no_file_is_set_aside(tmp_path: Path):
    checkpoint = FileCheckpoint(tmp_path)
    (tmp_path / "bad.json").mkdir()
    assert checkpoint.load(PodUID("bad")) is None
    assert lines(tmp_path) == ["bad.unreadable"]


def fixture(name: str) -> Any:
    return msgspec.json.decode((FIXTURES / f"{name}.json").read_bytes(), type=Saved)


def test_every_version_ever_written_has_a_fixture():
    versions = {int(path.name.split("-")[0].removeprefix("v")) for path in FIXTURES.glob("v*-*.json")}
    assert versions == set(range(1, VERSION + 1))


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.json")), ids=lambda path: path.stem)
def test_files_of_every_version_are_understood(tmp_path: Path, path: Path):
    checkpoint = FileCheckpoint(tmp_path)
    (tmp_path / f"{UID}.json").write_bytes(path.read_bytes())
    saved = checkpoint.load(UID)
    assert saved is not None
    assert decode_pod(saved.pod).spec.containers[0].name == "app"
    assert saved.record.start_time == datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def test_version_1_between_term_and_kill():
    record = fixture("v1-between-term-and-kill").record
    (stop,) = record.stops.values()
    assert record.ending == Ending(cause="Completed", began_at=at(10), deadline=at(40))
    assert (stop.cause, stop.term_at, stop.kill_at) == ("end", at(10), at(40))
    assert (stop.term_sent, stop.kill_sent) == (True, False)


def test_version_1_of_a_pod_that_is_over():
    record = fixture("v1-over").record
    assert record.final["phase"] == "Succeeded"
    assert record.ips == ("172.17.0.2",)
