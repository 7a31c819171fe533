"""The engine's files, as its driver writes and rotates them, into a pod's: nothing lost, nothing twice."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vkprovider.engine.json_log import JsonLog
from vkprovider.engine.log_copy import LogCopy, Order
from vkprovider.model.create import LogLimits
from vkprovider.wire.pod_log import CriFormat

MIB = 1 << 20


class Driver:
    """What Docker's json-file driver does with so many files."""

    def __init__(self, directory: Path, files: int = 3) -> None:
        self.path = directory / "json.log"
        self.path.touch()
        self.files = files
        self.number = 0
        self.fraction = "5"

    def say(self, count: int = 1, end: str = "\n") -> None:
        with self.path.open("a") as file:
            for _ in range(count):
                time = f"2025-01-01T00:{self.number // 60 % 60:02}:{self.number % 60:02}.{self.fraction}Z"
                file.write(json.dumps({"log": f"{self.number}{end}", "stream": "stdout", "time": time}) + "\n")
                self.number += 1

    def rotate(self) -> None:
        """It does so before it writes more than fits, and so never to an empty file."""
        if not self.path.stat().st_size:
            return
        names = [self.path, *(self.path.with_name(f"json.log.{number}") for number in range(1, self.files))]
        names[-1].unlink(missing_ok=True)
        for old, new in reversed(tuple(pairwise(names))):
            if old.exists():
                old.rename(new)
        self.path.touch()


class Bench:
    def __init__(self, directory: Path, max_bytes: int = MIB, files: int = 3) -> None:
        self.target = directory / "0.log"
        self.driver = Driver(directory, files)
        self._order = Order(
            id="a",
            source=str(self.driver.path),
            target=str(self.target),
            note=str(directory / "note"),
            limits=LogLimits(max_bytes=max_bytes, max_files=3),
        )

    def copy(self) -> closing[LogCopy]:
        return closing(LogCopy(self._order, CriFormat(lambda _: timedelta())))

    def copy_all(self) -> None:
        with self.copy() as copy:
            while copy.step():
                pass

    def numbers(self) -> list[int]:
        files = [*sorted(self.target.parent.glob("0.log.*")), self.target]
        lines = [line for file in files for line in file.read_text().splitlines()]
        return [int(line.split(" ", 3)[3]) for line in lines if line.split(" ", 3)[3]]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_what_there_was_before_and_what_comes(bench: Bench) -> None:
    for _ in range(2):
        bench.driver.say(2)
        bench.driver.rotate()
    bench.driver.say()
    with bench.copy() as copy:
        while copy.step():
            pass
        assert bench.numbers() == [0, 1, 2, 3, 4]
        bench.driver.say()
        assert copy.step()
        assert not copy.step()
    assert bench.numbers() == [0, 1, 2, 3, 4, 5]
    assert bench.target.stat().st_mode & 0o777 == 0o640


def test_what_is_rotated_away_is_read_all_the_same(bench: Bench) -> None:
    with bench.copy() as copy:
        for _ in range(9):
            bench.driver.say(3)
            bench.driver.rotate()
            copy.look()
        os.unlink(bench.driver.path)
        while copy.step():
            pass
    assert bench.numbers() == list(range(27))


def test_an_entry_that_is_not_whole_waits(bench: Bench) -> None:
    with bench.copy() as copy:
        with bench.driver.path.open("a") as file:
            file.write('{"log":"0\\n",')
        assert not copy.step()
        with bench.driver.path.open("a") as file:
            file.write('"stream":"stdout","time":"2025-01-01T00:00:00Z"}\n')
        assert copy.step()
    assert bench.numbers() == [0]


