"""What a container engine says of itself, its images and its processes, and what it is told of them."""

from __future__ import annotations

from datetime import datetime

import msgspec

from vkprovider.model.create import LogLimits


class EngineInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine says of itself and its host. ``memory`` in bytes; ``root_dir`` is where it keeps its data.

    It ``shares_mounts`` where it is known to see what this process mounts, and holds to ``pod_limits`` where the
    containers of a pod can be limited together. A runtime may be able to make a mount ``recursive_read_only``, which is
    read-only with all mounts below it.
    """

    version: str
    api_version: str
    os: str
    architecture: str
    kernel: str
    operating_system: str
    cpus: int
    memory: int
    root_dir: str = ""
    shares_mounts: bool = False
    pod_limits: bool = False
    cgroup_driver: str = ""
    runtimes: tuple[str, ...] = ()
    recursive_read_only: tuple[str, ...] = ()  # of the runtimes those that can; "" stands for the default one
    security: tuple[str, ...] = ()  # what confines containers: seccomp, apparmor, selinux, and how the engine runs
    withheld: tuple[str, ...] = ()  # capabilities that its host lets no container have, without CAP_


class ImageInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An image in the engine's store. ``digest`` is ``name@sha256:...`` where it came from a registry, else ""."""

    id: str
    size_bytes: int = 0
    digest: str = ""
    user: str = ""
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    stop_signal: str = ""


class StoredImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image in the engine's store by all its names, those with a digest first."""

    id: str = ""
    names: tuple[str, ...]
    size_bytes: int


class RegistryAuth(msgspec.Struct, frozen=True, kw_only=True):
    username: str = ""
    password: str = ""
    token: str = ""  # an identity token, instead of a password


class PullProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a pull is, over all layers known so far. ``total`` grows while layers are discovered."""

    image: str
    current_bytes: int
    total_bytes: int
    status: str


class ExecResult(msgspec.Struct, frozen=True, kw_only=True):
    """``exit_code`` is None where the command did not end within its time and was killed."""

    exit_code: int | None
    output: bytes


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of output as the engine recorded it; ``data`` ends in a newline unless the line was cut."""

    time: datetime
    stream: str  # stdout or stderr
    data: bytes
    nanoseconds: int = 0  # beyond the microseconds of ``time``

    @property
    def stamp(self) -> str:
        """The time in RFC 3339, UTC, with nine digits of the second."""
        return f"{self.time:%Y-%m-%dT%H:%M:%S.%f}{self.nanoseconds:03}Z"


class LogTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A container's log file. In ``note``, another file, the engine remembers how far it is. Both directories exist."""

    path: str
    note: str
    limits: LogLimits = LogLimits()


class Output(msgspec.Struct, frozen=True):
    """A piece of what a process says; of a terminal all is ``stdout``."""

    stream: str  # stdout or stderr
    data: bytes
