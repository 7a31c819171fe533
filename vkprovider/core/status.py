"""The pod status as a kubelet would publish it (pkg/kubelet/kubelet_pods.go generateAPIPodStatus)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vkprovider.core.conditions import find_conditions, render
from vkprovider.core.container_status import container_status
from vkprovider.core.exits import timestamp
from vkprovider.core.phase import OVER, find_phase
from vkprovider.core.record import Condition
from vkprovider.core.resources import qos_class
from vkprovider.core.sidecars import Roles
from vkprovider.core.standing import Standing
from vkprovider.core.view import PodView


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
    if ending is not None and ending.reason and phase in OVER:
        status |= {"reason": ending.reason, "message": ending.message}
    status |= _addresses(view)
    if view.record.start_time is not None:
        status["startTime"] = timestamp(view.record.start_time)
    status["qosClass"] = view.pod.status.qos_class or qos_class(view.pod.spec)
    status |= _containers(view, roles, standings, phase in OVER)
    return status, remembered


def _containers(view: PodView, roles: Roles, standings: Mapping[str, Standing], over: bool) -> dict[str, Any]:
    """Init containers in the order of their list, the others by name."""
    groups = {
        "initContainerStatuses": roles.inits,
        "containerStatuses": sorted(roles.regulars, key=lambda r: r.name),
        "ephemeralContainerStatuses": sorted(roles.ephemerals, key=lambda r: r.name),
    }
    return {
        key: [container_status(view, roles, standings, role, over) for role in group]
        for key, group in groups.items()
        if group or key == "containerStatuses"
    }


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
