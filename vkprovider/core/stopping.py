"""Who is to be stopped: a single container that must be replaced, or all of them at the end of the pod.

How a container is stopped, step by step, is the business of ``termination``.
"""

from __future__ import annotations

from vkprovider.core.actions import POD, PullImage, RemoveSandbox, RunHook, StartContainer, TeardownPod
from vkprovider.core.draft import Draft
from vkprovider.core.ending import find_ending
from vkprovider.core.phase import quiet
from vkprovider.core.pulls import bring_new_image, give_up_pull, image_at_hand, is_outdated
from vkprovider.core.record import ANY_ATTEMPT, DEADLINE_EXCEEDED, Ending
from vkprovider.core.restarts import DEFINITION, LIVENESS, STARTUP, UNKNOWN, policy
from vkprovider.core.sidecars import Kind, Role
from vkprovider.core.standing import POST_START, Standing, is_up
from vkprovider.core.stop_steps import END, grace, join_end, stop_grace, stop_step, turns
from vkprovider.core.view import PodView
from vkprovider.model.observed import Run


def begin_end(draft: Draft) -> Ending | None:
    """Write the end down if it has begun; from then on every living container is being stopped."""
    ending = find_ending(draft.view, draft.roles, draft.standings)
    if ending is None:
        return None
    if draft.record.ending is None and ending.cause == DEADLINE_EXCEEDED:
        draft.event(POD, ending.reason, ending.message)
    draft.note(ending=ending)
    for standing in draft.standings.values():
        _mark_for_end(draft, standing, ending)
    draft.refresh()
    return ending


def carry_on_end(draft: Draft, ending: Ending) -> None:
    """The next steps of a pod that ends: containers in their order, then the sandbox, then what a deletion removes."""
    failure = draft.memory.failures.get(POD)
    if failure is not None and failure.attempt != ANY_ATTEMPT:  # of a sandbox or volumes that nobody wants any more
        draft.forget_failure(POD)
    turn = turns(draft.roles, draft.standings)
    for standing in draft.standings.values():
        if isinstance(standing.busy, PullImage):
            draft.cancel.add(standing.name)
        elif standing.alive:
            _step(draft, standing, turn=standing.name in turn, force=ending.force)
    if not quiet(draft.standings):
        return
    if draft.view.pod.metadata.deletion_timestamp is not None:
        if not draft.memory.torn_down:
            draft.act_on_pod(TeardownPod())
    elif draft.view.observed.sandboxes:
        draft.act_on_pod(RemoveSandbox(sandbox_id=draft.view.observed.sandboxes[0].id))


def stop_single(draft: Draft) -> None:
    """Stop what must be replaced while the pod lives on, and go on with the stops that have begun."""
    for standing in draft.standings.values():
        give_up_pull(draft, standing)
        if standing.alive and standing.stop is None:
            found = _why_replace(draft.view, standing)
            if found is not None:
                begin_single_stop(draft, standing, *found)
            else:
                bring_new_image(draft, standing)
    draft.refresh()
    for standing in draft.standings.values():
        if standing.alive and standing.stop is not None:
            _step(draft, standing, turn=True, force=False)


def begin_single_stop(draft: Draft, standing: Standing, cause: str, message: str) -> None:
    """Begin to stop one container that is to be replaced, or whose sandbox is lost."""
    allowed = grace(draft.view.pod.spec.termination_grace_period_seconds, None)
    draft.begin_stop(standing, cause, message, stop_grace(standing.role, cause, allowed))
    if isinstance(standing.busy, RunHook) and standing.busy.hook == POST_START:
        draft.cancel.add(standing.name)


def _mark_for_end(draft: Draft, standing: Standing, ending: Ending) -> None:
    instance, stop = standing.newest, standing.stop
    if instance is None or not instance.alive:
        return
    if stop is None:
        draft.begin_stop(standing, END, f"Stopping container {standing.name}", ending.deadline - draft.view.now)
    elif not stop.kill_sent:
        draft.note_stop(instance.id, join_end(stop, ending.deadline))


def _step(draft: Draft, standing: Standing, *, turn: bool, force: bool) -> None:
    stop, instance = standing.stop, standing.newest
    if stop is None or instance is None:
        return
    step = stop_step(draft.view, standing, stop, turn, force)
    draft.note_stop(instance.id, step.stop)
    draft.note_hooks(*([step.hook] if step.hook else []))
    if step.action is not None:
        draft.actions.append(step.action)
    if step.cancel:
        draft.cancel.add(standing.name)
    if step.wake_at is not None:
        draft.wakes.append(step.wake_at)


def _why_replace(view: PodView, standing: Standing) -> tuple[str, str] | None:
    """The cause of a single stop, and its Killing message in the kubelet's words."""
    instance, role = standing.newest, standing.role
    assert instance is not None
    if role.kind is Kind.EPHEMERAL:
        return None
    if instance.run is Run.UNKNOWN and not isinstance(standing.busy, StartContainer):  # else it hangs on our own start
        return UNKNOWN, 'Container is in "unknown" state, try killing it before restart'
    if is_outdated(standing) and (image_at_hand(view, standing) is not None or not is_up(view, role, instance)):
        return DEFINITION, f"{_called(role)} definition changed{_and_restarts(view, role, always=True)}"
    verdicts = view.verdicts.get(instance.id)
    if verdicts is None:
        return None
    if verdicts.started is False and role.container.startup_probe is not None:
        return STARTUP, f"{_called(role)} failed startup probe{_and_restarts(view, role)}"
    if verdicts.live is False:
        return LIVENESS, f"{_called(role)} failed liveness probe{_and_restarts(view, role)}"
    return None


def _called(role: Role) -> str:
    return f"{'Container' if role.regular else 'Init container'} {role.name}"


def _and_restarts(view: PodView, role: Role, *, always: bool = False) -> str:
    """Upstream says so of regular containers only (kuberuntime_manager.go, kuberuntime_container.go)."""
    if role.kind is Kind.NATIVE:
        return ""
    will = always or role.sidecar or policy(view.pod, role) != "Never"
    return ", will be restarted" if will else ""
