"""The status of one container as a kubelet publishes it (pkg/kubelet/kubelet_pods.go convertToAPIContainerStatuses)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vkprovider.core.allocation import RESIZABLE, applied
from vkprovider.core.exits import forgiven, terminated, timestamp
from vkprovider.core.image_names import full_repository, repository
from vkprovider.core.read_only import effective_mode
from vkprovider.core.sidecars import Kind, Role, Roles
from vkprovider.core.standing import Standing, shown_as_started
from vkprovider.core.view import PodView
from vkprovider.core.waiting import waiting
from vkprovider.model.container import Container, VolumeMount
from vkprovider.model.observed import ContainerState, ContainerUser, Run

LOST_MESSAGE = "The container could not be located when the pod was terminated"


def container_status(
    view: PodView, roles: Roles, standings: Mapping[str, Standing], role: Role, over: bool
) -> dict[str, Any]:
    """One v1.ContainerStatus; ``over`` says that the pod has reached its last phase."""
    standing = standings[role.name]
    newest = standing.published
    status: dict[str, Any] = {
        "name": role.name,
        "state": _state(view, roles, standings, standing, over),
        "lastState": {},
        "ready": role.kind is not Kind.EPHEMERAL and (standing.ready or _init_succeeded(standing)),
        "restartCount": newest.attempt if newest is not None else 0,
        "image": newest.image if newest is not None else role.container.image,
        "imageID": _image_id(newest),
    }
    if role.kind is not Kind.EPHEMERAL:  # nobody waits for one, and prober_manager.go does not look at them
        status["started"] = standing.started or shown_as_started(view, standing.shown)
    if role.container.volume_mounts:
        able = _runtime(view) in view.settings.recursive_read_only
        status["volumeMounts"] = [_volume_mount(mount, able=able) for mount in role.container.volume_mounts]
    if newest is not None:
        status |= _of_instance(view, role.container, newest)
    last = newest if "waiting" in status["state"] and newest is not None and _over(newest) else None
    if last is None and newest is not None:
        older = (i for i in view.observed.instances(role.name) if i.attempt < newest.attempt)
        last = next((i for i in older if _over(i)), None)
    if last is not None:
        status["lastState"] = {"terminated": terminated(last)}
    return status


def _of_instance(view: PodView, container: Container, newest: ContainerState) -> dict[str, Any]:
    """What is known once there is an instance."""
    facts: dict[str, Any] = {"containerID": f"docker://{newest.id}", "resources": _resources(view, container, newest)}
    if container.resources.requests:
        facts["allocatedResources"] = dict(container.resources.requests)
    if newest.user is not None:
        facts["user"] = {"linux": _user(newest.user)}
    return facts


def _resources(view: PodView, container: Container, newest: ContainerState) -> dict[str, Any]:
    """What it was allocated; of cpu and memory, while it runs, what it really has."""
    shown = {"limits": dict(container.resources.limits), "requests": dict(container.resources.requests)}
    if newest.run in (Run.RUNNING, Run.PAUSED):
        real = applied(view.record, newest, container)
        for kind, quantities in (("limits", real.limits), ("requests", real.requests)):
            shown[kind] |= {name: quantities[name] for name in RESIZABLE if name in quantities}
    return {kind: quantities for kind, quantities in shown.items() if quantities}


def _user(user: ContainerUser) -> dict[str, Any]:
    shown: dict[str, Any] = {"uid": user.uid, "gid": user.gid}
    return shown | {"supplementalGroups": list(user.groups)} if user.groups else shown


def _runtime(view: PodView) -> str:
    """The pod's; until it has a sandbox, the engine's default one."""
    sandboxes = view.observed.sandboxes
    return sandboxes[0].runtime if sandboxes else ""


def _volume_mount(mount: VolumeMount, *, able: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": mount.name, "mountPath": mount.mount_path}
    if mount.read_only:
        shown |= {"readOnly": True, "recursiveReadOnly": effective_mode(mount, able=able)}
    return shown


def _state(
    view: PodView, roles: Roles, standings: Mapping[str, Standing], standing: Standing, over: bool
) -> dict[str, Any]:
    newest = standing.published
    if newest is not None and (newest is standing.shown or (newest.alive and not standing.coming)):
        return {"running": {"startedAt": timestamp(newest.started_at or newest.created_at)}}
    if newest is not None and _over(newest) and not _runs_again(view, standing):
        return {"terminated": terminated(newest, forgive=forgiven(view, standing))}
    if over and _lost(roles, standings, standing):
        lost = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": LOST_MESSAGE}
        return {"terminated": lost | {"startedAt": None, "finishedAt": None}}
    return {"waiting": waiting(view, roles, standings, standing)}


def _lost(roles: Roles, standings: Mapping[str, Standing], standing: Standing) -> bool:
    """Whether a pod that is over says of a container that shows no end that it has one all the same: every container of
    a pod that was initialized, and every init container up to the last that began (status_manager.go TerminatePod).
    """
    if standing.role.regular:
        return _was_initialized(roles, standings)
    if standing.role.kind is Kind.EPHEMERAL:
        return False
    begun = max((i for i, r in enumerate(roles.inits) if standings[r.name].newest is not None), default=0)
    return roles.inits.index(standing.role) <= begun


def _was_initialized(roles: Roles, standings: Mapping[str, Standing]) -> bool:
    """status_manager.go hasPodInitialized."""
    if not roles.inits or any(standings[r.name].newest is not None for r in roles.regulars):
        return True
    last = standings[roles.inits[-1].name]
    return last.started if last.role.kind is Kind.NATIVE else _init_succeeded(last)


def _runs_again(view: PodView, standing: Standing) -> bool:
    """Whether an ended container will be started again, and so must not be published as terminated."""
    return view.record.ending is None and not standing.done


def _over(instance: ContainerState) -> bool:
    return instance.run is Run.EXITED


def _init_succeeded(standing: Standing) -> bool:
    if standing.role.kind is not Kind.INIT:
        return False
    current = standing.current
    return current is not None and _over(current) and current.exit_code == 0 and not current.oom_killed


def _image_id(newest: ContainerState | None) -> str:
    """cri-dockerd's forms: by digest where the image can be had again from a registry, spelled as the pod does."""
    if newest is None:
        return ""
    if not newest.image_digest:
        return f"docker://{newest.image_id}" if newest.image_id else ""
    known, _, digest = newest.image_digest.partition("@")
    spelled = repository(newest.image)
    same = full_repository(spelled) == full_repository(known)
    return f"docker-pullable://{spelled if same else known}@{digest}"
