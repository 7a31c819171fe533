"""How each container of a pod stands in the present sandbox: the facts that every other question is asked of."""

from __future__ import annotations

from datetime import datetime

import msgspec

from vkprovider.core.actions import Action
from vkprovider.core.record import ANY_ATTEMPT, Failure, Stop
from vkprovider.core.restarts import restart_delay, restarts
from vkprovider.core.sidecars import Kind, Role, Roles
from vkprovider.core.view import PodView
from vkprovider.model.labels import spec_hash
from vkprovider.model.observed import ContainerState, Run, SandboxState

POST_START, PRE_STOP = "PostStart", "PreStop"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One container now.

    ``current`` is the newest instance if it counts for the present sandbox; an older sandbox's instances are only
    history, save for the exit of an app. ``newest`` is the newest of all. ``restart_at`` is when an ended container
    may run again, None if it never will.
    """

    role: Role
    current: ContainerState | None
    newest: ContainerState | None
    started: bool
    ready: bool
    stop: Stop | None
    busy: Action | None
    failure: Failure | None
    restart_at: datetime | None

    @property
    def name(self) -> str:
        return self.role.name

    @property
    def alive(self) -> bool:
        return self.newest is not None and self.newest.alive

    @property
    def ended(self) -> bool:
        """Has run in this sandbox, or counts as if, and runs no more."""
        return self.current is not None and self.current.run is Run.EXITED

    @property
    def done(self) -> bool:
        """Ended, and its policy will not restart it."""
        return self.ended and self.restart_at is None

    @property
    def next_attempt(self) -> int:
        """The attempt a start would make: an instance created but never started is taken up, not doubled."""
        if self.newest is None:
            return 0
        if self.current is not None and self.current.run is Run.CREATED:
            return self.current.attempt
        return self.newest.attempt + 1

    @property
    def retry_at(self) -> datetime | None:
        """When the next start may be tried if the last try failed; failures of earlier attempts are history."""
        if self.failure is None or self.failure.attempt not in (ANY_ATTEMPT, self.next_attempt):
            return None
        return self.failure.retry_at


def present_sandbox(view: PodView) -> SandboxState | None:
    """The newest sandbox if it is fit for use."""
    newest = view.observed.sandboxes[0] if view.observed.sandboxes else None
    return newest if newest is not None and newest.ready else None


def stand(view: PodView, roles: Roles) -> dict[str, Standing]:
    """How every container stands, by name, in ``roles.all`` order."""
    return {role.name: _stand(view, role) for role in roles.all}


def hook_key(container_id: str, hook: str) -> str:
    return f"{container_id}/{hook}"


def _stand(view: PodView, role: Role) -> Standing:
    newest = view.observed.newest(role.name)
    current = newest if newest is not None and _counts(view, role, newest) else None
    stop = view.record.stops.get(newest.id) if newest is not None else None
    started = current is not None and _started(view, role, current)
    failure = view.memory.failures.get(role.name)
    return Standing(
        role=role,
        current=current,
        newest=newest,
        started=started,
        ready=started and current is not None and _ready(view, role, current),
        stop=stop,
        busy=view.in_flight.get(role.name),
        failure=failure,
        restart_at=_restart_at(view, role, current, stop) if current is not None else None,
    )


def _counts(view: PodView, role: Role, instance: ContainerState) -> bool:
    """Whether an instance says anything about the present. After a sandbox is lost, init runs again in full; an app
    that ended for good under its policy stays ended (kuberuntime_manager.go computePodActions).
    """
    newest_sandbox = view.observed.sandboxes[0] if view.observed.sandboxes else None
    if newest_sandbox is None or instance.sandbox_id == newest_sandbox.id or instance.alive:
        return True
    if not role.keeps_alive and role.kind is not Kind.JOB:
        return view.record.ending is not None
    return instance.run is Run.EXITED and not restarts(view.pod, role, instance, None)


def _started(view: PodView, role: Role, instance: ContainerState) -> bool:
    """Running, postStart finished, startup probe succeeded. A plain init container is started as it runs."""
    if instance.run not in (Run.RUNNING, Run.PAUSED):
        return False
    container = role.container
    if container.lifecycle is not None and container.lifecycle.post_start is not None:
        begun = hook_key(instance.id, POST_START) in view.record.hooks
        if not begun or view.in_flight.get(role.name) is not None:
            return False
    if container.startup_probe is not None and role.kind is not Kind.INIT:
        verdicts = view.verdicts.get(instance.id)
        return verdicts is not None and verdicts.started is True
    return True


def _ready(view: PodView, role: Role, instance: ContainerState) -> bool:
    if role.kind is Kind.INIT:
        return False
    if role.container.readiness_probe is None:
        return True
    verdicts = view.verdicts.get(instance.id)
    return verdicts is not None and verdicts.ready is True


def _restart_at(view: PodView, role: Role, instance: ContainerState, stop: Stop | None) -> datetime | None:
    if instance.run is not Run.EXITED or not restarts(view.pod, role, instance, stop):
        return None
    ended_at = instance.finished_at or instance.created_at
    return ended_at + restart_delay(role, instance, stop, spec_hash(role.container), view.settings)
