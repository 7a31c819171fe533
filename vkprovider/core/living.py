"""What a pod needs as long as it lives: its volumes, its sandbox, its containers, and nothing left over."""

from __future__ import annotations

from vkprovider.core.actions import POD, CreateSandbox, RemoveContainer, RemoveSandbox
from vkprovider.core.draft import Draft
from vkprovider.core.ending import deadline_at
from vkprovider.core.lost import DEAD_KEPT
from vkprovider.core.phase import quiet
from vkprovider.core.restarts import SANDBOX
from vkprovider.core.standing import present_sandbox
from vkprovider.core.startup import plan_startup
from vkprovider.core.stopping import begin_single_stop, stop_single
from vkprovider.core.upkeep import prepare_volumes
from vkprovider.core.waiting import PULL_ERROR_SHOWN, backing_off
from vkprovider.model.observed import Run


def live(draft: Draft) -> None:
    """The next steps of a pod whose end has not begun."""
    deadline = deadline_at(draft.view)
    if deadline is not None:
        draft.wakes.append(deadline)
    stop_single(draft)
    _prune(draft)
    prepare_volumes(draft)
    if not draft.memory.volumes_ready:
        return
    sandbox = present_sandbox(draft.view)
    if sandbox is None:
        _renew_sandbox(draft)
        return
    plan = plan_startup(draft.view, draft.roles, draft.standings, sandbox)
    draft.actions += plan.actions
    draft.wakes += plan.wake_at
    draft.note_hooks(*plan.hooks)
    _say_backing_off(draft)


def _renew_sandbox(draft: Draft) -> None:
    """Make a sandbox, instead of a lost one if there was one. What still runs in its namespaces is stopped first."""
    if draft.view.in_flight.get(POD) is not None:
        return
    living = [s for s in draft.standings.values() if s.alive]
    for standing in living:
        if standing.stop is None:
            begin_single_stop(draft, standing, SANDBOX, f"Stopping container {standing.name}")
    if living:
        stop_single(draft)
        return
    if not quiet(draft.standings):
        return
    sandboxes = draft.view.observed.sandboxes
    if sandboxes and draft.once(f"SandboxChanged/{sandboxes[0].id}"):
        draft.event(POD, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
    draft.act_on_pod(CreateSandbox(attempt=sandboxes[0].attempt + 1 if sandboxes else 0))


def _prune(draft: Draft) -> None:
    """Keep the newest instance of each container and one that ended before it, and no sandbox but the newest."""
    sandboxes = draft.view.observed.sandboxes
    if present_sandbox(draft.view) is not None and len(sandboxes) > 1:
        draft.act_on_pod(RemoveSandbox(sandbox_id=sandboxes[-1].id))
    for standing in draft.standings.values():
        instances = draft.view.observed.instances(standing.name)
        if len(instances) <= 1 + DEAD_KEPT or instances[-1].run is not Run.EXITED or standing.busy is not None:
            continue
        if standing.retry_at is not None and standing.retry_at > draft.view.now:
            draft.wakes.append(standing.retry_at)
        else:
            draft.actions.append(RemoveContainer(key=standing.name, container_id=instances[-1].id))


def _say_backing_off(draft: Draft) -> None:
    """The back-off events: once for each failed pull, once for each container that waits to run again."""
    now, meta = draft.view.now, draft.view.pod.metadata
    for name, failure in draft.memory.failures.items():
        if failure.reason != "ErrImagePull":
            continue
        if not backing_off(draft.view, failure):
            draft.wakes.append(failure.at + PULL_ERROR_SHOWN)
        elif draft.once(f"BackOff/{name}/{failure.at}"):
            image = failure.reference or draft.standings[name].role.container.image
            draft.event(name, "BackOff", f'Back-off pulling image "{image}"')
            draft.event(name, "Failed", "Error: ImagePullBackOff", warning=True)
    for standing in draft.standings.values():
        waits = standing.restart_at is not None and standing.restart_at > now
        if waits and standing.newest is not None and draft.once(f"BackOff/{standing.newest.id}"):
            where = f"{meta.name}_{meta.namespace}({meta.uid})"
            message = f"Back-off restarting failed container {standing.name} in pod {where}"
            draft.event(standing.name, "BackOff", message, warning=True)
