"""The closed set of things a pod worker may be told to do, and what it may hear back.

An action is a value; ``node.performer`` carries it out and answers with news, which the next view shows to ``decide``.
At most one action is in flight per ``key``: a container's name, or "" for the pod itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from vkprovider.core.record import PodMemory, PodRecord
from vkprovider.model.container import ResourceRequirements
from vkprovider.model.probe import LifecycleHandler, Probe
from vkprovider.model.refs import ContainerID, ObjectRef

POD = ""  # the key of actions that concern the pod as a whole


class Action(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    key: str = POD


class PrepareVolumes(Action, frozen=True, kw_only=True):
    """Materialise the pod's volumes and directories, or bring them up to date. Idempotent.

    ``version`` counts what may have changed since the first time, and comes back with the news.
    """

    version: int = 0


class CreateSandbox(Action, frozen=True, kw_only=True):
    attempt: int


class RemoveSandbox(Action, frozen=True, kw_only=True):
    """Kill and remove a sandbox: the pod's network goes down with it."""

    sandbox_id: ContainerID


class PullImage(Action, frozen=True, kw_only=True):
    """Make sure the image is present as its pull policy asks, for the given attempt of the container; and before it
    those of the image volumes that the container mounts.
    """

    image: str
    policy: str
    attempt: int


class StartContainer(Action, frozen=True, kw_only=True):
    """Create and start one instance. Where an instance of that name exists it is adopted, never doubled.

    ``target_id`` is the container whose process namespace an ephemeral container enters, "" for its own; ``devices``
    are the ids of those that it was given, by resource, ``volumes`` of the images that it has as volumes, by name.
    ``runtime`` is the sandbox's.
    """

    attempt: int
    sandbox_id: ContainerID
    image_id: str
    backoff_seconds: int
    target_id: ContainerID = ContainerID("")
    devices: Mapping[str, tuple[str, ...]] = {}
    volumes: Mapping[str, str] = {}
    runtime: str = ""


class ResizeContainer(Action, frozen=True, kw_only=True):
    """Update a running instance to new resources. With ``less_memory`` only if it does not use more than that."""

    container_id: ContainerID
    resources: ResourceRequirements
    less_memory: bool


class RunHook(Action, frozen=True, kw_only=True):
    """Run postStart or preStop once. ``hook`` is "PostStart" or "PreStop"."""

    container_id: ContainerID
    hook: str
    handler: LifecycleHandler


class SignalContainer(Action, frozen=True, kw_only=True):
    """Send one signal; ``signal`` "" means the container's own stop signal."""

    container_id: ContainerID
    signal: str


class RemoveContainer(Action, frozen=True, kw_only=True):
    """Remove a dead instance and what it left."""

    container_id: ContainerID


class TeardownPod(Action, frozen=True, kw_only=True):
    """Remove every container, volume and directory of a pod that is gone."""


# --- news: what came of an action, or what a prober saw ---------------------------------------------------------


class News(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    key: str = POD


class VolumesReady(News, frozen=True, kw_only=True):
    """``renew_at`` is when something in them is due to be replaced, a token most often. ``withheld`` says why files of
    other namespaces' objects, which the pod was granted earlier, were left as they are.
    """

    version: int = 0
    renew_at: datetime | None = None
    withheld: tuple[str, ...] = ()


class ObjectChanged(News, frozen=True, kw_only=True):
    """A ConfigMap or Secret that the pod refers to is there, is gone, or is not what it was."""

    ref: ObjectRef


class VolumesFailed(News, frozen=True, kw_only=True):
    """``messages`` in the kubelet's words, one per volume: each becomes a FailedMount event."""

    messages: tuple[str, ...]
    version: int = 0


class SandboxFailed(News, frozen=True, kw_only=True):
    message: str


class PullStarted(News, frozen=True, kw_only=True):
    image: str


class PullDone(News, frozen=True, kw_only=True):
    """``seconds`` is None where the image was already there. ``volumes`` are as in ``StartContainer``."""

    image: str
    attempt: int
    image_id: str
    seconds: float | None = None
    size_bytes: int = 0
    volumes: Mapping[str, str] = {}


class VolumePulled(News, frozen=True, kw_only=True):
    """The image of a volume is there. ``seconds`` is None where it already was."""

    image: str
    seconds: float | None = None
    size_bytes: int = 0


class StartFailed(News, frozen=True, kw_only=True):
    """A pull, create or start that failed. ``reason`` is the waiting reason: ErrImagePull, CreateContainerError, ...

    ``image`` and ``reference`` are as in ``Failure``.
    """

    attempt: int
    reason: str
    message: str
    image: str = ""
    reference: str = ""


class ContainerCreated(News, frozen=True, kw_only=True):
    container_id: ContainerID


class ContainerStarted(News, frozen=True, kw_only=True):
    container_id: ContainerID


class ContainerResized(News, frozen=True, kw_only=True):
    container_id: ContainerID
    resources: ResourceRequirements


class ResizeFailed(News, frozen=True, kw_only=True):
    message: str


class HookFailed(News, frozen=True, kw_only=True):
    """``message`` may quote what a command said: it is for the container's status, and for no event."""

    container_id: ContainerID
    hook: str
    message: str = ""


class SignalSent(News, frozen=True, kw_only=True):
    container_id: ContainerID
    signal: str


class ActionFailed(News, frozen=True, kw_only=True):
    """An engine call that failed and is simply due again: signals, removals, sandbox removals."""

    action: str
    message: str


class Warned(News, frozen=True, kw_only=True):
    """Something that is worth a Warning event and nothing more."""

    reason: str
    message: str


class ProbeFailed(Warned, frozen=True, kw_only=True):
    """One failing attempt of a probe; ``reason`` is Unhealthy or ProbeWarning, ``message`` the event's text."""


class TornDown(News, frozen=True, kw_only=True):
    pass


# --- what a decision carries -------------------------------------------------------------------------------------


class PodEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event to record, of a pod or of the node. ``field_path`` is "" for the pod itself, else as in
    ``spec.containers{app}``.
    """

    type: str  # Normal or Warning
    reason: str
    message: str
    field_path: str = ""


class ProbeTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A probe that should be running now. Results are bound to the container ID."""

    container_id: ContainerID
    container: str
    kind: str  # startup, liveness or readiness
    probe: Probe
    started_at: datetime
    pod_ip: str
    ports: tuple[tuple[str, int], ...] = ()


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that follows from one look at a pod.

    ``objects`` are those of which a change is to be heard at once.
    ``cancel`` names the keys whose action in flight has become pointless. ``wake_at`` is when to look again even if
    nothing happens. ``gone`` means nothing of the pod is left and its worker may end.
    """

    actions: tuple[Action, ...]
    cancel: frozenset[str]
    probes: tuple[ProbeTarget, ...]
    status: dict[str, Any]
    events: tuple[PodEvent, ...]
    record: PodRecord
    memory: PodMemory
    wake_at: datetime | None
    objects: frozenset[ObjectRef] = frozenset()
    gone: bool = False
