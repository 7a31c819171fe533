"""What the program does to files, and how it ends, run directly on this machine."""

from __future__ import annotations

import os
import signal
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine_sandbox.programs import Program

GROUP = 54321 if os.geteuid() == 0 else os.getgid()  # only root may give files away


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def group(path: Path) -> int:
    return path.lstat().st_gid


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A directory that no command is given and that must come out of each test as it went in."""
    directory = tmp_path / "outside"
    directory.mkdir(mode=0o700)
    (directory / "file").write_text("kept")
    (directory / "file").chmod(0o600)
    before = [(mode(path), group(path)) for path in (directory, directory / "file")]
    yield directory
    assert (directory / "file").read_text() == "kept"
    assert [(mode(path), group(path)) for path in (directory, directory / "file")] == before


@pytest.fixture
def volume(tmp_path: Path, outside: Path) -> Path:
    """A directory with one of everything a container can leave in it, traps included."""
    top = tmp_path / "volume"
    (top / "sub" / "empty").mkdir(parents=True)
    (top / "file").write_text("x")
    (top / "sub" / "script").write_text("x")
    (top / "sub" / "to-directory").symlink_to(outside)
    (top / "to-file").symlink_to(outside / "file")
    (top / "to-parent").symlink_to("..")
    (top / "dangling").symlink_to("nowhere")
    os.mkfifo(top / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(top / "socket"))
    for path in top.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o700 if path.is_dir() else 0o600)
    (top / "sub" / "script").chmod(0o4711)
    top.chmod(0o700)
    return top


def test_remove_deletes_everything_below_and_nothing_else(program: Program, volume: Path) -> None:
    program.done("remove", volume)
    assert not volume.exists()


def test_remove_deletes_a_link_and_not_what_it_leads_to(program: Program, tmp_path: Path, outside: Path) -> None:
    for given in ("plain", "slashed//"):
        link = tmp_path / given.rstrip("/")
        link.symlink_to(outside)
        program.done("remove", f"{tmp_path}/{given}")
        assert not link.is_symlink()


def test_remove_takes_several_paths_and_files_and_what_is_gone_already(program: Program, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    program.done("remove", tmp_path / "directory", tmp_path / "missing" / "below", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_remove_copes_with_many_entries(program: Program, tmp_path: Path) -> None:
    top = tmp_path / "wide"
    top.mkdir()
    for number in range(500):
        (top / f"{number:0100}").touch()
    program.done("remove", top)
    assert not top.exists()


def nest(top: Path, levels: int) -> None:
    """Make ``levels`` directories, each in the one before and with a file in it: deeper than any path can name."""
    directory = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=directory)
        os.close(os.open("f", os.O_CREAT, dir_fd=directory))
        below = os.open("d", os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(directory)


def test_remove_copes_with_any_depth(program: Program, tmp_path: Path) -> None:
    top = tmp_path / "deep"
    for branch, levels in (("one", 450), ("two", 850)):
        (top / branch).mkdir(parents=True)
        nest(top / branch, levels)
    program.done("remove", top)
    assert not top.exists()


def test_own_refuses_what_is_nested_too_deeply(program: Program, tmp_path: Path) -> None:
    top = tmp_path / "deep"
    top.mkdir()
    nest(top, 450)
    result = program.run("own", GROUP, top)
    assert result.returncode == 1
    assert result.stderr == f"own: {top}{'/d' * 400}: Nested too deeply\n"
    program.done("remove", top)


def test_remove_names_what_it_cannot_delete(program: Program, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = program.run("remove", "/proc/version", tmp_path / "file")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "remove: /proc/version: Operation not permitted\n"
    assert not (tmp_path / "file").exists()


def test_own_gives_everything_below_to_the_group(program: Program, volume: Path) -> None:
    program.done("own", GROUP, volume)
    modes = {str(path.relative_to(volume)): mode(path) for path in volume.rglob("*") if not path.is_symlink()}
    assert modes == {
        "file": 0o660,
        "fifo": 0o660,
        "socket": 0o660,
        "sub": 0o2770,
        "sub/empty": 0o2770,
        "sub/script": 0o4771,
    }
    assert mode(volume) == 0o2770
    assert {group(path) for path in [volume, *volume.rglob("*")]} == {GROUP}


def test_own_of_a_read_only_volume_lets_the_group_read(program: Program, volume: Path) -> None:
    program.done("own", "-r", GROUP, volume)
    assert {mode(volume), mode(volume / "sub"), mode(volume / "sub" / "empty")} == {0o2750}
    assert (mode(volume / "file"), mode(volume / "sub" / "script")) == (0o640, 0o4751)
    assert {group(path) for path in [volume, *volume.rglob("*")]} == {GROUP}


def test_own_names_what_is_missing(program: Program, tmp_path: Path) -> None:
    result = program.run("own", GROUP, tmp_path / "missing", tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"own: {tmp_path}/missing: No such file or directory\n"
    assert mode(tmp_path) & 0o2770 == 0o2770


def test_chmod_sets_one_mode(program: Program, volume: Path) -> None:
    program.done("chmod", "1777", volume)
    assert mode(volume) == 0o1777
    assert mode(volume / "sub") == 0o700


def test_chmod_follows_no_link(program: Program, volume: Path) -> None:
    result = program.run("chmod", "0777", volume / "to-file")
    assert result.returncode == 1
    assert result.stderr == f"chmod: {volume}/to-file: Is a symbolic link\n"


@pytest.mark.parametrize(
    "args",
    [
        ["delete", "/x"],
        ["remove"],
        ["remove", ""],
        ["remove", "/"],
        ["remove", "//"],
        ["remove", "relative"],
        ["remove", "/nowhere/.."],
        ["remove", "/nowhere/."],
        ["own"],
        ["own", "1"],
        ["own", "-1", "/nowhere"],
        ["own", "4294967295", "/nowhere"],
        ["own", "1x", "/nowhere"],
        ["own", "-r", "/nowhere"],
        ["chmod", "", "/nowhere"],
        ["chmod", "0888", "/nowhere"],
        ["chmod", "10000", "/nowhere"],
        ["kill"],
        ["kill", "0"],
        ["kill", "1"],
        ["kill", "-1"],
        ["kill", "2147483648"],
        ["kill", "2147483647", "2147483647"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_refused(program: Program, args: list[str]) -> None:
    result = program.run(*args)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("usage: sandbox ")


def test_kill_ends_a_process_at_once(program: Program) -> None:
    process = program.start()
    try:
        program.done("kill", process.pid)
        assert process.wait(timeout=10) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()


def test_kill_is_content_with_a_process_that_is_gone(program: Program) -> None:
    process = program.start()
    process.kill()
    process.wait()
    program.done("kill", process.pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_holding_ends_at_once_with_0(program: Program, number: signal.Signals) -> None:
    process = program.start()
    try:
        wait_until_holding(process.pid)
        process.send_signal(number)
        assert process.wait(timeout=1) == 0
    finally:
        process.kill()
        process.wait()


def wait_until_holding(pid: int) -> None:
    """Wait until the process sleeps with signals blocked, which it does not do for any other reason."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        if status["State"].strip().startswith("S") and int(status["SigBlk"], 16) >> (signal.SIGHUP - 1) & 1:
            return
        os.sched_yield()
    pytest.fail("the program never came to wait for signals")
