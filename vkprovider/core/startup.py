"""What is started next. Init containers and native sidecars in list order, marked sidecars, then the apps.

A walk over the containers in start order; it stops where the next one has to wait. Rules: docs/reference/sidecars.md
and, for init containers, pkg/kubelet/kuberuntime/kuberuntime_container.go computeInitContainerActions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from vkprovider.core.actions import Action, RunHook, StartContainer
from vkprovider.core.pulls import image_at_hand, pull_image
from vkprovider.core.restarts import next_backoff_seconds
from vkprovider.core.sidecars import Kind, Role, Roles
from vkprovider.core.standing import POST_START, Standing, back_off_hash, hook_key
from vkprovider.core.view import PodView
from vkprovider.model.container import Container, EphemeralContainer
from vkprovider.model.observed import Run, SandboxState
from vkprovider.model.refs import ContainerID


class StartPlan(msgspec.Struct, kw_only=True):
    """What the walk found: actions to take now, hooks begun by them, and when a back-off will be over."""

    actions: list[Action] = []
    hooks: list[str] = []
    wake_at: list[datetime] = []


def plan_startup(view: PodView, roles: Roles, standings: Mapping[str, Standing], sandbox: SandboxState) -> StartPlan:
    """The next steps of a pod that lives, has a sandbox and has its volumes."""
    plan = StartPlan()
    walk = _Walk(view, standings, sandbox, plan)
    for role in roles.ephemerals:  # even while the pod is not yet initialized
        walk.keep_running(role)
    if is_initialized(roles, standings):
        for role in roles.inits:
            if role.kind is Kind.NATIVE:
                walk.keep_running(role)
        for role in roles.marked:
            walk.keep_running(role)
        walk.apps(roles)
    elif walk.inits(roles.inits) and walk.marked(roles):
        walk.apps(roles)
    return plan


def is_initialized(roles: Roles, standings: Mapping[str, Standing]) -> bool:
    """Whether an app is there now: from then on sidecars are restarted one by one and hold nobody back."""
    return any(_there(standings[r.name]) for r in roles.apps)


def _there(standing: Standing) -> bool:
    current = standing.current
    return current is not None and (current.alive or current.run is Run.CREATED)


class _Walk:
    """One pass in start order. Methods answer whether the walk may go on past what they looked at."""

    def __init__(
        self, view: PodView, standings: Mapping[str, Standing], sandbox: SandboxState, plan: StartPlan
    ) -> None:
        self.view = view
        self.standings = standings
        self.sandbox = sandbox
        self.plan = plan

    def inits(self, roles: tuple[Role, ...]) -> bool:
        """Everything before the newest one with a record counts as over, so pruned records never cause a re-run."""
        position = max((i for i, r in enumerate(roles) if self.standings[r.name].current is not None), default=0)
        for index, role in enumerate(roles):
            if role.kind is Kind.NATIVE:
                self.keep_running(role)
                if index >= position and not self._started(self.standings[role.name]):
                    return False
            elif index >= position and not self._init_over(role):
                self.keep_running(role)
                return False
        return True

    def _init_over(self, role: Role) -> bool:
        standing = self.standings[role.name]
        return standing.done and standing.busy is None

    @staticmethod
    def _started(standing: Standing) -> bool:
        """Also what its start has to tell is told, so that the events of what comes next come next."""
        return standing.started and not standing.occupied

    def marked(self, roles: Roles) -> bool:
        """Wave by wave. Where priorities are given the next wave waits for readiness too, as the apps' waves do;
        the apps themselves wait for no more than *started*.
        """
        waves = roles.marked_waves()
        by_priority = any(r.launch_priority is not None for r in roles.marked)
        for wave in waves:
            for role in wave:
                self.keep_running(role)
            standings = [self.standings[r.name] for r in wave]
            if not all(self._started(s) for s in standings):
                return False
            if by_priority and wave is not waves[-1] and not all(s.ready for s in standings):
                return False
        return True

    def apps(self, roles: Roles) -> None:
        """Wave by wave; within a wave one after the other, each waiting for pull, start and postStart of the one
        before, while a failure of one does not stop the others (kuberuntime_manager.go SyncPod).
        """
        waves = roles.app_waves()
        for wave in waves:
            self._one_by_one(wave)
            if wave is not waves[-1] and not all(self._up(self.standings[r.name]) for r in wave):
                return

    def _one_by_one(self, wave: Iterable[Role]) -> None:
        for role in wave:
            begun = len(self.plan.actions)
            self.keep_running(role)
            if len(self.plan.actions) > begun or self.standings[role.name].occupied:
                return

    @staticmethod
    def _up(standing: Standing) -> bool:
        """What containers of a lower launch priority wait for: ready, or run to its end."""
        return standing.ready or standing.ended

    def keep_running(self, role: Role) -> None:
        """Start it if it is not there, restart it when its back-off is over, run its postStart once."""
        standing = self.standings[role.name]
        if standing.busy is not None or standing.done:
            return
        if standing.alive and standing.stop is not None:
            return
        if standing.alive:
            self._post_start(standing)
            return
        for not_before in (standing.restart_at, standing.retry_at):
            if not_before is not None and not_before > self.view.now:
                self.plan.wake_at.append(not_before)
                return
        self.plan.actions.append(self._start(standing))

    def _start(self, standing: Standing) -> Action:
        image = image_at_hand(self.view, standing)
        if image is None:
            return pull_image(standing)
        return StartContainer(
            key=standing.name,
            attempt=standing.next_attempt,
            sandbox_id=self.sandbox.id,
            image_id=image.image_id,
            backoff_seconds=self._backoff_seconds(standing),
            volumes=image.volumes,
            target_id=self._target(standing.role.container),
            devices=self.view.record.devices.get(standing.name, {}),
            runtime=self.sandbox.runtime,
        )

    def _backoff_seconds(self, standing: Standing) -> int:
        before, ended = standing.previous, standing.newest
        if ended is not None and ended.attempt == standing.next_attempt:
            before, ended = None, None  # it was never started, and is taken up
        wanted = back_off_hash(self.view, standing.role, ended) if ended is not None else ""
        return next_backoff_seconds(ended, before, standing.stop, wanted, self.view.settings)

    def _target(self, container: Container) -> ContainerID:
        """The container whose processes an ephemeral one is to see, "" where there is none (yet)."""
        name = container.target_container_name if isinstance(container, EphemeralContainer) else ""
        target = self.standings.get(name)
        return target.newest.id if target is not None and target.newest is not None else ContainerID("")

    def _post_start(self, standing: Standing) -> None:
        instance, lifecycle = standing.newest, standing.role.container.lifecycle
        if instance is None or lifecycle is None or lifecycle.post_start is None:
            return
        key = hook_key(instance.id, POST_START)
        if key not in self.view.record.hooks:
            self.plan.hooks.append(key)
            self.plan.actions.append(
                RunHook(
                    key=standing.name,
                    container_id=instance.id,
                    hook=POST_START,
                    handler=lifecycle.post_start,
                )
            )
