"""A user without root who may use the engine's socket, and a Python that such a user can read."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
LIBRARIES = Path(sysconfig.get_path("purelib"))
STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))


class Account(NamedTuple):
    name: str
    uid: int
    gid: int
    home: Path
    socket_gid: int

    @property
    def start(self) -> dict[str, Any]:
        """What makes ``subprocess`` start a process of this user, with the groups a login would give."""
        return {"user": self.uid, "group": self.gid, "extra_groups": [self.gid, self.socket_gid], "cwd": self.home}


@contextmanager
def new_account(socket: str) -> Iterator[Account]:
    """A new user of this machine, in the group of the engine's socket. Needs root."""
    name, socket_gid = f"vkp-{uuid.uuid4().hex[:8]}", os.stat(socket).st_gid
    subprocess.run(["useradd", "--create-home", f"--groups={socket_gid}", name], check=True, capture_output=True)
    try:
        entry = pwd.getpwnam(name)
        yield Account(name, entry.pw_uid, entry.pw_gid, Path(entry.pw_dir), socket_gid)
    finally:
        subprocess.run(["userdel", "--remove", name], check=True, capture_output=True)


class Program(NamedTuple):
    command: tuple[str, ...]
    env: dict[str, str]


@contextmanager
def readable_program(account: Account) -> Iterator[Program]:
    """``vkprovider`` from this checkout, where the account can read it: the checkout, its environment and even the
    Python it was made with may be in a home that is closed to others.
    """
    directory = Path(tempfile.mkdtemp(prefix="vkprovider-"))
    directory.chmod(0o755)
    try:
        _share(ROOT / "vkprovider", directory / "vkprovider")
        _share(ROOT / "cmd", directory / "cmd")
        _share(LIBRARIES, directory / "libraries")
        env = {"PATH": os.defpath, "PYTHONPATH": f"{directory}:{directory / 'libraries'}"}
        python = Path(os.path.realpath(sys.executable))
        if not _can_use(account, python):
            python = _share_python(python, directory)
            env["LD_LIBRARY_PATH"] = str(directory / "lib")
        yield Program((str(python), str(directory / "cmd" / "vkprovider" / "main.py")), env)
    finally:
        shutil.rmtree(directory)


def _can_use(account: Account, python: Path) -> bool:
    try:
        subprocess.run([python, "-c", "import socket"], check=True, capture_output=True, **account.start)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _share_python(python: Path, directory: Path) -> Path:
    """A Python finds its standard library beside itself."""
    library = directory / "lib" / STANDARD_LIBRARY.name
    _share(STANDARD_LIBRARY, library, "site-packages", "test", "idlelib")
    shared = Path(sysconfig.get_config_var("LIBDIR")) / str(sysconfig.get_config_var("INSTSONAME"))
    if shared.exists():
        _link(str(shared), str(directory / "lib" / shared.name))
    (directory / "bin").mkdir()
    return Path(_link(str(python), str(directory / "bin" / python.name)))


def _share(source: Path, target: Path, *left_out: str) -> None:
    shutil.copytree(source, target, copy_function=_link, ignore=shutil.ignore_patterns(*left_out))
    for path, _, _ in os.walk(target):
        os.chmod(path, 0o755)


def _link(source: str, target: str) -> str:
    """The same file under a second name costs nothing, where that is possible and others may read it."""
    mode = os.stat(source).st_mode
    if mode & 0o004:
        try:
            os.link(source, target)
        except OSError:
            pass
        else:
            return target
    shutil.copyfile(source, target)
    os.chmod(target, 0o755 if mode & 0o100 else 0o644)
    return target
