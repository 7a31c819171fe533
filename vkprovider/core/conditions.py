"""The conditions a kubelet writes on a pod (pkg/kubelet/status/generate.go)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from vkprovider.core.exits import timestamp
from vkprovider.core.phase import FAILED, SUCCEEDED
from vkprovider.core.record import Condition
from vkprovider.core.restarts import failed
from vkprovider.core.sidecars import Kind, Roles
from vkprovider.core.standing import Standing, present_sandbox
from vkprovider.core.view import PodView
from vkprovider.model.observed import Run


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One condition as it should stand; ``since`` is filled in by comparing with what stood before.

    ``generation`` is of the specification it speaks of, None for the one that was looked at.
    """

    type: str
    true: bool
    reason: str = ""
    message: str = ""
    generation: int | None = None


def find_conditions(view: PodView, roles: Roles, standings: Mapping[str, Standing], phase: str) -> tuple[Verdict, ...]:
    """The kubelet's conditions, in the order in which it writes them. Those of a resize are there while it lasts."""
    containers = _containers_ready(roles, standings, phase)
    over = phase in (SUCCEEDED, FAILED)
    return (
        *(() if over else _resize(view)),
        Verdict(type="PodReadyToStartContainers", true=not over and present_sandbox(view) is not None),
        _initialized(roles, standings, phase),
        _ready(view, containers),
        containers,
        Verdict(type="PodScheduled", true=True),
        *_disruption(view),
    )


def render(
    verdicts: Iterable[Verdict], before: Mapping[str, Condition], now: datetime, generation: int
) -> tuple[list[dict[str, Any]], dict[str, Condition]]:
    """The conditions as published, and what to remember: a transition time changes only when the status does."""
    rendered, remembered = [], {}
    for verdict in verdicts:
        status = "True" if verdict.true else "False"
        old = before.get(verdict.type)
        since = old if old is not None and old.status == status else Condition(status=status, since=now)
        remembered[verdict.type] = since
        condition: dict[str, Any] = {"type": verdict.type, "status": status, "lastProbeTime": None}
        condition["lastTransitionTime"] = timestamp(since.since)
        condition |= {k: v for k, v in (("reason", verdict.reason), ("message", verdict.message)) if v}
        observed = generation if verdict.generation is None else verdict.generation
        if observed:
            condition["observedGeneration"] = observed
        rendered.append(condition)
    return rendered, remembered


def _resize(view: PodView) -> Iterator[Verdict]:
    pending, doing = view.memory.pending, view.record.resizing
    if pending is not None:
        yield Verdict(type="PodResizePending", true=True, reason=pending.reason, message=pending.message)
    if doing is not None:
        kind = "PodResizeInProgress"
        yield Verdict(type=kind, true=True, reason=doing.reason, message=doing.message, generation=doing.generation)


def _disruption(view: PodView) -> Iterator[Verdict]:
    """What tells a Job that a pod's failure was none of its own."""
    ending = view.record.ending
    if ending is not None and ending.disruption:
        yield Verdict(type="DisruptionTarget", true=True, reason="TerminationByKubelet", message=ending.message)


def _initialized(roles: Roles, standings: Mapping[str, Standing], phase: str) -> Verdict:
    kind = "Initialized"
    if phase == SUCCEEDED:
        return Verdict(type=kind, true=True, reason="PodCompleted")
    ran = any(standings[r.name].newest is not None for r in roles.apps)
    open_names = [] if ran else [r.name for r in roles.inits if not _init_over(standings[r.name])]
    if not open_names:
        return Verdict(type=kind, true=True)
    message = f"containers with incomplete status: {_listed(open_names)}"
    return Verdict(type=kind, true=False, reason="ContainersNotInitialized", message=message)


def _init_over(standing: Standing) -> bool:
    if standing.role.kind is Kind.NATIVE:
        return standing.started
    current = standing.current
    return current is not None and current.run is Run.EXITED and not failed(current)


def _containers_ready(roles: Roles, standings: Mapping[str, Standing], phase: str) -> Verdict:
    kind = "ContainersReady"
    if phase in (SUCCEEDED, FAILED):
        return Verdict(type=kind, true=False, reason="PodCompleted" if phase == SUCCEEDED else "PodFailed")
    counted = [r for r in roles.inits + roles.regulars if r.kind is not Kind.INIT and not r.ignore_ready]
    unready = [r.name for r in counted if not standings[r.name].ready]
    if not unready:
        return Verdict(type=kind, true=True)
    message = f"containers with unready status: {_listed(unready)}"
    return Verdict(type=kind, true=False, reason="ContainersNotReady", message=message)


def _ready(view: PodView, containers: Verdict) -> Verdict:
    if not containers.true:
        return msgspec.structs.replace(containers, type="Ready")
    present = {c.type: c.status for c in view.pod.status.conditions}
    problems = []
    for gate in view.pod.spec.readiness_gates:
        name, status = gate.condition_type, present.get(gate.condition_type)
        if status is None:
            problems.append(f'corresponding condition of pod readiness gate "{name}" does not exist.')
        elif status != "True":
            problems.append(f'the status of pod readiness gate "{name}" is not "True", but {status}')
    if problems:
        return Verdict(type="Ready", true=False, reason="ReadinessGatesNotReady", message=", ".join(problems))
    return Verdict(type="Ready", true=True)


def _listed(names: list[str]) -> str:
    return f"[{' '.join(names)}]"
