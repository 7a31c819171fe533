"""How each container of a pod stands in the present sandbox: the facts that every other question is asked of."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from vkprovider.core.actions import Action, PullImage, RunHook
from vkprovider.core.allocation import applied, same
from vkprovider.core.record import ANY_ATTEMPT, Failure, Stop
from vkprovider.core.restarts import ANEW, HOOK, PROBES, STARTUP, ended_at, restart_delay, restarts
from vkprovider.core.sidecars import Kind, Role, Roles
from vkprovider.core.view import PodView
from vkprovider.model.labels import spec_hash
from vkprovider.model.observed import ContainerState, Run, SandboxState

POST_START, PRE_STOP = "PostStart", "PreStop"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One container now.

    ``current`` is the newest instance if it counts for the present sandbox; an older sandbox's instances are only
    history, save for the exit of an app. ``newest`` is the newest of all, ``previous`` the one before it.
    ``restart_at`` is when an ended container may run again, None if it never will. ``shown`` is an ended instance that
    is published as if it ran on, because the one that replaces it is not up yet; ``ready`` is its readiness then.
    ``coming`` is one that runs while its postStart is under way or has failed: a kubelet tells nobody of it.
    """

    role: Role
    current: ContainerState | None
    newest: ContainerState | None
    previous: ContainerState | None
    shown: ContainerState | None
    coming: bool
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
    def published(self) -> ContainerState | None:
        """The instance that the status is about."""
        return self.shown or self.newest

    @property
    def alive(self) -> bool:
        return self.newest is not None and self.newest.alive

    @property
    def occupied(self) -> bool:
        """Something is under way that others wait for: not so the pull of an image for a later run."""
        return self.busy is not None and not (self.alive and isinstance(self.busy, PullImage))

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
        """When the next start may be tried if the last try failed. Failures of earlier attempts are history, and so are
        those with another image.
        """
        if self.failure is None or self.failure.attempt not in (ANY_ATTEMPT, self.next_attempt):
            return None
        if self.failure.image and self.failure.image != self.role.container.image:
            return None
        return self.failure.retry_at


def present_sandbox(view: PodView) -> SandboxState | None:
    """The newest sandbox if it is fit for use."""
    newest = view.observed.sandboxes[0] if view.observed.sandboxes else None
    return newest if newest is not None and newest.ready else None


def stand(view: PodView, roles: Roles) -> dict[str, Standing]:
    """How every container stands, by name, in ``roles.all`` order."""
    apps = {role.name for role in roles.regulars if role.keeps_alive}
    alive = frozenset(c.name for c in view.observed.containers if c.alive and c.name in apps)
    return {role.name: _stand(view, role, bool(alive - {role.name})) for role in roles.all}


def hook_key(container_id: str, hook: str) -> str:
    return f"{container_id}/{hook}"


def _stand(view: PodView, role: Role, others: bool) -> Standing:
    """``others`` says that another app runs."""
    instances = view.observed.instances(role.name)
    newest, previous = (*instances, None, None)[:2]
    current = newest if newest is not None and _counts(view, role, newest) else None
    shown = _shown(view, role, newest, previous)
    started = current is not None and _started(view, role, current)
    probed = shown if shown_as_started(view, shown) else current if started else None
    return Standing(
        role=role,
        current=current,
        newest=newest,
        previous=previous,
        shown=shown,
        coming=newest is not None and _coming(view, role, newest),
        started=started,
        ready=probed is not None and _ready(view, role, probed),
        stop=view.record.stops.get(newest.id) if newest is not None else None,
        busy=view.in_flight.get(role.name),
        failure=view.memory.failures.get(role.name),
        restart_at=_restart_at(view, role, current, previous, others),
    )


def _coming(view: PodView, role: Role, instance: ContainerState) -> bool:
    if instance.run not in (Run.RUNNING, Run.PAUSED):
        return False
    stop = view.record.stops.get(instance.id)
    return not is_up(view, role, instance) or (stop is not None and stop.cause == HOOK)


