"""What is remembered of a pod between two looks.

``PodRecord`` is written to disk before any action of the decision that changed it, and survives a kill -9.
``PodMemory`` may be lost at any time: losing it costs a repeated attempt or a repeated event, never a wrong step.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from vkprovider.model.container import ResourceRequirements
from vkprovider.model.observed import ContainerState
from vkprovider.model.refs import ContainerID


class Stop(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why and until when one container instance is being stopped. Only a recorded Stop may turn 137 into 0.

    ``cause`` is "end" for the end of the pod, "sandbox" where its namespaces are gone, else why a single container is
    restarted: liveness, startup, definition, resize, hook, unknown. TERM is sent again after a crash if ``term_sent``
    was not yet known.
    """

    cause: str
    message: str = ""
    term_at: datetime | None = None  # when the stop signal was decided; None while the preStop hook runs
    kill_at: datetime  # the deadline
    term_sent: bool = False
    kill_sent: bool = False


COMPLETED, INIT_FAILED, SANDBOX_LOST = "Completed", "InitFailed", "SandboxLost"  # causes of an end: the pod's own
DELETED, DEADLINE_EXCEEDED, OVERRULED, EVICTED = "Deleted", "DeadlineExceeded", "Overruled", "Evicted"  # and others'


class Ending(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The end of the pod, from the moment it was decided. It never goes back, and its deadline only shrinks.

    ``cause`` is one of those above. ``reason`` and ``message`` are published on the pod; ``failed`` forces phase Failed
    whatever the exit codes. ``force`` skips TERM.
    """

    cause: str
    began_at: datetime
    deadline: datetime
    reason: str = ""
    message: str = ""
    failed: bool = False
    force: bool = False
    disruption: bool = False  # a Job need not count it as a failure of its own


class Resizing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A resize that was allocated and is not yet done everywhere. ``reason`` is Error while it does not succeed."""

    generation: int = 0
    reason: str = ""
    message: str = ""


class PodRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What must not be forgotten of a pod: the decisions that cannot be taken back, and what nobody can see again."""

    start_time: datetime | None = None  # status.startTime: set once
    ips: tuple[str, ...] = ()  # kept after the sandbox is gone
    ending: Ending | None = None
    stops: dict[ContainerID, Stop] = {}
    hooks: tuple[str, ...] = ()  # "<container id>/PostStart": begun, never to be repeated
    final: dict[str, Any] | None = None  # the terminal status, once published
    newest: tuple[ContainerState, ...] = ()  # of each container that has run, at the last look
    lost: tuple[ContainerState, ...] = ()  # found missing, see ``core.lost``
    allocated: dict[str, ResourceRequirements] = {}  # what each container was given of the node
    resized: dict[ContainerID, ResourceRequirements] = {}  # instances that no longer run with what they began with
    updates: tuple[ContainerID, ...] = ()  # instances with an update begun: until it is confirmed, nobody knows
    resizing: Resizing | None = None
    devices: dict[str, dict[str, tuple[str, ...]]] = {}  # what each container was given, by resource


class ImageReady(msgspec.Struct, frozen=True, kw_only=True):
    """``volumes`` are the IDs of the images that the container has volumes of, by the volumes' names."""

    attempt: int
    image: str
    image_id: str
    volumes: Mapping[str, str] = {}


POST_START_ERROR = "PostStartHookError"  # the reason of a failure that cost a container its life
ANY_ATTEMPT = -1  # of a failure that says nothing of one attempt


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """The last failed start of a container: the kubelet's reason cache, with the time of the next try.

    ``image`` is the one that it was to be started with, "" where that is no matter; ``reference`` is that of a volume,
    where it is this one that could not be had.
    """

    attempt: int
    reason: str
    message: str
    count: int
    at: datetime
    retry_at: datetime
    image: str = ""
    reference: str = ""


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    status: str
    since: datetime


class PendingResize(msgspec.Struct, frozen=True, kw_only=True):
    """A resize that the node cannot give now (Deferred) or ever (Infeasible)."""

    reason: str
    message: str
    generation: int


class PodMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What is good to know of a pod as long as this process lives."""

    volumes_ready: bool = False
    volumes_made: int = 0  # the version that is on disk; one is counted whenever something may have changed
    volumes_wanted: int = 0
    volumes_show: Any = None  # what of the pod's own metadata they were last asked to show
    volumes_renew_at: datetime | None = None
    volumes_withheld: tuple[str, ...] = ()  # why some are not refreshed, as it was told
    images: dict[str, ImageReady] = {}
    created: dict[str, ContainerID] = {}  # by container name, the one of which that was told last
    failures: dict[str, Failure] = {}  # by container name; "" for the sandbox and the volumes
    conditions: dict[str, Condition] = {}
    said: frozenset[str] = frozenset()  # events that are due once
    pending: PendingResize | None = None
    resize_retry_at: datetime | None = None  # after an update that failed
    torn_down: bool = False
