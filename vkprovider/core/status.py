"""The pod status as a kubelet would publish it (pkg/kubelet/kubelet_pods.go generateAPIPodStatus)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from vkprovider.core.conditions import find_conditions, render
from vkprovider.core.exits import forgiven, terminated, timestamp
from vkprovider.core.phase import FAILED, SUCCEEDED, find_phase
from vkprovider.core.record import Condition, Failure
from vkprovider.core.resources import qos_class
from vkprovider.core.sidecars import Kind, Role, Roles
from vkprovider.core.standing import Standing
from vkprovider.core.view import PodView
from vkprovider.model.observed import ContainerState, Run

PULL_ERROR_SHOWN = timedelta(seconds=1)
LOST_MESSAGE = "The container could not be located when the pod was terminated"


def build_status(
    view: PodView, roles: Roles, standings: Mapping[str, Standing]
) -> tuple[dict[str, Any], dict[str, Condition]]:
    """The whole v1.PodStatus, and the condition times to remember."""
    phase = find_phase(view, roles, standings)
    verdicts = find_conditions(view, roles, standings, phase)
    generation = view.pod.metadata.generation
    conditions, remembered = render(verdicts, _stood_before(view), view.now, generation)
    status: dict[str, Any] = {"phase": phase, "conditions": conditions}
    if generation:
        status["observedGeneration"] = generation
    ending = view.record.ending
    if ending is not None and ending.reason and phase in (SUCCEEDED, FAILED):
        status |= {"reason": ending.reason, "message": ending.message}
    status |= _addresses(view)
    if view.record.start_time is not None:
        status["startTime"] = timestamp(view.record.start_time)
    status["qosClass"] = view.pod.status.qos_class or qos_class(view.pod.spec)
    over = phase in (SUCCEEDED, FAILED)
    if roles.inits:
        status["initContainerStatuses"] = [_container(view, roles, standings, r, over) for r in roles.inits]
    regulars = sorted(roles.regulars, key=lambda r: r.name)
    status["containerStatuses"] = [_container(view, roles, standings, r, over) for r in regulars]
    return status, remembered


def _stood_before(view: PodView) -> dict[str, Condition]:
    """The conditions of the last look, or of the published status where this is the first."""
    published = {
        c.type: Condition(status=c.status, since=c.last_transition_time)
        for c in view.pod.status.conditions
        if c.last_transition_time is not None
    }
    return published | view.memory.conditions


def _addresses(view: PodView) -> dict[str, Any]:
    host = view.settings.host_ip
    addresses: dict[str, Any] = {"hostIP": host, "hostIPs": [{"ip": host}]}
    if view.record.ips:
        addresses |= {"podIP": view.record.ips[0], "podIPs": [{"ip": ip} for ip in view.record.ips]}
    return addresses


def _container(
    view: PodView, roles: Roles, standings: Mapping[str, Standing], role: Role, over: bool
) -> dict[str, Any]:
    """One v1.ContainerStatus."""
    standing = standings[role.name]
    instances = view.observed.instances(role.name)
    newest = standing.newest
    status: dict[str, Any] = {
        "name": role.name,
        "state": _state(view, roles, standings, standing, over),
        "lastState": {},
        "ready": standing.ready or (role.kind is Kind.INIT and _init_succeeded(standing)),
        "started": standing.started,
        "restartCount": newest.attempt if newest is not None else 0,
        "image": newest.image if newest is not None else role.container.image,
        "imageID": _image_id(newest),
    }
    if newest is not None:
        status["containerID"] = f"docker://{newest.id}"
    last = newest if "terminated" not in status["state"] and newest is not None and _over(newest) else None
    if last is None:
        last = next((i for i in instances[1:] if _over(i)), None)
    if last is not None:
        status["lastState"] = {"terminated": terminated(last)}
    return status


def _state(
    view: PodView, roles: Roles, standings: Mapping[str, Standing], standing: Standing, over: bool
) -> dict[str, Any]:
    newest = standing.newest
    if newest is not None and newest.alive:
        return {"running": {"startedAt": timestamp(newest.started_at or newest.created_at)}}
    if newest is not None and _over(newest) and not _runs_again(view, standing):
        return {"terminated": terminated(newest, forgive=forgiven(view, standing))}
    if over and standing.role.kind is Kind.APP and _was_initialized(roles, standings):
        lost = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": LOST_MESSAGE}
        return {"terminated": lost | {"startedAt": None, "finishedAt": None}}
    return {"waiting": _waiting(view, roles, standings, standing)}


def _runs_again(view: PodView, standing: Standing) -> bool:
    """Whether an ended container will be started again, and so must not be published as terminated."""
    return view.record.ending is None and not standing.done


def _waiting(view: PodView, roles: Roles, standings: Mapping[str, Standing], standing: Standing) -> dict[str, str]:
    failure = standing.failure
    if failure is not None and failure.attempt == standing.next_attempt:
        return _failure_reason(view, failure, standing)
    newest = standing.newest
    if newest is not None and _over(newest) and standing.restart_at is not None and standing.current is newest:
        return {"reason": "CrashLoopBackOff", "message": _back_off(view, standing, newest)}
    held_back = bool(roles.inits) or (standing.role.kind is not Kind.MARKED and _held_by_marked(roles, standings))
    return {"reason": "PodInitializing" if held_back else "ContainerCreating"}


def _held_by_marked(roles: Roles, standings: Mapping[str, Standing]) -> bool:
    return any(not standings[r.name].started for r in roles.marked)


def _failure_reason(view: PodView, failure: Failure, standing: Standing) -> dict[str, str]:
    if backing_off(view, failure):
        image = standing.role.container.image
        message = f'Back-off pulling image "{image}": ErrImagePull: {failure.message}'
        return {"reason": "ImagePullBackOff", "message": message}
    return {"reason": failure.reason, "message": failure.message}


def backing_off(view: PodView, failure: Failure) -> bool:
    """Whether a failed pull is shown as ImagePullBackOff by now: ErrImagePull is seen first, for a moment."""
    return failure.reason == "ErrImagePull" and view.now >= failure.at + PULL_ERROR_SHOWN


def _back_off(view: PodView, standing: Standing, instance: ContainerState) -> str:
    meta = view.pod.metadata
    finished = instance.finished_at or instance.created_at
    assert standing.restart_at is not None
    seconds = int((standing.restart_at - finished).total_seconds())
    where = f"restarting failed container={standing.name} pod={meta.name}_{meta.namespace}({meta.uid})"
    return f"back-off {go_duration(seconds)} {where}" if seconds else where


def go_duration(seconds: int) -> str:
    """Seconds as Go prints a Duration: 10s, 1m20s, 1h0m0s."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{rest}s"


def _over(instance: ContainerState) -> bool:
    return instance.run is Run.EXITED


def _init_succeeded(standing: Standing) -> bool:
    current = standing.current
    return current is not None and _over(current) and current.exit_code == 0 and not current.oom_killed


def _was_initialized(roles: Roles, standings: Mapping[str, Standing]) -> bool:
    return any(standings[r.name].newest is not None for r in roles.apps)


def _image_id(newest: ContainerState | None) -> str:
    """cri-dockerd's forms: by digest where the image can be had again from a registry."""
    if newest is None:
        return ""
    if newest.image_digest:
        return f"docker-pullable://{newest.image_digest}"
    return f"docker://{newest.image_id}" if newest.image_id else ""
