"""In-place resize: whether the node can give a pod what it now asks for, and how its containers come by it.

::

    asked ≠ allocated ──fits?──no──▶ PodResizePending: Deferred (tried again), or Infeasible (never fits this node)
                          └─yes─▶ allocated ≠ applied ──▶ PodResizeInProgress
                                        │  resizePolicy NotRequired: the engine updates the running container
                                        └─ RestartContainer: it is stopped, and the next instance has the resources
                                  allocated = applied ──▶ ResizeCompleted

Source: pkg/kubelet/allocation/allocation_manager.go (handlePodResourcesResize, canResizePod), kuberuntime_manager.go
(computePodResizeAction, validateMemoryResizeAction); the events are those of pkg/kubelet/events/resize.go of 1.35.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from vkprovider.core.actions import ContainerResized, PodEvent, ResizeContainer, ResizeFailed
from vkprovider.core.allocation import amounts, applied, as_allocated, asked, same
from vkprovider.core.claims import claim_if_readable
from vkprovider.core.draft import Draft
from vkprovider.core.record import PendingResize, Resizing
from vkprovider.core.resources import CPU, MEMORY
from vkprovider.core.restarts import RESIZE
from vkprovider.core.sidecars import Kind
from vkprovider.core.standing import Standing
from vkprovider.core.stopping import begin_single_stop
from vkprovider.core.view import PodView
from vkprovider.model.container import Container, ResourceRequirements
from vkprovider.model.observed import Run
from vkprovider.model.pod import Pod

DEFERRED, INFEASIBLE, ERROR = "Deferred", "Infeasible", "Error"
_PENDING_EVENTS = {DEFERRED: "ResizeDeferred", INFEASIBLE: "ResizeInfeasible"}
RETRY_DEFERRED = timedelta(minutes=3)  # allocation_manager.go retryDelay
RETRY_FAILED = timedelta(seconds=10)

_Amounts = Mapping[tuple[str, str], Any]
_LIMIT = ("limits", MEMORY)


def allocate(view: PodView) -> tuple[PodView, tuple[PodEvent, ...]]:
    """The view as all else is to see it: the pod with what it has been given, which may be more from now on."""
    wanted, held = asked(view.pod.spec), view.record.allocated
    pending, events = None, []
    record = view.record
    if not wanted.keys() <= held.keys():
        record = msgspec.structs.replace(record, allocated=wanted)  # the pod was admitted with it
    elif not _going(view) and not all(same(wanted[name], held[name]) for name in wanted):
        pending = _objection(view)
        generation = view.pod.metadata.generation
        if pending is None:
            record = msgspec.structs.replace(record, allocated=wanted, resizing=Resizing(generation=generation))
            events = [_event("Normal", "ResizeStarted", "started", view.pod, generation)]
        elif not _told(view.memory.pending, pending):
            told = _PENDING_EVENTS[pending.reason]
            events = [_event("Warning", told, pending.reason, view.pod, generation, pending.message)]
    memory = msgspec.structs.replace(view.memory, pending=pending)
    pod = as_allocated(view.pod, record)
    return msgspec.structs.replace(view, pod=pod, record=record, memory=memory), tuple(events)


def restart_resized(draft: Draft) -> None:
    """Stop the containers whose resize policy wants new resources to come with a new instance."""
    for standing in _behind(draft):
        if standing.stop is None and _needs_restart(draft, standing):
            begin_single_stop(draft, standing, RESIZE, f"Container {standing.name} resize requires restart")
    draft.refresh()


def resize_running(draft: Draft) -> None:
    """Bring running containers to what was allocated, and say so when that is done."""
    if draft.memory.pending is not None and draft.memory.pending.reason == DEFERRED:
        draft.wakes.append(draft.view.now + RETRY_DEFERRED)
    behind = _behind(draft)
    if behind and draft.record.resizing is None:
        draft.note(resizing=Resizing(generation=draft.view.pod.metadata.generation))
    if not behind and draft.record.resizing is not None:
        generation = draft.record.resizing.generation
        draft.events.append(_event("Normal", "ResizeCompleted", "completed", draft.view.pod, generation))
        draft.note(resizing=None)
    for standing in behind:
        _resize(draft, standing)


def fold_resized(draft: Draft, news: ContainerResized | ResizeFailed) -> None:
    """What came of one container's update. After a failure it is due again, but not at once."""
    if isinstance(news, ContainerResized):
        updates = tuple(i for i in draft.record.updates if i != news.container_id)
        draft.note(resized=draft.record.resized | {news.container_id: news.resources}, updates=updates)
        draft.keep(resize_retry_at=None)
        return
    draft.keep(resize_retry_at=draft.view.now + RETRY_FAILED)
    resizing = draft.record.resizing
    if resizing is None or resizing.message == news.message:
        return
    draft.note(resizing=msgspec.structs.replace(resizing, reason=ERROR, message=news.message))
    said = _event("Warning", "ResizeError", "error", draft.view.pod, resizing.generation, news.message)
    draft.events.append(said)


