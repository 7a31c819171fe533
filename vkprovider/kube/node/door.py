"""Which of the pods that are bound to the node are let in, and what those are told that are not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from vkprovider.core.actions import PodEvent
from vkprovider.core.admission import NodeView, Rejection, admit, rejected_status
from vkprovider.core.claims import Claim
from vkprovider.core.daemonsets import DaemonSetPolicy, ignored_event, ignored_status, is_ignored
from vkprovider.model.pod import Pod
from vkprovider.ports import Clock


class TurnedAway(msgspec.Struct, frozen=True, kw_only=True):
    """A pod that will not run here: its status from now on, and what its owner is to hear."""

    status: dict[str, Any]
    event: PodEvent | None


class Door:
    """``node`` gives the node as it is now."""

    def __init__(self, node: Callable[[], NodeView], daemonsets: DaemonSetPolicy, clock: Clock) -> None:
        self._node = node
        self._daemonsets = daemonsets
        self._clock = clock

    def __call__(self, pod: Pod, others: Iterable[Claim]) -> TurnedAway | None:
        """None if the pod may run beside ``others``."""
        node = self._node()
        if is_ignored(pod, self._daemonsets):
            return TurnedAway(status=ignored_status(pod, node.name), event=ignored_event(pod, node.name))
        rejection = admit(pod, node, others)
        return None if rejection is None else turn_away(pod, rejection, self._clock)


def turn_away(pod: Pod, rejection: Rejection, clock: Clock) -> TurnedAway:
    """Failed, for good, with the event that says why."""
    event = PodEvent(type="Warning", reason=rejection.reason, message=rejection.message)
    return TurnedAway(status=rejected_status(pod, rejection, clock.now()), event=event)
