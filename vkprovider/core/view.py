"""The snapshot a decision is made from. Equal views give equal decisions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from vkprovider.core.actions import Action, News
from vkprovider.core.record import PodMemory, PodRecord
from vkprovider.model.observed import PodObservation
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ContainerID


class Verdicts(msgspec.Struct, frozen=True, kw_only=True):
    """What the probes of one container instance have established; None where nothing has been yet."""

    started: bool | None = None
    ready: bool | None = None
    live: bool | None = None


class CoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What decisions go by besides their pod.

    ``forgive``: whose exit code is turned into 0 when vkprovider stopped it at the pod's end: "all" sidecars,
    "marked" ones only, or "none". Times in seconds. ``recursive_read_only`` are the engine's runtimes that make mounts
    so.
    """

    node_name: str
    host_ip: str = "127.0.0.1"
    forgive: str = "all"
    backoff_first: int = 10
    backoff_limit: int = 300
    retry_seconds: int = 10  # after a failed create, sandbox or volume
    recursive_read_only: tuple[str, ...] = ()


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """What the node has for pods, and what all others take of it: cpu in thousandths, memory in bytes.

    ``devices`` are the ids of those that nobody has, by resource.
    """

    allocatable: Mapping[str, int]
    used: Mapping[str, int] = {}
    devices: Mapping[str, tuple[str, ...]] = {}


class Eviction(msgspec.Struct, frozen=True, kw_only=True):
    """Why the node itself wants a pod to end. Its grace is cut to ``grace_seconds`` where that is less.

    ``signal`` is what had run out, in the words of the kubelet's metrics; "" where nothing had. It is a ``disruption``
    unless the pod itself is the reason.
    """

    reason: str
    message: str
    grace_seconds: int | None = None
    signal: str = ""
    disruption: bool = True


class PodView(msgspec.Struct, frozen=True, kw_only=True):
    """One pod at one moment: what it is to be, what the engine shows of it, what is remembered, and what is under way.

    ``news`` are what actions have come to since the last look; ``in_flight`` those that are not done, by their key.
    """

    pod: Pod
    now: datetime
    settings: CoreSettings
    observed: PodObservation = PodObservation()
    record: PodRecord = PodRecord()
    memory: PodMemory = PodMemory()
    news: tuple[News, ...] = ()
    in_flight: Mapping[str, Action] = {}
    verdicts: Mapping[ContainerID, Verdicts] = {}
    room: Room | None = None  # None where nobody counts: every resize fits
    eviction: Eviction | None = None
