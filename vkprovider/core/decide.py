"""``decide``: from one look at a pod to everything that follows from it.

::

    news ─▶ folded into record, memory, events
                 │
    pod, engine, record ─▶ has the end begun? ──yes─▶ stop what runs, in order ─▶ sandbox ─▶ teardown
                                  └──no──▶ single stops, sandbox, volumes, starts
                 │
    status, events, probes, the record to be written before any action, and when to look again

Synchronous, total, without IO; equal views give equal decisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from vkprovider.core.actions import (
    POD,
    Action,
    CreateSandbox,
    Decision,
    PrepareVolumes,
    PullImage,
    RemoveContainer,
    RemoveSandbox,
    RunHook,
    TeardownPod,
)
from vkprovider.core.ending import deadline_at, find_ending
from vkprovider.core.news import Fold, add_stop, fold_news
from vkprovider.core.phase import FAILED, SUCCEEDED, quiet
from vkprovider.core.probe_targets import wanted_probes
from vkprovider.core.record import Ending
from vkprovider.core.sidecars import Kind, Role, classify
from vkprovider.core.standing import POST_START, Standing, present_sandbox, stand
from vkprovider.core.startup import plan_startup
from vkprovider.core.status import PULL_ERROR_SHOWN, backing_off, build_status
from vkprovider.core.termination import END, grace, join_end, stop_grace, stop_step, turns
from vkprovider.core.view import PodView
from vkprovider.model.labels import spec_hash
from vkprovider.model.observed import Run


def decide(view: PodView) -> Decision:
    """Decide what is due for a pod now."""
    roles = classify(view.pod)
    fold = Fold(view=view, roles=roles, record=view.record, memory=view.memory, events=[])
    look = _Look(fold)
    look.remember()
    ending = look.begin_end()
    if ending is not None:
        look.end(ending)
    else:
        look.live()
    return look.decision()


class _Look:
    """One decision in the making. ``view`` and ``standings`` are refreshed whenever the record changes."""

    def __init__(self, fold: Fold) -> None:
        self.fold = fold
        self.roles = fold.roles
        self.actions: list[Action] = []
        self.cancel: set[str] = set()
        self.wake_at: list[datetime] = []
        self._refresh()

    def _refresh(self) -> None:
        self.view: PodView = msgspec.structs.replace(self.fold.view, record=self.fold.record, memory=self.fold.memory)
        self.standings: Mapping[str, Standing] = stand(self.view, self.roles)

    # --- what is remembered -----------------------------------------------------------------------------------

    def remember(self) -> None:
        fold_news(self.fold)
        record, observed = self.fold.record, self.view.observed
        if record.start_time is None:
            record = msgspec.structs.replace(record, start_time=self.view.now)
        ips = _ips(self.view)
        if ips and ips != record.ips:
            record = msgspec.structs.replace(record, ips=ips)
        known = {c.id for c in observed.containers}
        stops = {k: v for k, v in record.stops.items() if k in known}
        hooks = tuple(h for h in record.hooks if h.split("/", 1)[0] in known)
        if len(stops) != len(record.stops) or len(hooks) != len(record.hooks):
            record = msgspec.structs.replace(record, stops=stops, hooks=hooks)
        self.fold.record = record
        for path, reason, message in self.roles.ignored:
            if self.fold.once(f"{reason}/{path}/{message}"):
                key = next((r.name for r in self.roles.all if r.field_path == path), POD)
                self.fold.event(key, reason, message, warning=True)
        self._refresh()

    # --- the end ----------------------------------------------------------------------------------------------

    def begin_end(self) -> Ending | None:
        """Record the end if it has begun; every living container is stopped from then on, with its Killing event."""
        ending = find_ending(self.view, self.roles, self.standings)
        if ending is None:
            return None
        if self.fold.record.ending is None and ending.reason:
            self.fold.event(POD, ending.reason, ending.message)
        self.fold.record = msgspec.structs.replace(self.fold.record, ending=ending)
        for standing in self.standings.values():
            self._mark_for_end(standing, ending)
        self._refresh()
        return ending

    def _mark_for_end(self, standing: Standing, ending: Ending) -> None:
        instance, stop = standing.newest, standing.stop
        if instance is None or not instance.alive:
            return
        if stop is None:
            allowed = ending.deadline - self.view.now
            add_stop(self.fold, standing.name, instance.id, END, f"Stopping container {standing.name}", allowed)
        elif not stop.kill_sent:
            joined = join_end(stop, ending.deadline)
            stops = self.fold.record.stops | {instance.id: joined}
            self.fold.record = msgspec.structs.replace(self.fold.record, stops=stops)

    def end(self, ending: Ending) -> None:
        turn = turns(self.roles, self.standings)
        for standing in self.standings.values():
            if isinstance(standing.busy, PullImage):
                self.cancel.add(standing.name)
            elif standing.alive:
                self._stop(standing, standing.name in turn, ending.force)
        if self.view.in_flight.get(POD) is not None:
            return
        if not quiet(self.standings):
            return
        if self.view.pod.metadata.deletion_timestamp is not None:
            if not self.fold.memory.torn_down:
                self._pod_action(TeardownPod())
        elif self.view.observed.sandboxes:
            self._pod_action(RemoveSandbox(sandbox_id=self.view.observed.sandboxes[0].id))

    def _stop(self, standing: Standing, turn: bool, force: bool) -> None:
        stop, instance = standing.stop, standing.newest
        if stop is None or instance is None:
            return
        step = stop_step(self.view, standing, stop, turn, force)
        record = msgspec.structs.replace(self.fold.record, stops=self.fold.record.stops | {instance.id: step.stop})
        if step.hook:
            record = msgspec.structs.replace(record, hooks=(*record.hooks, step.hook))
        self.fold.record = record
        if step.action is not None:
            self.actions.append(step.action)
        if step.cancel:
            self.cancel.add(standing.name)
        if step.wake_at is not None:
            self.wake_at.append(step.wake_at)

    # --- life -------------------------------------------------------------------------------------------------

    def live(self) -> None:
        deadline = deadline_at(self.view)
        if deadline is not None:
            self.wake_at.append(deadline)
        for standing in self.standings.values():
            self._stop_single(standing)
        self._refresh()
        for standing in self.standings.values():
            if standing.alive and standing.stop is not None:
                self._stop(standing, turn=True, force=False)
        self._prune()
        if not self.fold.memory.volumes_ready:
            self._pod_action(PrepareVolumes())
            return
        sandbox = present_sandbox(self.view)
        if sandbox is None:
            self._new_sandbox()
            return
        plan = plan_startup(self.view, self.roles, self.standings, sandbox.id)
        stopping = {s.name for s in self.standings.values() if s.alive and s.stop is not None}
        self.actions += [action for action in plan.actions if action.key not in stopping]
        self.wake_at += plan.wake_at
        if plan.hooks:
            hooks = (*self.fold.record.hooks, *plan.hooks)
            self.fold.record = msgspec.structs.replace(self.fold.record, hooks=hooks)
        self._say_backing_off()

    def _stop_single(self, standing: Standing) -> None:
        """Stop one container that must be replaced: its image changed, a probe failed, it cannot be seen."""
        instance = standing.newest
        if instance is None or not instance.alive or standing.stop is not None:
            return
        found = _why_replace(self.view, standing)
        if found is None:
            return
        cause, message = found
        allowed = grace(self.view.pod.spec.termination_grace_period_seconds, None)
        allowed = stop_grace(standing.role, cause, allowed)
        add_stop(self.fold, standing.name, instance.id, cause, message, allowed)
        if isinstance(standing.busy, RunHook) and standing.busy.hook == POST_START:
            self.cancel.add(standing.name)

    def _new_sandbox(self) -> None:
        """Replace a sandbox that is gone. What still runs in the old one's namespaces is stopped first."""
        sandboxes = self.view.observed.sandboxes
        living = [s for s in self.standings.values() if s.alive]
        for standing in living:
            if standing.stop is None and standing.newest is not None:
                allowed = grace(self.view.pod.spec.termination_grace_period_seconds, None)
                message = f"Stopping container {standing.name}"
                add_stop(self.fold, standing.name, standing.newest.id, "sandbox", message, allowed)
                self._refresh()
                self._stop(self.standings[standing.name], turn=True, force=False)
        if living or not quiet(self.standings):
            return
        attempt = sandboxes[0].attempt + 1 if sandboxes else 0
        if sandboxes and self.fold.once(f"SandboxChanged/{sandboxes[0].id}"):
            message = "Pod sandbox changed, it will be killed and re-created."
            self.fold.event(POD, "SandboxChanged", message)
        self._pod_action(CreateSandbox(attempt=attempt))

    def _prune(self) -> None:
        """Keep one dead instance besides the newest, and no sandbox but the newest."""
        if present_sandbox(self.view) is not None and len(self.view.observed.sandboxes) > 1:
            self._pod_action(RemoveSandbox(sandbox_id=self.view.observed.sandboxes[-1].id))
        for standing in self.standings.values():
            instances = self.view.observed.instances(standing.name)
            if standing.busy is None and len(instances) > 2 and instances[-1].run is Run.EXITED:
                self.actions.append(RemoveContainer(key=standing.name, container_id=instances[-1].id))

    def _pod_action(self, action: Action) -> None:
        if self.view.in_flight.get(POD) is not None or any(a.key == POD for a in self.actions):
            return
        failure = self.fold.memory.failures.get(POD)
        if failure is not None and failure.retry_at > self.view.now:
            self.wake_at.append(failure.retry_at)
        else:
            self.actions.append(action)

    def _say_backing_off(self) -> None:
        """The back-off events: once for each death, once for each failed pull."""
        meta = self.view.pod.metadata
        for name, failure in self.fold.memory.failures.items():
            if failure.reason == "ErrImagePull" and not backing_off(self.view, failure):
                self.wake_at.append(failure.at + PULL_ERROR_SHOWN)
            elif failure.reason == "ErrImagePull" and self.fold.once(f"BackOff/{name}/{failure.at}"):
                image = self.standings[name].role.container.image
                self.fold.event(name, "BackOff", f'Back-off pulling image "{image}"')
                self.fold.event(name, "Failed", "Error: ImagePullBackOff", warning=True)
        for standing in self.standings.values():
            waits = standing.restart_at is not None and standing.restart_at > self.view.now
            if waits and standing.newest is not None and self.fold.once(f"BackOff/{standing.newest.id}"):
                where = f"{meta.name}_{meta.namespace}({meta.uid})"
                message = f"Back-off restarting failed container {standing.name} in pod {where}"
                self.fold.event(standing.name, "BackOff", message, warning=True)

    # --- the sum ----------------------------------------------------------------------------------------------

    def decision(self) -> Decision:
        self._refresh()
        status, conditions = build_status(self.view, self.roles, self.standings)
        record = self.fold.record
        if record.final is not None:
            status = record.final
        elif status["phase"] in (SUCCEEDED, FAILED):
            record = msgspec.structs.replace(record, final=status)
        taken: set[str] = set()
        actions = []
        for action in self.actions:
            if action.key not in taken and self.view.in_flight.get(action.key) is None:
                taken.add(action.key)
                actions.append(action)
        return Decision(
            actions=tuple(actions),
            cancel=frozenset(self.cancel),
            probes=wanted_probes(self.view, self.standings),
            status=status,
            events=tuple(self.fold.events),
            record=record,
            memory=msgspec.structs.replace(self.fold.memory, conditions=conditions),
            wake_at=min((at for at in self.wake_at if at > self.view.now), default=None),
            gone=self.fold.memory.torn_down,
        )


