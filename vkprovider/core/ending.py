"""Whether the pod's end has begun, and why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from vkprovider.core.record import Ending
from vkprovider.core.restarts import failed
from vkprovider.core.sidecars import Kind, Roles
from vkprovider.core.standing import Standing
from vkprovider.core.termination import grace, shrink
from vkprovider.core.view import PodView
from vkprovider.model.observed import Run


def find_ending(view: PodView, roles: Roles, standings: Mapping[str, Standing]) -> Ending | None:
    """The end as it stands now: the recorded one, shortened by a later deletion, or one that begins with this look.

    A deletion is counted from the look that saw it first: each later look asks for a later deadline, which the
    merge leaves aside.
    """
    ending = view.record.ending
    for wanted in (_deletion(view), _deadline(view), _by_itself(view, roles, standings)):
        if wanted is not None and (ending is None or wanted.cause == "Deleted"):
            ending = shrink(ending, wanted)
    return ending


def _deletion(view: PodView) -> Ending | None:
    meta = view.pod.metadata
    if meta.deletion_timestamp is None:
        return None
    seconds = meta.deletion_grace_period_seconds
    allowed = grace(view.pod.spec.termination_grace_period_seconds, seconds)
    return Ending(cause="Deleted", began_at=view.now, deadline=view.now + allowed, force=seconds == 0)


def _deadline(view: PodView) -> Ending | None:
    seconds, started = view.pod.spec.active_deadline_seconds, view.record.start_time
    if seconds is None or started is None or view.now < started + timedelta(seconds=seconds):
        return None
    return Ending(
        cause="DeadlineExceeded",
        began_at=view.now,
        deadline=view.now + grace(view.pod.spec.termination_grace_period_seconds, None),
        reason="DeadlineExceeded",
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


def _cause(view: PodView, roles: Roles, standings: Mapping[str, Standing]) -> str | None:
    keepers = [standings[r.name] for r in roles.regulars if r.keeps_alive]
    if keepers and all(s.done and s.busy is None for s in keepers):
        return "Completed"
    if _init_failed_for_good(view, roles, standings):
        return "InitFailed"
    if _sandbox_lost_for_good(view, roles):
        return "SandboxLost"
    return None


def _init_failed_for_good(view: PodView, roles: Roles, standings: Mapping[str, Standing]) -> bool:
    if any(standings[r.name].current is not None for r in roles.apps):
        return False
    plain = (standings[r.name] for r in roles.inits if r.kind is Kind.INIT)
    return any(s.done and s.current is not None and failed(s.current) for s in plain)


def _sandbox_lost_for_good(view: PodView, roles: Roles) -> bool:
    """A pod that may not run again does not get a second sandbox (computePodActions): it ends as it stands."""
    sandboxes = view.observed.sandboxes
    if not sandboxes or sandboxes[0].ready or view.in_flight.get("") is not None or not view.observed.containers:
        return False
    if view.pod.spec.restart_policy == "Never":
        return True
    if view.pod.spec.restart_policy == "Always":
        return False
    newest = [view.observed.newest(r.name) for r in roles.regulars if r.keeps_alive]
    return all(c is not None and c.run is Run.EXITED and c.exit_code == 0 for c in newest)
