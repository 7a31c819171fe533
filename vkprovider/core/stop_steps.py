"""How containers are stopped: one by one for a restart, all in order for the end of the pod.

::

    decided ──▶ preStop ──▶ its turn? ──▶ TERM ──▶ deadline ──▶ KILL (again every 10 s until it is dead)
       │           └─ ends at the deadline at the latest ─┘
       └─ at the deadline nobody waits for a turn any more: TERM at once, KILL 2 s later

TERM and KILL are two actions. Both are recorded before they are sent and confirmed afterwards, so that a crash in
between neither loses nor repeats one. See docs/reference/sidecars.md, "The end of a pod".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from vkprovider.core.actions import Action, PullImage, RunHook, SignalContainer
from vkprovider.core.record import ANY_ATTEMPT, Ending, Stop
from vkprovider.core.sidecars import Role, Roles
from vkprovider.core.standing import POST_START, PRE_STOP, Standing, hook_key
from vkprovider.core.view import PodView
from vkprovider.model.observed import Run

LEAST_WINDOW = timedelta(seconds=2)  # between TERM and KILL, whatever the grace (kuberuntime_container.go)
FOR_EVER = 2**31 - 1  # seconds, as far as a pod is concerned: the API lets graces pass that no calendar has room for
KILL_AGAIN = timedelta(seconds=10)
END = "end"


class StopStep(msgspec.Struct, frozen=True, kw_only=True):
    """What is due for one container that is being stopped."""

    stop: Stop
    action: Action | None = None
    cancel: bool = False
    hook: str = ""  # to be recorded as begun
    wake_at: datetime | None = None


def shrink(ending: Ending | None, wanted: Ending) -> Ending:
    """Merge a new wish into the present end: the deadline may only come nearer, force only be added."""
    if ending is None:
        return wanted
    return msgspec.structs.replace(
        ending, deadline=min(ending.deadline, wanted.deadline), force=ending.force or wanted.force
    )


def grace(pod_seconds: int, override: int | None) -> timedelta:
    """The grace of a pod's end: the override of a deletion if there is one, never under a second.

    pkg/kubelet/pod_workers.go calculateEffectiveGracePeriod.
    """
    return timedelta(seconds=min(FOR_EVER, max(1, pod_seconds if override is None else override)))


def turns(roles: Roles, standings: Mapping[str, Standing]) -> frozenset[str]:
    """Whose turn it is to be signalled: the first stop wave that has anyone alive or about to be."""
    for wave in roles.stop_waves():
        names = frozenset(r.name for r in wave)
        if any(standings[n].alive or _starting(standings[n]) for n in names):
            return names
    return frozenset()


def _starting(standing: Standing) -> bool:
    return standing.busy is not None and not isinstance(standing.busy, PullImage)


def stop_step(view: PodView, standing: Standing, stop: Stop, turn: bool, force: bool) -> StopStep:
    """The next step for one living container that is to be stopped."""
    instance = standing.newest
    assert instance is not None
    now = view.now
    if standing.busy is not None:
        return _while_busy(view, standing, stop, force)
    failure = standing.failure
    if failure is not None and failure.attempt == ANY_ATTEMPT and failure.retry_at > now:
        return StopStep(stop=stop, wake_at=failure.retry_at)
    if force and not stop.kill_sent:
        sent = msgspec.structs.replace(stop, term_at=stop.term_at or now, kill_at=now)
        return StopStep(stop=sent, action=_signal(standing, "KILL"))
    pre_stop = standing.role.container.lifecycle and standing.role.container.lifecycle.pre_stop
    key = hook_key(instance.id, PRE_STOP)
    if pre_stop and stop.term_at is None and key not in view.record.hooks and now < stop.kill_at and _up(standing):
        hook = RunHook(key=standing.name, container_id=instance.id, hook=PRE_STOP, handler=pre_stop)
        return StopStep(stop=stop, action=hook, hook=key, wake_at=stop.kill_at)
    if stop.term_at is None:
        if not turn and now < stop.kill_at:
            return StopStep(stop=stop, wake_at=stop.kill_at)
        kill_at = max(stop.kill_at, now + LEAST_WINDOW)
        due = msgspec.structs.replace(stop, term_at=now, kill_at=kill_at)
        return StopStep(stop=due, action=_signal(standing, ""), wake_at=kill_at)
    if now >= stop.kill_at:
        return StopStep(stop=stop, action=_signal(standing, "KILL"))
    if not stop.term_sent:
        return StopStep(stop=stop, action=_signal(standing, ""), wake_at=stop.kill_at)
    return StopStep(stop=stop, wake_at=stop.kill_at)


def join_end(stop: Stop, deadline: datetime) -> Stop:
    """A container already being stopped when the pod's end begins, or is shortened: the nearer deadline counts."""
    if stop.term_at is not None:
        deadline = max(deadline, stop.term_at + LEAST_WINDOW)
    return msgspec.structs.replace(stop, cause=END, kill_at=min(stop.kill_at, deadline))


def confirm(stop: Stop, signal: str, now: datetime) -> Stop:
    """A signal is known to have been sent. After KILL the next KILL is due ten seconds later."""
    if signal == "KILL":
        return msgspec.structs.replace(stop, kill_sent=True, term_sent=True, kill_at=now + KILL_AGAIN)
    return msgspec.structs.replace(stop, term_sent=True)


def _while_busy(view: PodView, standing: Standing, stop: Stop, force: bool) -> StopStep:
    """Wait for what is in flight; but no hook outlives the deadline, and a postStart not even the decision to stop, nor
    does a pull.
    """
    if isinstance(standing.busy, PullImage):
        return StopStep(stop=stop, cancel=True)
    if not isinstance(standing.busy, RunHook):
        return StopStep(stop=stop)
    if standing.busy.hook == POST_START or force or view.now >= stop.kill_at:
        return StopStep(stop=stop, cancel=True)
    return StopStep(stop=stop, wake_at=stop.kill_at)


def _signal(standing: Standing, signal: str) -> SignalContainer:
    assert standing.newest is not None
    return SignalContainer(key=standing.name, container_id=standing.newest.id, signal=signal)


def _up(standing: Standing) -> bool:
    """What was paused by hand counts: its hook fails, and users hear of it."""
    return standing.newest is not None and standing.newest.run in (Run.RUNNING, Run.PAUSED)


def stop_grace(role: Role, cause: str, pod_grace: timedelta) -> timedelta:
    """The grace of a single container's stop: a probe may bring its own, even a longer one.

    pkg/kubelet/kuberuntime/kuberuntime_container.go setTerminationGracePeriod.
    """
    probe = {"liveness": role.container.liveness_probe, "startup": role.container.startup_probe}.get(cause)
    if probe is not None and probe.termination_grace_period_seconds is not None:
        return grace(probe.termination_grace_period_seconds, None)
    return pod_grace
