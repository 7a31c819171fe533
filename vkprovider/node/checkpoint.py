"""The write-ahead record of each pod: one small JSON file, on disk before any action that it announces.

It holds only what labels cannot, because labels are frozen when a container is created; and the pod itself, so that
a pod can be ended in order though nobody remembers its manifest. A file of a newer version or one that cannot be
read is set aside, and the pod goes on from its labels.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import structlog

from vkprovider.core.record import PodRecord
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodUID

VERSION = 1
log = structlog.get_logger()


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a checkpoint file."""

    record: PodRecord
    pod: dict[str, Any]
    version: int = VERSION


class FileCheckpoint:
    """The ``Checkpoint`` port on a directory. Its methods block: call them from a thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def save(self, uid: PodUID, record: PodRecord, pod: Pod) -> None:
        """Write durably: a crash leaves either the old file or the new one, as does a full disk. Raises OSError."""
        path = self._path(uid)
        fresh = path.with_suffix(".new")
        with open(fresh, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(msgspec.json.encode(Saved(record=record, pod=pod.raw)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        self._sync_directory()

    def load(self, uid: PodUID) -> Saved | None:
        path = self._path(uid)
        try:
            saved = msgspec.json.decode(path.read_bytes(), type=Saved)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as exc:
            self._set_aside(path, str(exc))
            return None
        if saved.version > VERSION:
            self._set_aside(path, f"version {saved.version} is newer than {VERSION}")
            return None
        return saved

    def load_all(self) -> dict[PodUID, Saved]:
        """Every readable checkpoint, by uid."""
        found = ((PodUID(path.stem), self.load(PodUID(path.stem))) for path in sorted(self._directory.glob("*.json")))
        return {uid: saved for uid, saved in found if saved is not None}

    def delete(self, uid: PodUID) -> None:
        self._path(uid).unlink(missing_ok=True)

    def _path(self, uid: PodUID) -> Path:
        return self._directory / f"{uid}.json"

    def _set_aside(self, path: Path, why: str) -> None:
        aside = path.with_suffix(".unreadable")
        log.warning("checkpoint set aside; the pod goes on from its labels", path=str(path), aside=str(aside), why=why)
        path.replace(aside)

    def _sync_directory(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
