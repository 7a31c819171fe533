"""What the engine shows of a pod, in words that fit any engine."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from vkprovider.model.container import ResourceRequirements
from vkprovider.model.refs import ContainerID, PodKey


class Run(StrEnum):
    """How a container stands. PAUSED is frozen from outside; UNKNOWN could not be inspected."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    EXITED = "exited"
    UNKNOWN = "unknown"


class ContainerUser(msgspec.Struct, frozen=True, kw_only=True):
    """As whom a container's first process runs."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


class ContainerState(msgspec.Struct, frozen=True, kw_only=True):
    """One instance (attempt) of a container.

    ``attempt`` counts from 0 and is the instance's restart count. ``backoff_seconds`` is the delay its label says
    the next restart must observe. A container whose start failed shows as EXITED with code 128 and the engine's
    words in ``start_error``, as containerd reports it (reason StartError).
    """

    id: ContainerID
    name: str
    attempt: int
    sandbox_id: ContainerID
    run: Run
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int = 0
    oom_killed: bool = False
    start_error: str = ""
    image: str = ""  # as the pod spec named it
    image_id: str = ""
    image_digest: str = ""
    backoff_seconds: int = 0
    spec_hash: str = ""
    resources: ResourceRequirements | None = None  # what it was created with
    user: ContainerUser | None = None  # None where that cannot be told
    stop_signal: str = ""  # of the image; "" means TERM
    pid: int = 0
    message: str = ""  # the termination message, once the container has ended
    lost: bool = False  # nothing is left of it; its end is presumed

    @property
    def alive(self) -> bool:
        """Whether a process of it may still run. What cannot be seen is taken to be alive."""
        return self.run in (Run.RUNNING, Run.PAUSED, Run.UNKNOWN)


class SandboxState(msgspec.Struct, frozen=True, kw_only=True):
    """The container that holds the pod's namespaces. ``ready`` means running and, off the host network, with an IP."""

    id: ContainerID
    attempt: int
    ready: bool
    created_at: datetime
    ips: tuple[str, ...] = ()
    runtime: str = ""  # of the engine's, which its pod's containers have as well


class Glance(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of all shows of a pod: less than a look at it does, but for all pods at once.

    ``shown`` has for each container what does not change while nothing happens to it. ``fresh`` tells that one of them
    began or ended less than a minute ago.
    """

    shown: frozenset[str] = frozenset()
    fresh: bool = False


class PodObservation(msgspec.Struct, frozen=True, kw_only=True):
    """All of a pod's containers, dead or alive: sandboxes and, per name, instances, each newest first.

    ``pod`` is what they say whose they are, None where there are none.
    """

    sandboxes: tuple[SandboxState, ...] = ()
    containers: tuple[ContainerState, ...] = ()
    pod: PodKey | None = None

    def instances(self, name: str) -> tuple[ContainerState, ...]:
        """The instances of one container, newest first."""
        return tuple(c for c in self.containers if c.name == name)

    def newest(self, name: str) -> ContainerState | None:
        return next((c for c in self.containers if c.name == name), None)

    def by_id(self, container_id: ContainerID) -> ContainerState | None:
        return next((c for c in self.containers if c.id == container_id), None)
