"""Which probes should be running now. The threshold rules of each probe are in ``core.probing``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from vkprovider.core.actions import ProbeTarget
from vkprovider.core.expansion import expand_all
from vkprovider.core.faults import Fault
from vkprovider.core.sidecars import Kind
from vkprovider.core.standing import Standing, is_up
from vkprovider.core.view import PodView, Verdicts
from vkprovider.model.container import Container
from vkprovider.model.probe import Probe


def wanted_probes(view: PodView, standings: Mapping[str, Standing]) -> tuple[ProbeTarget, ...]:
    """The probes of all running containers: startup until it has succeeded, then liveness and readiness.

    They begin when postStart is over: until then a kubelet's worker has told nobody of the new instance. What was
    paused by hand still runs for a kubelet, and a probe finds out that it does not answer. Plain init containers are
    never probed. Once the pod's end has begun only readiness goes on, so that a pod can still say that it takes no
    more work (pkg/kubelet/prober/prober_manager.go StopLivenessAndStartup).
    """
    return tuple(target for standing in standings.values() for target in _targets(view, standing))


def _targets(view: PodView, standing: Standing) -> Iterator[ProbeTarget]:
    instance, container = standing.newest, standing.role.container
    if standing.role.kind in (Kind.INIT, Kind.EPHEMERAL):
        return
    if instance is None or not is_up(view, standing.role, instance):
        return
    for kind, probe in _kinds(view, standing, view.verdicts.get(instance.id, Verdicts())):
        yield ProbeTarget(
            container_id=instance.id,
            container=standing.name,
            kind=kind,
            probe=_expanded(probe, container),
            started_at=instance.started_at or instance.created_at,
            pod_ip=view.record.ips[0] if view.record.ips else view.settings.host_ip,
            ports=tuple((p.name, p.container_port) for p in container.ports if p.name),
        )


def _kinds(view: PodView, standing: Standing, verdicts: Verdicts) -> Iterator[tuple[str, Probe]]:
    container, ending = standing.role.container, view.record.ending is not None
    if container.startup_probe is not None and verdicts.started is not True:
        if verdicts.started is None and not ending:
            yield "startup", container.startup_probe
        return
    if container.liveness_probe is not None and not ending and verdicts.live is not False:
        yield "liveness", container.liveness_probe
    if container.readiness_probe is not None:
        yield "readiness", container.readiness_probe


def _expanded(probe: Probe, container: Container) -> Probe:
    """An exec probe's command with $(VAR) replaced by literal env values only; a valueFrom counts as empty
    (pkg/kubelet/container/helpers.go ExpandContainerCommandOnlyStatic).
    """
    if probe.exec is None:
        return probe
    variables = {variable.name: variable.value for variable in container.env}
    try:
        command = expand_all(probe.exec.command, variables)
    except Fault:  # it cannot be run, expanded or not
        return probe
    return msgspec.structs.replace(probe, exec=msgspec.structs.replace(probe.exec, command=command))
