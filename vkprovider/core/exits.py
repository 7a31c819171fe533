"""What is published of a container that has ended: its true end, or 0 where a sidecar's end is forgiven.

docs/reference/sidecars.md, "Forgiveness". Only a Stop in the record, written before the signal was sent, forgives.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from vkprovider.core.record import Stop
from vkprovider.core.sidecars import Kind, Role
from vkprovider.core.standing import PRE_STOP, Standing, hook_key
from vkprovider.core.stop_steps import END
from vkprovider.core.view import PodView
from vkprovider.model.observed import ContainerState


def reason(instance: ContainerState) -> str:
    """The reason an end has by itself (cri-dockerd's mapping; a failed start as containerd words it)."""
    if instance.lost:
        return "ContainerStatusUnknown"
    if instance.start_error:
        return "StartError"
    if instance.oom_killed:
        return "OOMKilled"
    return "Completed" if instance.exit_code == 0 else "Error"


def forgiven(view: PodView, standing: Standing) -> bool:
    """Whether the newest instance's non-zero end is published as success."""
    instance, role = standing.newest, standing.role
    if instance is None or not instance.exit_code or not standing.ended:
        return False
    if role.ignore_exit_code and role.regular and (standing.done or view.record.ending is not None):
        return True
    return _stopped_at_the_end(view, instance, standing.stop) and _forgivable(role, view.settings.forgive)


def counts(view: PodView, standing: Standing) -> bool:
    """Whether a container's end has a say in the pod's phase: apps and plain init containers only.

    A job sidecar that vkprovider stopped has none, even where forgiveness is switched off.
    """
    if standing.role.kind is Kind.JOB:
        return standing.newest is None or not _stopped_at_the_end(view, standing.newest, standing.stop)
    return not standing.role.sidecar


def published_code(view: PodView, standing: Standing) -> int:
    """The exit code users see of an ended container."""
    assert standing.newest is not None
    return 0 if forgiven(view, standing) else standing.newest.exit_code


def terminated(instance: ContainerState, *, forgive: bool = False) -> dict[str, Any]:
    """The ``terminated`` state of v1.ContainerState."""
    code, why, message = instance.exit_code, reason(instance), instance.message or instance.start_error
    if forgive:
        message = f"Force this container to be success({code}, {why}, {message})"
        code, why = 0, "Completed"
    state: dict[str, Any] = {
        "exitCode": code,
        "reason": why,
        "startedAt": timestamp(instance.started_at or instance.created_at),
        "finishedAt": timestamp(instance.finished_at or instance.started_at or instance.created_at),
        "containerID": f"docker://{instance.id}",
    }
    if message:
        state["message"] = message
    return state


def timestamp(at: datetime) -> str:
    """A metav1.Time: seconds, in UTC."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _stopped_at_the_end(view: PodView, instance: ContainerState, stop: Stop | None) -> bool:
    """vkprovider ended it because its pod ended: by a signal, or by a preStop hook that made it go."""
    if stop is None or stop.cause != END:
        return False
    return stop.term_at is not None or hook_key(instance.id, PRE_STOP) in view.record.hooks


def _forgivable(role: Role, setting: str) -> bool:
    if setting == "none":
        return False
    return role.kind in (Kind.MARKED, Kind.JOB) or (role.kind is Kind.NATIVE and setting == "all")
