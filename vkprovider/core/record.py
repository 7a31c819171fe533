"""What is remembered of a pod between two looks.

``PodRecord`` is written to disk before any action of the decision that changed it, and survives a kill -9.
``PodMemory`` may be lost at any time: losing it costs a repeated attempt or a repeated event, never a wrong step.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from vkprovider.model.refs import ContainerID


class Stop(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why and until when one container instance is being stopped. Only a recorded Stop may turn 137 into 0.

    ``cause`` is "end" for the end of the pod, else why a single container is restarted: liveness, startup,
    definition, hook, unknown. TERM is sent again after a crash if ``term_sent`` was not yet known.
    """

    cause: str
    message: str = ""
    term_at: datetime | None = None  # when the stop signal was decided; None while the preStop hook runs
    kill_at: datetime  # the deadline
    term_sent: bool = False
    kill_sent: bool = False


class Ending(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The end of the pod, from the moment it was decided. It never goes back, and its deadline only shrinks.

    ``cause``: Completed, InitFailed, SandboxLost, Deleted, DeadlineExceeded. ``reason`` and ``message`` are
    published on the pod; ``failed`` forces phase Failed whatever the exit codes. ``force`` skips TERM.
    """

    cause: str
    began_at: datetime
    deadline: datetime
    reason: str = ""
    message: str = ""
    failed: bool = False
    force: bool = False


class PodRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    version: int = 1
    start_time: datetime | None = None  # status.startTime: set once
    ips: tuple[str, ...] = ()  # kept after the sandbox is gone
    ending: Ending | None = None
    stops: dict[ContainerID, Stop] = {}
    hooks: tuple[str, ...] = ()  # "<container id>/PostStart": begun, never to be repeated
    final: dict[str, Any] | None = None  # the terminal status, once published


class ImageReady(msgspec.Struct, frozen=True, kw_only=True):
    attempt: int
    image: str
    image_id: str


ANY_ATTEMPT = -1  # of a failure that says nothing of one attempt


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """The last failed start of a container: the kubelet's reason cache, with the time of the next try."""

    attempt: int
    reason: str
    message: str
    count: int
    at: datetime
    retry_at: datetime


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    status: str
    since: datetime


class PodMemory(msgspec.Struct, frozen=True, kw_only=True):
    volumes_ready: bool = False
    images: dict[str, ImageReady] = {}
    failures: dict[str, Failure] = {}  # by container name; "" for the sandbox and the volumes
    conditions: dict[str, Condition] = {}
    said: frozenset[str] = frozenset()  # events that are due once
    torn_down: bool = False