def _going(view: PodView) -> bool:
    return view.record.ending is not None or view.pod.metadata.deletion_timestamp is not None


def _resize(draft: Draft, standing: Standing) -> None:
    instance, container = standing.newest, standing.role.container
    assert instance is not None
    taken = standing.busy is not None or any(action.key == standing.name for action in draft.actions)
    if taken or standing.stop is not None:
        return
    retry_at = draft.memory.resize_retry_at
    if retry_at is not None and retry_at > draft.view.now:
        draft.wakes.append(retry_at)
        return
    before, after = amounts(applied(draft.record, instance, container)), amounts(container.resources)
    limit = after.get(_LIMIT)
    action = ResizeContainer(
        key=standing.name,
        container_id=instance.id,
        resources=container.resources,
        less_memory=limit is not None and (_LIMIT not in before or limit < before[_LIMIT]),
    )
    draft.actions.append(action)
    if instance.id not in draft.record.updates:
        draft.note(updates=(*draft.record.updates, instance.id))


def _behind(draft: Draft) -> list[Standing]:
    """The running containers that have not what they were allocated."""
    return [standing for standing in draft.standings.values() if _is_behind(draft, standing)]


def _is_behind(draft: Draft, standing: Standing) -> bool:
    instance, container = standing.newest, standing.role.container
    if instance is None or instance.run is not Run.RUNNING or standing.role.kind in (Kind.INIT, Kind.EPHEMERAL):
        return False
    begun = instance.id in draft.record.updates
    return begun or not same(applied(draft.record, instance, container), container.resources)


def _needs_restart(draft: Draft, standing: Standing) -> bool:
    instance, container = standing.newest, standing.role.container
    assert instance is not None
    before, after = amounts(applied(draft.record, instance, container)), amounts(container.resources)
    return any(_policy(container, name) == "RestartContainer" for name in _changed(before, after))


def _changed(before: _Amounts, after: _Amounts) -> set[str]:
    """The resources that differ."""
    return {name for kind, name in before.keys() | after.keys() if before.get((kind, name)) != after.get((kind, name))}


def _policy(container: Container, resource: str) -> str:
    named = (p.restart_policy for p in container.resize_policy if p.resource_name == resource)
    return next(named, "NotRequired")


def _objection(view: PodView) -> PendingResize | None:
    """Why the pod cannot have now what it asks for, None if it can."""
    if view.room is None:
        return None
    wants, capacity, used = claim_if_readable(view.pod).amounts, view.room.allocatable, view.room.used
    for name in (MEMORY, CPU):
        if wants.get(name, 0) > capacity.get(name, 0):
            numbers = f"{name}, requested: {wants[name]}, capacity: {capacity.get(name, 0)}"
            return _pending(view, INFEASIBLE, f"Node didn't have enough capacity: {numbers}")
    for name in (CPU, MEMORY):
        if wants.get(name, 0) > capacity.get(name, 0) - used.get(name, 0):
            numbers = f"{name}, requested: {wants[name]}, used: {used.get(name, 0)}, capacity: {capacity.get(name, 0)}"
            return _pending(view, DEFERRED, f"Node didn't have enough resource: {numbers}")
    return None


def _pending(view: PodView, reason: str, message: str) -> PendingResize:
    return PendingResize(reason=reason, message=message, generation=view.pod.metadata.generation)


def _told(before: PendingResize | None, now: PendingResize) -> bool:
    return before is not None and (before.reason, before.generation) == (now.reason, now.generation)


def _event(kind: str, reason: str, what: str, pod: Pod, generation: int, error: str = "") -> PodEvent:
    """The event with a summary of the resources, as JSON."""
    summary: dict[str, Any] = {}
    for key, containers in (("initContainers", pod.spec.init_containers), ("containers", pod.spec.containers)):
        if containers:
            summary[key] = [{"name": c.name, "resources": _shown(c.resources)} for c in containers]
    summary["generation"] = generation
    if error:
        summary["error"] = error
    return PodEvent(type=kind, reason=reason, message=f"Pod resize {what}: {msgspec.json.encode(summary).decode()}")


def _shown(resources: ResourceRequirements) -> dict[str, Any]:
    both = (("limits", resources.limits), ("requests", resources.requests))
    return {kind: dict(sorted(quantities.items())) for kind, quantities in both if quantities}