def _ips(view: PodView) -> tuple[str, ...]:
    if view.pod.spec.host_network:
        return (view.settings.host_ip,)
    sandbox = present_sandbox(view)
    return sandbox.ips if sandbox is not None else ()


def _why_replace(view: PodView, standing: Standing) -> tuple[str, str] | None:
    """The cause and the Killing message of a single stop, in the kubelet's words."""
    instance, role = standing.newest, standing.role
    assert instance is not None
    what = _called(role)
    if instance.run is Run.UNKNOWN:
        return "unknown", 'Container is in "unknown" state, try killing it before restart'
    if instance.spec_hash != spec_hash(role.container) and role.kind is not Kind.INIT:
        return "definition", f"{what} definition changed" + _and_restarts(view, role, always=True)
    verdicts = view.verdicts.get(instance.id)
    if verdicts is not None and verdicts.started is False and role.container.startup_probe is not None:
        return "startup", f"{what} failed startup probe" + _and_restarts(view, role)
    if verdicts is not None and verdicts.live is False:
        return "liveness", f"{what} failed liveness probe" + _and_restarts(view, role)
    return None


def _called(role: Role) -> str:
    return f"{'Container' if role.regular else 'Init container'} {role.name}"


def _and_restarts(view: PodView, role: Role, *, always: bool = False) -> str:
    if role.kind is Kind.NATIVE:
        return ""
    will = always or role.sidecar or view.pod.spec.restart_policy != "Never"
    return ", will be restarted" if will else ""