@given(seed=st.integers(0, 2**32))
def test_whoever_dies_whenever_nothing_is_lost_or_doubled(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A copier dies between any two of its system calls: here, before a note, or with a write half done."""
    random = Random(seed)
    bench = Bench(tmp_path_factory.mktemp("bench"))
    note = bench.target.parent / "note"
    for life in range(12):
        if life % 2:
            bench.copy_all()  # else the driver would throw away what is not copied yet
        with bench.copy() as copy:
            assert not copy.missed()
            bench.driver.say(random.randrange(5))
            if life % 2 and random.random() < 0.6:
                bench.driver.rotate()
                bench.driver.say(random.randrange(3))
            goes_on = True
            while goes_on and random.random() < 0.8:
                noted, size = note.read_bytes(), bench.target.stat().st_size
                goes_on = copy.step()
                if random.random() < 0.3:  # it dies before the note, and may be before all is written
                    note.write_bytes(noted)
                    os.truncate(bench.target, random.randint(size, bench.target.stat().st_size))
                    break
    bench.copy_all()
    assert bench.numbers() == list(range(bench.driver.number))


def test_a_large_log_is_begun_anew_and_some_are_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_bytes=1000)
    for _ in range(8):
        bench.driver.say(30)
        bench.copy_all()
    kept = sorted(tmp_path.glob("0.log.*"))
    assert [len(file.name) for file in kept] == [len("0.log.20250101-000029")] * 2
    assert bench.target.stat().st_size < 1000
    numbers = bench.numbers()
    assert numbers == list(range(numbers[0], 240))


def test_rotations_within_a_second(tmp_path: Path) -> None:
    """The second is named by its nanoseconds too; the file grows where these are taken."""
    bench = Bench(tmp_path, max_bytes=100)
    for _ in range(5):
        bench.driver.number = 0
        bench.driver.say(10)
        bench.copy_all()
    assert bench.numbers() == [*range(10)] * 5
    names = [file.name for file in sorted(tmp_path.glob("0.log.*"))]
    assert names == ["0.log.20250101-000009", "0.log.20250101-000009.500000000"]


def test_however_much_is_said_in_a_second_so_much_is_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_bytes=1000)
    for nanosecond in range(50):
        bench.driver.fraction = f"{nanosecond + 1:09}"
        bench.driver.number = 0
        bench.driver.say(30)
        bench.copy_all()
        sizes = [file.stat().st_size for file in tmp_path.glob("0.log*")]
        assert len(sizes) <= 3
        assert max(sizes) <= 2 * 1000
    assert bench.numbers() == [*range(30)] * 2


@pytest.mark.parametrize("files", [2, 3])
@given(seed=st.integers(0, 2**32))
def test_who_lags_behind_loses_nothing(files: int, seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """It has got hold of each file while that was there, and reads it long after."""
    random, bench = Random(seed), Bench(tmp_path_factory.mktemp("bench"), files=files)
    with bench.copy() as copy:
        for _ in range(20):
            bench.driver.say(random.randrange(1, 4))
            for _ in range(random.randrange(files)):
                bench.driver.rotate()
                bench.driver.say()
            copy.look()
            if random.random() < 0.1:
                copy.step()
        while copy.step():
            pass
        assert not copy.missed()
    assert bench.numbers() == list(range(bench.driver.number))


@pytest.mark.parametrize("files", [2, 3])
def test_what_is_rotated_away_between_two_looks_is_told_to_be_missed(tmp_path: Path, files: int) -> None:
    bench = Bench(tmp_path, files=files)
    bench.driver.say()
    with bench.copy() as copy:
        for _ in range(files + 2):
            bench.driver.rotate()
            bench.driver.say()
        while copy.step():
            pass
        assert (copy.missed(), copy.missed()) == (True, False)
        bench.driver.rotate()
        bench.driver.say()
        assert copy.step()
        assert not copy.missed()
    assert bench.numbers() == [0, *range(3, files + 4)]


@pytest.mark.parametrize("files", [2, 3])
def test_who_dies_while_it_lags_loses_what_the_driver_has_removed(tmp_path: Path, files: int) -> None:
    bench = Bench(tmp_path, files=files)
    bench.driver.say(3)
    bench.copy_all()
    with bench.copy() as copy:
        for _ in range(files + 2):
            bench.driver.say(3)
            bench.driver.rotate()
            copy.look()
    with bench.copy() as copy:
        assert copy.missed()
        while copy.step():
            pass
        assert not copy.missed()
    there = bench.numbers()
    end = bench.driver.number
    assert there == [0, 1, 2, *range(end - 3 * (files - 1), end)]


def test_last_words(bench: Bench) -> None:
    bench.driver.say(end="")
    for _ in range(2):
        with bench.copy() as copy:
            while copy.step():
                pass
            copy.finish()
    first, second = bench.target.read_text().splitlines(keepends=True)
    assert first.endswith(" stdout P 0\n")
    assert second.endswith(" stdout F \n")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def no_leak() -> Iterator[None]:
    before = descriptors()
    yield
    assert descriptors() == before


def test_files_are_closed(no_leak: None, bench: Bench) -> None:
    bench.driver.say()
    bench.driver.rotate()
    bench.copy_all()
    bench.driver.path.unlink()
    with pytest.raises(FileNotFoundError):
        bench.copy()


def test_files_are_closed_where_the_pods_cannot_be_opened(no_leak: None, bench: Bench) -> None:
    bench.target.mkdir()
    with pytest.raises(IsADirectoryError):
        bench.copy()


@contextmanager
def only_so_many_more(count: int) -> Iterator[None]:
    """Files that may be opened."""
    next_ones = [os.dup(0) for _ in range(count + 1)]  # the lowest that are free
    for descriptor in next_ones:
        os.close(descriptor)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_ones[-1], hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("count", range(5))
def test_files_are_closed_where_some_cannot_be_opened(no_leak: None, bench: Bench, count: int) -> None:
    for _ in range(3):
        bench.driver.rotate()
        bench.driver.say()
    with only_so_many_more(count), pytest.raises(OSError, match="Too many open files"):
        bench.copy()


def test_a_file_that_cannot_be_begun_anew_ends_one_copy_and_nothing_is_lost(no_leak: None, tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_bytes=100)
    bench.driver.say(9)
    with bench.copy() as copy, only_so_many_more(0), pytest.raises(OSError, match="Too many open files"):
        copy.step()
    bench.driver.say(1)
    bench.copy_all()
    assert bench.numbers() == list(range(10))


def test_no_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as failed:
        JsonLog(str(tmp_path / "none"))
    assert failed.value.filename == str(tmp_path / "none")


def test_files_that_are_being_removed_are_not_taken_for_new_ones(bench: Bench) -> None:
    bench.driver.say()
    bench.driver.rotate()
    bench.driver.say()
    with bench.copy() as copy:
        while copy.step():
            pass
        bench.driver.path.unlink()
        assert not copy.step()
    assert bench.numbers() == [0, 1]
