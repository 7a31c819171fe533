"""A container to be created, in engine-neutral words. ``core.create`` plans it, ``engine.convert`` translates it."""

from __future__ import annotations

import msgspec


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """``source`` is an absolute host path, or the name of an engine volume where ``volume`` is set, or an image's ID
    where ``image`` is; of that the container has ``sub_path``, "" for all of it.
    """

    source: str
    target: str
    read_only: bool = False
    recursive_read_only: bool = False  # with all mounts below it
    propagation: str = "rprivate"
    volume: bool = False
    image: bool = False
    sub_path: str = ""


class DeviceMapping(msgspec.Struct, frozen=True, kw_only=True):
    """A device of the host in a container; ``access`` of the letters r, w and m, for making it."""

    source: str
    target: str
    access: str = "rwm"


class PortBinding(msgspec.Struct, frozen=True, kw_only=True):
    container_port: int
    host_port: int
    protocol: str = "tcp"  # tcp, udp or sctp
    host_ip: str = ""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Cgroup settings; 0 means unlimited. Memory in bytes, CPU in the kernel's shares and microseconds."""

    cpu_shares: int = 2
    cpu_quota: int = 0
    cpu_period: int = 100_000
    memory: int = 0
    oom_score_adj: int = 1000
    pids: int = 0


class LogLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Of a container's output so much is kept: files of ``max_bytes`` each, and ``max_files`` of them, two at least."""

    max_bytes: int = 10 << 20
    max_files: int = 5


class ContainerCreate(msgspec.Struct, frozen=True, kw_only=True):
    """``entrypoint`` and ``args`` are None where the image's own hold. ``network`` is a network's name, "host",
    or "container:<id>"; ``ipc`` and ``pid`` likewise, "" meaning the engine's default.
    """

    name: str
    image: str
    labels: dict[str, str]
    entrypoint: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()  # "NAME=value"
    working_dir: str = ""
    user: str = ""
    groups: tuple[str, ...] = ()
    tty: bool = False
    stdin: bool = False
    stdin_once: bool = False
    stop_signal: str = ""  # "" is the image's
    mounts: tuple[Mount, ...] = ()
    hostname: str = ""
    dns_searches: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    ports: tuple[PortBinding, ...] = ()
    network: str = ""
    ipc: str = ""
    pid: str = ""
    uts: str = ""
    runtime: str = ""  # of the engine's, "" for its default
    privileged: bool = False
    read_only_root: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opts: tuple[str, ...] = ()
    unmasked: bool = False  # all of /proc and /sys is shown
    sysctls: dict[str, str] = {}
    limits: Limits = Limits()
    log_limits: LogLimits = LogLimits()
    devices: tuple[DeviceMapping, ...] = ()
    gpus: tuple[str, ...] = ()  # NVIDIA's, by index or UUID
    pod_limits: Limits | None = None  # what all containers of its pod may use together
