"""What becomes of a pod's status in the API: ours merged into what is there, and the patch that leads to it.

pkg/kubelet/status/status_manager.go (mergePodStatus, checkContainerStateTransition) and core/validation
(ValidatePodStatusUpdate). Pure functions on the JSON forms; a status is a v1.PodStatus.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from vkprovider.core.phase import OVER

Json: TypeAlias = dict[str, Any]

_WHY_OVER = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}
_READINESS = ("Ready", "ContainersReady")
_PASSING = ("PodResizePending", "PodResizeInProgress")  # of the kubelet's conditions, those that go again
_KUBELETS_CONDITIONS = ("PodReadyToStartContainers", "Initialized", *_READINESS, "PodScheduled")
_CONTAINERS = {
    "containerStatuses": "containers",
    "initContainerStatuses": "initContainers",
    "ephemeralContainerStatuses": "ephemeralContainers",
}
_SET_ONCE = ("startTime", "qosClass")
_KEYED = ("podIPs", "hostIPs")  # lists that a strategic merge patch would add to
_KUBELETS_FIELDS = ("phase", "reason", "message", "observedGeneration", "hostIP", "podIP", *_SET_ONCE, *_KEYED)


class Merged(msgspec.Struct, frozen=True):
    """``held_back`` names the containers that stay as they are, because the API server would refuse the change."""

    status: Json
    held_back: tuple[str, ...] = ()


def merge(pod: Mapping[str, Any], ours: Json, now: str) -> Merged:
    """The status that the API should show of ``pod``, its object there, given ``ours``.

    What we do not write stays. A pod that is over stays over, and is never ready; ``now`` is for a condition that this
    rule turns. A container that may not leave its terminated state keeps all of its status.
    """
    old: Json = pod.get("status") or {}
    status = old | ours
    for key in _SET_ONCE:
        if old.get(key):
            status[key] = old[key]
    if old.get("observedGeneration", 0) > ours.get("observedGeneration", 0):
        status["observedGeneration"] = old["observedGeneration"]
    source = old if old.get("phase") in OVER else ours
    for key in ("phase", "reason", "message"):
        status.pop(key, None)
        if source.get(key):
            status[key] = source[key]
    status["conditions"] = _merge_conditions(old, ours, status.get("phase", ""), now)
    held_back = []
    for key, section in _CONTAINERS.items():
        if old.get(key) or ours.get(key):
            wanted = _with_users(old.get(key) or [], ours.get(key) or [])
            status[key] = _merge_containers(pod.get("spec") or {}, section, old.get(key) or [], wanted)
            held_back += [s["name"] for s in wanted if s not in status[key]]
    return Merged(status, tuple(held_back))


def status_patch(old: Json, new: Json) -> Json:
    """A strategic merge patch of the status that turns ``old`` into ``new``; {} where nothing differs."""
    patch: Json = {key: None for key in ("reason", "message") if old.get(key) and not new.get(key)}
    for key, value in new.items():
        if key == "conditions":
            patch |= _conditions_patch(old.get(key) or [], value)
        elif pruned(old.get(key)) != pruned(value):
            patch[key] = [{"$patch": "replace"}, *value] if key in _KEYED else value
    return patch


def published_part(status: Mapping[str, Any]) -> Json:
    """What a kubelet wrote of a status: that of a pod whose end an earlier process saw."""
    part = {key: status[key] for key in (*_KUBELETS_FIELDS, *_CONTAINERS) if key in status}
    return part | {"conditions": [c for c in status.get("conditions") or () if c["type"] in _KUBELETS_CONDITIONS]}


def owned(status: Mapping[str, Any], ours: Mapping[str, Any]) -> Any:
    """The part of a status that ``ours`` says something about, in a form that can be compared."""
    types = {condition["type"] for condition in ours.get("conditions") or ()} | {*_PASSING}
    part = {key: status.get(key) for key in ours if key != "conditions"}
    conditions = [c for c in status.get("conditions") or () if c["type"] in types]
    return pruned(part | {"conditions": conditions})


def pruned(value: Any) -> Any:
    """Without what is empty, at every depth: the API server leaves such fields out, or fills them in."""
    if isinstance(value, dict):
        inner = ((key, pruned(item)) for key, item in value.items())
        return {key: item for key, item in inner if item is not None} or None
    if isinstance(value, list):
        return [pruned(item) for item in value] or None
    return None if value == "" else value


def _merge_conditions(old: Json, ours: Json, phase: str, now: str) -> list[Json]:
    """Others' conditions first and as they are, then ours."""
    before = {condition["type"]: condition for condition in old.get("conditions") or ()}
    mine = {condition["type"]: condition for condition in ours.get("conditions") or ()}
    foreign = [condition for kind, condition in before.items() if kind not in mine and kind not in _PASSING]
    return foreign + [_condition(before.get(kind, {}), condition, phase, now) for kind, condition in mine.items()]


def _condition(earlier: Json, condition: Json, phase: str, now: str) -> Json:
    """A transition time changes only when the status does; a pod that is over is not ready."""
    if phase in OVER and condition["type"] in _READINESS and condition["status"] == "True":
        kept = {key: value for key, value in condition.items() if key != "message"}
        condition = kept | {"status": "False", "reason": _WHY_OVER[phase], "lastTransitionTime": now}
    if earlier.get("status") == condition["status"] and earlier.get("lastTransitionTime"):
        return condition | {"lastTransitionTime": earlier["lastTransitionTime"]}
    return condition


def _conditions_patch(old: list[Json], new: list[Json]) -> Json:
    before = {condition["type"]: condition for condition in old}
    changed = [c for c in new if pruned(before.get(c["type"])) != pruned(c)]
    gone = [{"type": kind, "$patch": "delete"} for kind in before.keys() - {c["type"] for c in new}]
    if not changed and not gone:
        return {}
    cleared = [{key: None for key in before.get(c["type"], {}) if key not in c} | c for c in changed]
    return {"$setElementOrder/conditions": [{"type": c["type"]} for c in new], "conditions": cleared + gone}


def _with_users(old: list[Json], ours: list[Json]) -> list[Json]:
    """Ours, with the users that only an earlier process knew: they are seen while a container runs."""
    known = {status["containerID"]: status["user"] for status in old if status.get("containerID") and "user" in status}
    return [{"user": known[s["containerID"]]} | s if s.get("containerID") in known else s for s in ours]


def _merge_containers(spec: Mapping[str, Any], section: str, old: list[Json], ours: list[Json]) -> list[Json]:
    """Ours, in our order. No container loses its entry again, and none leaves an end that is final."""
    before = {status["name"]: status for status in old}
    specs = {container["name"]: container for container in spec.get(section) or ()}
    policy = spec.get("restartPolicy") or "Always"
    result = []
    for status in ours:
        earlier = before.pop(status["name"], None)
        never_again = "Never" if section == "ephemeralContainers" else policy
        final = earlier is not None and _is_final(earlier, specs.get(status["name"], {}), never_again)
        result.append(earlier if earlier is not None and final and _ended(status) is None else status)
    return result + list(before.values())


def _is_final(status: Json, container: Json, pod_policy: str) -> bool:
    """Whether the API server keeps a container in the state it is in (ValidateContainerStateTransition)."""
    ended = _ended(status)
    policy = container.get("restartPolicy") or pod_policy
    if ended is None or "Always" in (policy, pod_policy) or container.get("restartPolicyRules"):
        return False
    return policy == "Never" or not ended.get("exitCode")


def _ended(status: Json) -> Json | None:
    ended: Json | None = (status.get("state") or {}).get("terminated")
    return ended
