"""Who gets in: between whoever knows the pods and the dispatcher that runs them.

A pod that was here before a restart comes in as it stands, whatever the node looks like now. A new one is admitted,
rejected for good, or, if a DaemonSet sent it, left alone. One that is over stays over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from vkprovider.core.actions import PodEvent
from vkprovider.core.admission import NodeView, admit, rejected_status
from vkprovider.core.claims import Claim, claim
from vkprovider.core.daemonsets import DaemonSetPolicy, ignored_event, ignored_status, is_ignored
from vkprovider.core.phase import FAILED, SUCCEEDED
from vkprovider.core.record import Ending, PodRecord
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodUID
from vkprovider.node.dispatcher import Dispatcher
from vkprovider.node.pod_worker import Surroundings


class Gatekeeper:
    """``records`` are what a former process wrote down, ``present`` the pods that have containers in the engine.

    ``node`` gives the node as it is now. Rules: pkg/kubelet/kubelet.go HandlePodAdditions.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        around: Surroundings,
        node: Callable[[], NodeView],
        policy: DaemonSetPolicy,
        records: Mapping[PodUID, PodRecord],
        present: frozenset[PodUID],
    ) -> None:
        self._dispatcher = dispatcher
        self._around = around
        self._node = node
        self._policy = policy
        self._records = dict(records)
        self._present = set(present)
        self._turned_away: set[PodUID] = set()

    def sync(self, pod: Pod) -> None:
        """A pod that is new here, or has changed. A deletion always gets in: there may be something to remove."""
        uid = pod.uid
        known = uid in self._dispatcher.workers or uid in self._records or uid in self._present
        if known or pod.metadata.deletion_timestamp is not None:
            self._let_in(pod)
        elif not _over(pod) and uid not in self._turned_away:
            self._judge(pod)

    def _let_in(self, pod: Pod) -> None:
        self._turned_away.discard(pod.uid)
        self._present.discard(pod.uid)
        record = self._records.pop(pod.uid, None)
        if record is None and _over(pod):
            record = _closed(pod, self._around.clock.now())
        self._dispatcher.sync(pod, record)

    def _judge(self, pod: Pod) -> None:
        now, node = self._around.clock.now(), self._node()
        if is_ignored(pod, self._policy):
            self._turned_away.add(pod.uid)
            event = ignored_event(pod, node.name)
            if event is not None:
                self._around.events.record(pod, event, now)
            self._around.statuses.publish(pod, ignored_status(pod, node.name))
            return
        rejection = admit(pod, node, self._claims())
        if rejection is None:
            self._dispatcher.sync(pod)
            return
        self._turned_away.add(pod.uid)
        event = PodEvent(type="Warning", reason=rejection.reason, message=rejection.message)
        self._around.events.record(pod, event, now)
        self._around.statuses.publish(pod, rejected_status(pod, rejection, now))

    def _claims(self) -> list[Claim]:
        """What the pods here take; one that is over takes nothing."""
        return [claim(worker.pod) for worker in self._dispatcher.workers.values() if worker.record.final is None]


def _over(pod: Pod) -> bool:
    return (pod.raw.get("status") or {}).get("phase") in (SUCCEEDED, FAILED)


def _closed(pod: Pod, now: datetime) -> PodRecord:
    """The record of a pod that ended before anything is known of it: its published status is its last word."""
    return PodRecord(
        start_time=now,
        ending=Ending(cause="Completed", began_at=now, deadline=now),
        final=pod.raw["status"],
    )
