"""One container of the fake engine, and how a pod of them shows itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from tests.fakes.programs import Program
from vkprovider.model.create import ContainerCreate, Limits
from vkprovider.model.engine import LogLine
from vkprovider.model.labels import SANDBOX_TYPE, ContainerIdentity, decode_resources
from vkprovider.model.observed import ContainerState, Glance, PodObservation, Run, SandboxState
from vkprovider.model.refs import ContainerID, PodKey, PodUID

START_FAILED = 128


@dataclass(kw_only=True)
class FakeContainer:
    """``due_at`` is when it will end by itself, with ``due_code``. ``runs`` counts how often it was started."""

    id: ContainerID
    spec: ContainerCreate
    identity: ContainerIdentity | None  # None where its labels are not vkprovider's
    image_id: str
    stop_signal: str
    created_at: datetime
    ip: str
    program: Program = field(default_factory=Program)
    running: bool = False
    runs: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int = 0
    oom_killed: bool = False
    start_error: str = ""
    uses_memory: int = 0
    due_at: datetime | None = None
    due_code: int = 0
    due_oom: bool = False
    signals: list[str] = field(default_factory=list)
    output: list[LogLine] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        return self.identity.name if self.identity is not None else self.spec.name

    @property
    def attempt(self) -> int:
        return self.identity.attempt if self.identity is not None else 0

    @property
    def pod_uid(self) -> PodUID:
        return self.identity.pod_uid if self.identity is not None else PodUID("")

    @property
    def is_sandbox(self) -> bool:
        return self.identity is not None and self.identity.type == SANDBOX_TYPE

    @property
    def memory_usage(self) -> int:
        return self.uses_memory if self.running else 0

    def update(self, limits: Limits) -> None:
        kept = msgspec.structs.replace(limits, oom_score_adj=self.spec.limits.oom_score_adj)
        self.spec = msgspec.structs.replace(self.spec, limits=kept)

    def begin(self, program: Program, now: datetime) -> None:
        self.program, self.running, self.started_at, self.start_error = program, True, now, ""
        self.finished_at, self.exit_code, self.oom_killed = None, 0, False
        self.runs += 1
        if program.runs is not None:
            self._end_later(now, program.runs, program.code)
            self.due_oom = program.oom
        for stream, line in program.output:
            self._print(now, line, stream)

    def react(self, signal: str, now: datetime) -> bool:
        """Whether the signal will end it. The nearer end counts."""
        self.signals.append(signal)
        reaction = self.program.reactions.get(signal)
        if reaction is None:
            return False
        for line in reaction.output:
            self._print(now, line)
        if reaction.code is None:
            return False
        if self.due_at is None or now + timedelta(seconds=reaction.seconds) < self.due_at:
            self._end_later(now, reaction.seconds, reaction.code)
        return True

    def end(self, at: datetime, code: int, *, oom: bool) -> None:
        self.running, self.finished_at, self.exit_code, self.oom_killed = False, at, code, oom
        self.due_at, self.due_oom = None, False
        self.news.set()

    def state(self, *, unknown: bool) -> ContainerState:
        identity = self.identity
        assert identity is not None
        return ContainerState(
            id=self.id,
            name=identity.name,
            attempt=identity.attempt,
            sandbox_id=identity.sandbox_id,
            run=Run.UNKNOWN if unknown else self._run(),
            created_at=self.created_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
            exit_code=START_FAILED if self.start_error else self.exit_code,
            oom_killed=self.oom_killed,
            start_error=self.start_error,
            image=identity.image,
            image_id=self.image_id,
            image_digest=identity.image_digest,
            backoff_seconds=identity.backoff_seconds,
            spec_hash=identity.hash,
            resources=decode_resources(identity.resources),
            stop_signal=self.stop_signal,
        )

    def sandbox(self) -> SandboxState:
        on_host = self.spec.network == "host"
        ips = (self.ip,) if self.running and not on_host else ()
        return SandboxState(
            id=self.id,
            attempt=self.attempt,
            ready=self.running,
            created_at=self.created_at,
            ips=ips,
            runtime=self.spec.runtime or "runc",
        )

    @property
    def shown(self) -> str:
        """All of its state that a list shows, but the time."""
        return f"{self._run()} {self.exit_code} {self.ip if self.running else ''}"

    @property
    def changed_at(self) -> datetime | None:
        """Since when it is as it is; None where it has never been started."""
        return self.started_at if self.running else self.finished_at

    def _run(self) -> Run:
        if self.running:
            return Run.RUNNING
        return Run.EXITED if self.finished_at is not None or self.start_error else Run.CREATED

    def _end_later(self, now: datetime, seconds: float, code: int) -> None:
        self.due_at, self.due_code, self.due_oom = now + timedelta(seconds=seconds), code, False

    def _print(self, now: datetime, line: str, stream: str = "stdout") -> None:
        self.output.append(LogLine(time=now, stream=stream, data=f"{line}\n".encode()))
        self.news.set()


def observation(containers: Iterable[FakeContainer], unknown: Set[ContainerID]) -> PodObservation:
    """All of a pod, newest first."""
    newest_first = sorted(containers, key=lambda c: (c.attempt, c.created_at), reverse=True)
    return PodObservation(
        sandboxes=tuple(c.sandbox() for c in newest_first if c.is_sandbox),
        containers=tuple(c.state(unknown=c.id in unknown) for c in newest_first if not c.is_sandbox),
        pod=next((PodKey(i.pod_namespace, i.pod_name) for i in (c.identity for c in newest_first) if i), None),
    )


def glance(containers: Iterable[FakeContainer], now: datetime) -> Glance:
    """All of a pod, as a list shows it."""
    of_pod = tuple(containers)
    return Glance(
        shown=frozenset(f"{c.id} {c.shown}" for c in of_pod),
        fresh=any(c.changed_at is not None and now - c.changed_at < timedelta(minutes=1) for c in of_pod),
    )
