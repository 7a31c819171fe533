"""A decision in the making: the only mutable value in the core, and it never leaves ``decide``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from vkprovider.core.actions import POD, Action, PodEvent
from vkprovider.core.record import Failure, PodMemory, PodRecord, Stop
from vkprovider.core.sidecars import Roles, classify
from vkprovider.core.standing import Standing, stand
from vkprovider.core.view import PodView
from vkprovider.model.refs import ContainerID


class Draft:
    """What a decision has gathered so far.

    ``view`` and ``standings`` show the pod as it was at the last ``refresh``, record and memory included; whoever
    changes either and wants others to see it refreshes.
    """

    def __init__(self, view: PodView) -> None:
        self.roles: Roles = classify(view.pod)
        self.record: PodRecord = view.record
        self.memory: PodMemory = view.memory
        self.actions: list[Action] = []
        self.cancel: set[str] = set()
        self.events: list[PodEvent] = []
        self.wakes: list[datetime] = []
        self.view = view
        self.standings: Mapping[str, Standing] = {}
        self.refresh()

    def refresh(self, begun: Iterable[Action] = ()) -> None:
        """Show what has been noted since, and the actions that begin with this decision as in flight."""
        in_flight = dict(self.view.in_flight) | {action.key: action for action in begun}
        self.view = msgspec.structs.replace(self.view, record=self.record, memory=self.memory, in_flight=in_flight)
        self.standings = stand(self.view, self.roles)

    # --- what is remembered ---------------------------------------------------------------------------------------

    def note(self, **changes: Any) -> None:
        """Change the record."""
        self.record = msgspec.structs.replace(self.record, **changes)

    def keep(self, **changes: Any) -> None:
        """Change the memory."""
        self.memory = msgspec.structs.replace(self.memory, **changes)

    def note_stop(self, container_id: ContainerID, stop: Stop) -> None:
        self.note(stops=self.record.stops | {container_id: stop})

    def note_hooks(self, *hooks: str) -> None:
        """Hooks that begin with this decision, never to be begun again."""
        if hooks:
            self.note(hooks=(*self.record.hooks, *hooks))

    def keep_failure(self, key: str, failure: Failure) -> None:
        self.keep(failures=self.memory.failures | {key: failure})

    def forget_failure(self, key: str) -> None:
        self.keep(failures={k: v for k, v in self.memory.failures.items() if k != key})

    def once(self, mark: str) -> bool:
        """True the first time this mark is met in this process."""
        if mark in self.memory.said:
            return False
        self.keep(said=self.memory.said | {mark})
        return True

    # --- what is decided ------------------------------------------------------------------------------------------

    def event(self, key: str, reason: str, message: str, *, warning: bool = False) -> None:
        """Tell users something about a container (by name) or about the pod (``POD``)."""
        path = next((r.field_path for r in self.roles.all if r.name == key), "")
        kind = "Warning" if warning else "Normal"
        self.events.append(PodEvent(type=kind, reason=reason, message=message, field_path=path))

    def begin_stop(self, standing: Standing, cause: str, message: str, allowed: timedelta) -> None:
        """Write down that a living container is to be stopped within ``allowed``, and tell users why."""
        assert standing.newest is not None
        stop = Stop(cause=cause, message=message, kill_at=self.view.now + allowed)
        self.note_stop(standing.newest.id, stop)
        self.event(standing.name, "Killing", message)

    def act_on_pod(self, action: Action) -> None:
        """Take an action that concerns the whole pod: one at a time, and after a failure not at once again."""
        if self.view.in_flight.get(POD) is not None or any(a.key == POD for a in self.actions):
            return
        failure = self.memory.failures.get(POD)
        if failure is not None and failure.retry_at > self.view.now:
            self.wakes.append(failure.retry_at)
        else:
            self.actions.append(action)

    def free_actions(self) -> tuple[Action, ...]:
        """The actions that may begin now: the first of each key, unless one is in flight."""
        first: dict[str, Action] = {}
        for action in self.actions:
            if self.view.in_flight.get(action.key) is None:
                first.setdefault(action.key, action)
        return tuple(first.values())

    def wake_at(self) -> datetime | None:
        return min((at for at in self.wakes if at > self.view.now), default=None)
