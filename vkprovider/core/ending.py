"""Whether the pod's end has begun, and why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from vkprovider.core.phase import FAILED, SUCCEEDED
from vkprovider.core.record import (
    COMPLETED,
    DEADLINE_EXCEEDED,
    DELETED,
    EVICTED,
    INIT_FAILED,
    OVERRULED,
    SANDBOX_LOST,
    Ending,
)
from vkprovider.core.restarts import failed, restarts
from vkprovider.core.sidecars import Kind, Roles
from vkprovider.core.standing import Standing
from vkprovider.core.stop_steps import grace, shrink
from vkprovider.core.view import PodView
from vkprovider.model.observed import Run


def find_ending(view: PodView, roles: Roles, standings: Mapping[str, Standing]) -> Ending | None:
    """The end as it stands now: the recorded one, shortened by a later deletion, or one that begins with this look.

    A deletion, and an eviction, is counted from the look that saw it first: each later look asks for a later deadline,
    which the merge leaves aside.
    """
    ending = view.record.ending
    by_itself = _by_itself(view, roles, standings)
    for wanted in (_deletion(view), _overruled(view), _deadline(view), by_itself, _eviction(view)):
        if wanted is not None and (ending is None or wanted.cause in (DELETED, EVICTED)):
            ending = shrink(ending, wanted)
    return ending


def _deletion(view: PodView) -> Ending | None:
    meta = view.pod.metadata
    if meta.deletion_timestamp is None:
        return None
    seconds = meta.deletion_grace_period_seconds
    allowed = grace(view.pod.spec.termination_grace_period_seconds, seconds)
    return Ending(cause=DELETED, began_at=view.now, deadline=view.now + allowed, force=seconds == 0)


def _overruled(view: PodView) -> Ending | None:
    """Somebody else has said in the API that the pod is over, and there that stands: it ends here too, with the grace
    of an end that it came to by itself (kubelet_pods.go generateAPIPodStatus).
    """
    phase = view.pod.status.phase
    if phase not in (SUCCEEDED, FAILED):
        return None
    allowed = grace(view.pod.spec.termination_grace_period_seconds, None)
    return Ending(cause=OVERRULED, began_at=view.now, deadline=view.now + allowed, failed=phase == FAILED)


def _deadline(view: PodView) -> Ending | None:
    seconds, started = view.pod.spec.active_deadline_seconds, view.record.start_time
    if seconds is None or started is None or view.now < started + timedelta(seconds=seconds):
        return None
    return Ending(
        cause=DEADLINE_EXCEEDED,
        began_at=view.now,
        deadline=view.now + grace(view.pod.spec.termination_grace_period_seconds, None),
        reason=DEADLINE_EXCEEDED,
        message="Pod was active on the node longer than the specified deadline",
        failed=True,
    )


def deadline_at(view: PodView) -> datetime | None:
    """When activeDeadlineSeconds will be used up."""
    seconds, started = view.pod.spec.active_deadline_seconds, view.record.start_time
    return None if seconds is None or started is None else started + timedelta(seconds=seconds)


def _by_itself(view: PodView, roles: Roles, standings: Mapping[str, Standing]) -> Ending | None:
    cause = _cause(view, roles, standings)
    if cause is None:
        return None
    allowed = grace(view.pod.spec.termination_grace_period_seconds, None)
    return Ending(cause=cause, began_at=view.now, deadline=view.now + allowed)


def _eviction(view: PodView) -> Ending | None:
    """Failed whatever the exit codes: the pod did not end by itself (pkg/kubelet/nodeshutdown killPods)."""
    why = view.eviction
    if why is None:
        return None
    seconds = view.pod.spec.termination_grace_period_seconds
    if why.grace_seconds is not None:
        seconds = min(seconds, why.grace_seconds)
    return Ending(
        cause=EVICTED,
        began_at=view.now,
        deadline=view.now + grace(seconds, None),
        reason=why.reason,
        message=why.message,
        failed=True,
        disruption=why.disruption,
    )


def _cause(view: PodView, roles: Roles, standings: Mapping[str, Standing]) -> str | None:
    keepers = [standings[r.name] for r in roles.regulars if r.keeps_alive]
    if keepers and all(s.done and s.busy is None for s in keepers):
        return COMPLETED
    if _init_failed_for_good(view, roles, standings):
        return INIT_FAILED
    if _sandbox_lost_for_good(view, roles, standings):
        return SANDBOX_LOST
    return None


def _init_failed_for_good(view: PodView, roles: Roles, standings: Mapping[str, Standing]) -> bool:
    if any(standings[r.name].current is not None for r in roles.apps):
        return False
    plain = (standings[r.name] for r in roles.inits if r.kind is Kind.INIT)
    return any(s.done and s.current is not None and failed(s.current) for s in plain)


def _sandbox_lost_for_good(view: PodView, roles: Roles, standings: Mapping[str, Standing]) -> bool:
    """A pod that may not run again does not get a second sandbox (computePodActions): it ends as it stands."""
    sandboxes = view.observed.sandboxes
    if not sandboxes or sandboxes[0].ready or view.in_flight.get("") is not None or not view.observed.containers:
        return False
    if view.pod.spec.restart_policy == "Never":
        return True
    if view.pod.spec.restart_policy == "Always":
        return False
    return all(_ended_for_good(view, standings[r.name]) for r in roles.regulars if r.keeps_alive)


def _ended_for_good(view: PodView, standing: Standing) -> bool:
    newest = standing.newest
    if newest is None or newest.run is not Run.EXITED:
        return False
    return not restarts(view.pod, standing.role, newest, standing.stop)
