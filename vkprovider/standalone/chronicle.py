"""What happened in a run, as values: jobs, their pods, the containers, and each instance with its times.

All that is shown to a user (tree, lines, bars, picture, explanations) is a function of a ``Chronicle`` and the
time. ``fold`` grows one from what the workers saw.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from vkprovider.core.sidecars import Kind
from vkprovider.model.refs import ContainerID, PodUID


class State(StrEnum):
    """A container's state as its pod's status has it."""

    WAITING = "waiting"
    RUNNING = "running"
    TERMINATED = "terminated"


class EndedBy(StrEnum):
    """Who ended an instance: its own process, the stop signal, or KILL."""

    ITSELF = "itself"
    TERM = "TERM"
    KILL = "KILL"


class Pull(msgspec.Struct, frozen=True, kw_only=True):
    """One pull of an image that was not there. ``ended`` is None while it goes on; sizes in bytes, 0 if unknown."""

    image: str
    began: datetime
    ended: datetime | None = None
    current_bytes: int = 0
    total_bytes: int = 0
    error: str = ""


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a container.

    ``created``, ``started``, ``finished`` and ``exit_code`` are the engine's; ``published_code`` is what the pod's
    status says instead. ``up`` is when it counted as started (postStart done, startup probe passed), None before.
    ``stop_cause`` is the recorded reason to stop it, "" if there is none; ``term`` and ``kill`` are when the signals
    were sent, ``kill_due`` the deadline. ``signal`` is the name of its stop signal.
    """

    id: ContainerID
    attempt: int
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None
    up: datetime | None = None
    exit_code: int | None = None
    published_code: int | None = None
    oom_killed: bool = False
    start_error: str = ""
    stop_cause: str = ""
    hook: bool = False  # its preStop hook has begun
    signal: str = "TERM"
    term: datetime | None = None
    kill_due: datetime | None = None
    kill: datetime | None = None

    @property
    def forgiven(self) -> bool:
        """Whether the published exit code is 0 and the true one is not."""
        return self.published_code == 0 and self.exit_code not in (0, None)

    @property
    def ended_by(self) -> EndedBy | None:
        """Who ended it, None if it has not ended. A signal that came after the end did not end it."""
        if self.finished is None:
            return None
        if self.kill is not None and self.finished >= self.kill:
            return EndedBy.KILL
        if self.term is not None and self.finished >= self.term:
            return EndedBy.TERM
        return EndedBy.ITSELF


class ContainerStory(msgspec.Struct, frozen=True, kw_only=True):
    """A container over its pod's life. ``why`` says which rule gave it its kind.

    ``reason`` and ``message`` belong to the published state; ``waits_for`` names the container that holds a waiting
    one back; ``warning`` is the last Warning event since the state last changed. ``instances`` are oldest first.
    """

    name: str
    kind: Kind
    why: str
    image: str = ""
    state: State = State.WAITING
    reason: str = ""
    message: str = ""
    started: bool = False
    ready: bool = False
    restarts: int = 0
    waits_for: str = ""
    warning: str = ""
    pulls: tuple[Pull, ...] = ()
    instances: tuple[Instance, ...] = ()

    @property
    def sidecar(self) -> bool:
        return self.kind in (Kind.NATIVE, Kind.MARKED, Kind.JOB)

    @property
    def newest(self) -> Instance | None:
        return self.instances[-1] if self.instances else None

    @property
    def pulling(self) -> Pull | None:
        """The pull going on now."""
        return self.pulls[-1] if self.pulls and self.pulls[-1].ended is None else None

    @property
    def stopping(self) -> Instance | None:
        """The newest instance if it is alive and to be stopped."""
        newest = self.newest
        return newest if newest is not None and newest.stop_cause and newest.finished is None else None


class PodStory(msgspec.Struct, frozen=True, kw_only=True):
    """A pod and its containers in start order. ``job`` is the owning Job's name or ""."""

    uid: PodUID
    namespace: str
    name: str
    job: str = ""
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    warning: str = ""
    began: datetime
    ended: datetime | None = None  # when its last phase was first seen, or nothing was left of it
    containers: tuple[ContainerStory, ...] = ()

    def container(self, name: str) -> ContainerStory | None:
        return next((c for c in self.containers if c.name == name), None)


class JobStory(msgspec.Struct, frozen=True, kw_only=True):
    """A Job by its own status. ``condition`` is the type of the one that ended it: Complete, Failed or ""."""

    namespace: str
    name: str
    began: datetime
    ended: datetime | None = None
    completions: int | None = None
    active: int = 0
    succeeded: int = 0
    failed: int = 0
    condition: str = ""
    reason: str = ""
    message: str = ""
    suspended: bool = False


class Chronicle(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs and pods in the order in which they were first heard of."""

    jobs: tuple[JobStory, ...] = ()
    pods: tuple[PodStory, ...] = ()

    def pod(self, uid: PodUID) -> PodStory | None:
        return next((p for p in self.pods if p.uid == uid), None)

    def with_pod(self, story: PodStory) -> Chronicle:
        if self.pod(story.uid) is None:
            return msgspec.structs.replace(self, pods=(*self.pods, story))
        return msgspec.structs.replace(self, pods=tuple(story if p.uid == story.uid else p for p in self.pods))

    def job(self, namespace: str, name: str) -> JobStory | None:
        return next((j for j in self.jobs if (j.namespace, j.name) == (namespace, name)), None)

    def with_job(self, story: JobStory) -> Chronicle:
        if self.job(story.namespace, story.name) is None:
            return msgspec.structs.replace(self, jobs=(*self.jobs, story))
        same = (story.namespace, story.name)
        jobs = tuple(story if (j.namespace, j.name) == same else j for j in self.jobs)
        return msgspec.structs.replace(self, jobs=jobs)

    def pods_of(self, job: JobStory) -> tuple[PodStory, ...]:
        return tuple(p for p in self.pods if (p.namespace, p.job) == (job.namespace, job.name))

    def lone_pods(self) -> tuple[PodStory, ...]:
        """Pods that no Job owns."""
        return tuple(p for p in self.pods if not p.job)
