"""The pod's phase, from apps and init containers alone (kubelet_pods.go getPhase, with sidecars left out)."""

from __future__ import annotations

from collections.abc import Mapping

from vkprovider.core.exits import counts, published_code
from vkprovider.core.restarts import failed
from vkprovider.core.sidecars import Kind, Roles
from vkprovider.core.standing import Standing
from vkprovider.core.view import PodView
from vkprovider.model.observed import Run

PENDING, RUNNING, SUCCEEDED, FAILED = "Pending", "Running", "Succeeded", "Failed"
OVER = (SUCCEEDED, FAILED)


def find_phase(view: PodView, roles: Roles, standings: Mapping[str, Standing]) -> str:
    """The phase to publish now. Succeeded and Failed only when nothing of the pod runs or may still start."""
    ending = view.record.ending
    if ending is not None and quiet(standings):
        return _last_phase(view, roles, standings)
    return _live_phase(view, roles, standings)


def quiet(standings: Mapping[str, Standing]) -> bool:
    """Nothing runs and nothing is in flight that could make something run."""
    return not any(s.alive or s.busy is not None for s in standings.values())


def _last_phase(view: PodView, roles: Roles, standings: Mapping[str, Standing]) -> str:
    ending = view.record.ending
    assert ending is not None
    if ending.failed:
        return FAILED
    inits = (standings[r.name] for r in roles.inits if r.kind is Kind.INIT)
    if any(s.newest is not None and s.newest.run is Run.EXITED and failed(s.newest) for s in inits):
        return FAILED
    ends = [s for s in (standings[r.name] for r in roles.regulars) if counts(view, s)]
    never_ran = any(s.newest is None or s.newest.run is not Run.EXITED for s in ends if s.role.keeps_alive)
    if never_ran:
        return FAILED
    ended = [s for s in ends if s.newest is not None and s.newest.run is Run.EXITED]
    return SUCCEEDED if all(published_code(view, s) == 0 for s in ended) else FAILED


def _live_phase(view: PodView, roles: Roles, standings: Mapping[str, Standing]) -> str:
    """Pending until every app has run once, and again while a new sandbox is initialized; else Running."""
    apps = [standings[r.name] for r in roles.apps]
    touched = [s for s in apps if _has_run(s)]
    if len(touched) < len(apps):
        return PENDING
    if any(s.alive for s in touched):
        return RUNNING
    sandbox_id = view.observed.sandboxes[0].id if view.observed.sandboxes else None
    here = any(s.current is not None and s.current.sandbox_id == sandbox_id for s in apps)
    return PENDING if not here and any(_initializes(standings[r.name]) for r in roles.inits) else RUNNING


def _has_run(standing: Standing) -> bool:
    """Once at least, and not only as far as its first postStart."""
    if standing.newest is None:
        return False
    return standing.previous is not None or not (standing.newest.run is Run.CREATED or standing.coming)


def _initializes(standing: Standing) -> bool:
    return not standing.ended and not (standing.started and standing.role.kind is Kind.NATIVE)
