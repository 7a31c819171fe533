"""Why a container waits: the reasons and messages of v1.ContainerStateWaiting."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from vkprovider.core.record import POST_START_ERROR, Failure
from vkprovider.core.sidecars import Kind, Roles
from vkprovider.core.standing import Standing
from vkprovider.core.view import PodView
from vkprovider.model.observed import ContainerState, Run

PULL_ERROR_SHOWN = timedelta(seconds=1)


def waiting(view: PodView, roles: Roles, standings: Mapping[str, Standing], standing: Standing) -> dict[str, str]:
    """The waiting state of a container that does not run, and is not shown as ended."""
    failure = standing.failure
    if failure is not None and failure.attempt == standing.next_attempt and not _forgotten(view, standing, failure):
        return _failure_reason(view, failure, standing)
    newest = standing.newest
    ended = newest is not None and newest.run is Run.EXITED
    if newest is not None and ended and standing.restart_at is not None and standing.current is newest:
        return {"reason": "CrashLoopBackOff", "message": _back_off(view, standing, newest)}
    held_back = bool(roles.inits) or (standing.role.kind is not Kind.MARKED and _held_by_marked(roles, standings))
    return {"reason": "PodInitializing" if held_back else "ContainerCreating"}


def _forgotten(view: PodView, standing: Standing, failure: Failure) -> bool:
    """A postStart that failed is the reason until the container that it cost backs off as any that crashed."""
    return failure.reason == POST_START_ERROR and standing.restart_at is not None and standing.restart_at > view.now


def backing_off(view: PodView, failure: Failure) -> bool:
    """Whether a failed pull is shown as ImagePullBackOff by now: ErrImagePull is seen first, for a moment."""
    return failure.reason == "ErrImagePull" and view.now >= failure.at + PULL_ERROR_SHOWN


def go_duration(seconds: float) -> str:
    """Seconds as Go prints a Duration: 10s, 1m20s, 1h0m0s, 0.5s."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{rest:g}s"


def _held_by_marked(roles: Roles, standings: Mapping[str, Standing]) -> bool:
    return any(not standings[r.name].started for r in roles.marked)


def _failure_reason(view: PodView, failure: Failure, standing: Standing) -> dict[str, str]:
    if backing_off(view, failure):
        image = failure.reference or standing.role.container.image
        message = f'Back-off pulling image "{image}": ErrImagePull: {failure.message}'
        return {"reason": "ImagePullBackOff", "message": message}
    return {"reason": failure.reason, "message": failure.message}


def _back_off(view: PodView, standing: Standing, instance: ContainerState) -> str:
    meta = view.pod.metadata
    finished = instance.finished_at or instance.created_at
    assert standing.restart_at is not None
    seconds = int((standing.restart_at - finished).total_seconds())
    where = f"restarting failed container={standing.name} pod={meta.name}_{meta.namespace}({meta.uid})"
    return f"back-off {go_duration(seconds)} {where}" if seconds else where
