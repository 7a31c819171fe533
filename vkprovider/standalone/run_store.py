"""What a run leaves on disk while it lives, so that the next one can take over after a kill -9.

Each run has a directory with a lock held by its process. A run whose lock is free was interrupted: the same manifests
run again resume it, ``vkprovider down`` removes it. Ten runs of one manifest at once have ten directories.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

NEVER = datetime.min.replace(tzinfo=UTC)


class RunFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was started with: ``digest`` tells whether another one is given the same. The manifests themselves are
    not kept, since there may be Secrets among them.
    """

    digest: str
    began_at: datetime
    ended: bool = False  # all was said and done, what is left is only to be removed


class RunDirectory:
    """One run's directory, locked by this process until ``release`` or its death."""

    def __init__(self, path: Path, lock: int, content: RunFile) -> None:
        self.path = path
        self.content = content
        self._lock = lock

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def node(self) -> str:
        """The node label of the run's containers."""
        return f"run-{self.run_id}"

    def save(self, name: str, value: Any) -> None:
        """Write a small JSON file durably."""
        _write(self.path / name, msgspec.json.encode(value))

    def load(self, name: str, kind: Any) -> Any:
        """Read what ``save`` wrote, or None where there is none that can be read."""
        try:
            return msgspec.json.decode((self.path / name).read_bytes(), type=kind)
        except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def mark_ended(self) -> None:
        """From now on the run is not resumed: what is left of it is for ``down`` to remove."""
        self.content = msgspec.structs.replace(self.content, ended=True)
        self.save("run.json", self.content)

    def remove(self) -> None:
        """Remove the directory; the lock goes with it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.release()

    def release(self) -> None:
        os.close(self._lock)


class RunStore:
    """All runs below one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._runs = state_dir / "runs"

    def begin(self, objects: list[dict[str, Any]], now: datetime) -> RunDirectory:
        """A directory for these manifests: that of an interrupted run of the same ones, else a new one."""
        digest = hashlib.sha256(msgspec.json.encode(objects, order="deterministic")).hexdigest()
        for run in self.interrupted():
            if run.content.digest == digest and not run.content.ended:
                return run
            run.release()
        return self._create(RunFile(digest=digest, began_at=now))

    def interrupted(self) -> Iterator[RunDirectory]:
        """Every run without a living process, locked by us now. The caller releases or removes each."""
        for path in sorted(self._runs.glob("[!.]*")):
            run = self._take(path)
            if run is not None:
                yield run

    def _create(self, content: RunFile) -> RunDirectory:
        """Made under a hidden name and shown when locked, so that nobody takes it for an interrupted one."""
        name = secrets.token_hex(4)
        hidden = self._runs / f".{name}"
        hidden.mkdir(parents=True, mode=0o711)
        lock = os.open(hidden / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        RunDirectory(hidden, lock, content).save("run.json", content)
        hidden.rename(self._runs / name)
        return RunDirectory(self._runs / name, lock, content)

    def _take(self, path: Path) -> RunDirectory | None:
        try:
            lock = os.open(path / "lock", os.O_RDWR)
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return None
        if os.fstat(lock).st_nlink == 0:  # removed by the process that had it, between open and lock
            os.close(lock)
            return None
        run = RunDirectory(path, lock, RunFile(digest="", began_at=NEVER, ended=True))
        run.content = run.load("run.json", RunFile) or run.content
        return run


def _write(path: Path, content: bytes) -> None:
    """For this user alone: there may be Secrets in it."""
    fresh = path.with_suffix(".new")
    with open(fresh, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