def _shown(
    view: PodView, role: Role, newest: ContainerState | None, previous: ContainerState | None
) -> ContainerState | None:
    """A run that was stopped to be followed by another at once stands until that one is up, its postStart included, or
    has failed. A kubelet's worker is busy that long and publishes nothing; so a pod stays ready.
    """
    if newest is None or view.record.ending is not None:
        return None
    if newest.run is Run.EXITED:
        old, attempt = newest, newest.attempt + 1
        at_once = _restart_at(view, role, old, previous, False) == ended_at(old)
    elif previous is not None and not is_up(view, role, newest):
        old, attempt = previous, newest.attempt
        wait = timedelta(seconds=old.backoff_seconds)
        at_once = not wait or newest.created_at < ended_at(old) + wait
    else:
        return None
    stop, failure = view.record.stops.get(old.id), view.memory.failures.get(role.name)
    if old.run is not Run.EXITED or stop is None:
        return None
    if stop.cause not in ANEW and not (stop.cause in PROBES and at_once):
        return None
    return None if failure is not None and failure.attempt == attempt else old


def shown_as_started(view: PodView, shown: ContainerState | None) -> bool:
    """Whether there is an ended instance that is shown as if it ran on, and had started."""
    return shown is not None and view.record.stops[shown.id].cause != STARTUP


def _counts(view: PodView, role: Role, instance: ContainerState) -> bool:
    """Whether an instance says anything about the present. After a sandbox is lost, init runs again in full; an app
    that ended for good under its policy stays ended (kuberuntime_manager.go computePodActions).
    """
    newest_sandbox = view.observed.sandboxes[0] if view.observed.sandboxes else None
    if newest_sandbox is None or instance.sandbox_id == newest_sandbox.id or instance.alive:
        return True
    if role.kind is Kind.EPHEMERAL:
        return True
    if not role.keeps_alive and role.kind is not Kind.JOB:
        return view.record.ending is not None
    return instance.run is Run.EXITED and not restarts(view.pod, role, instance, None)


def is_up(view: PodView, role: Role, instance: ContainerState) -> bool:
    """Running, and its postStart finished."""
    if instance.run not in (Run.RUNNING, Run.PAUSED):
        return False
    lifecycle = role.container.lifecycle
    if lifecycle is None or lifecycle.post_start is None:
        return True
    busy = view.in_flight.get(role.name)
    begun = hook_key(instance.id, POST_START) in view.record.hooks
    return begun and not (isinstance(busy, RunHook) and busy.hook == POST_START)


def _started(view: PodView, role: Role, instance: ContainerState) -> bool:
    """Up, and its startup probe succeeded. A plain init container is started as it runs."""
    if not is_up(view, role, instance):
        return False
    if role.container.startup_probe is not None and role.kind is not Kind.INIT:
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


def _restart_at(
    view: PodView, role: Role, instance: ContainerState | None, before: ContainerState | None, others: bool
) -> datetime | None:
    """One of which nothing is left is started whatever its policy, as long as its pod goes on without it: a kubelet
    knows of no end of it (kuberuntime_container.go ShouldContainerBeRestarted).
    """
    if instance is None or instance.run is not Run.EXITED:
        return None
    stop = view.record.stops.get(instance.id)
    forgotten = instance.lost and others and role.keeps_alive
    if not forgotten and not restarts(view.pod, role, instance, stop):
        return None
    return ended_at(instance) + restart_delay(
        instance, before, stop, back_off_hash(view, role, instance), view.settings
    )


def back_off_hash(view: PodView, role: Role, instance: ContainerState) -> str:
    """The hash an instance must have for its back-off to go on. No instance has that of other resources: a container
    that got more memory need not wait (kuberuntime_manager.go GetBackoffKey).
    """
    container = role.container
    unchanged = same(applied(view.record, instance, container), container.resources)
    return spec_hash(container) if unchanged else ""
