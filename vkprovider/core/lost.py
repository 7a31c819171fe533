"""Containers that someone removed (``docker rm -f``, ``docker container prune``): they count on as they ended, and one
that ran counts as killed.

Nothing is left to tell of them, so the record says who was there at the last look, vkprovider's own end included, and
who was found missing, until as many newer instances are there as are kept at all.
Words and exit code are those of pkg/kubelet/kubelet_pods.go convertToAPIContainerStatuses.
"""

from __future__ import annotations

import msgspec

from vkprovider.core.view import PodView
from vkprovider.model.observed import ContainerState, Run

DEAD_KEPT = 1  # ended instances kept besides the newest, for their logs
KILLED = 137
MESSAGE = "The container could not be located when the pod was deleted.  The container used to be Running"


def account_for_lost(view: PodView) -> PodView:
    """The view with every container that has vanished shown among the ended ones, and that remembered."""
    observed, record = view.observed, view.record
    found = {c.id for c in observed.containers}
    deleted = view.pod.metadata.deletion_timestamp is not None  # then vkprovider removes them itself
    vanished = () if deleted else tuple(_ended(view, c) for c in record.newest if c.id not in found)
    lost = tuple(c for c in (*record.lost, *vanished) if c.id not in found and _kept(view, c))
    newest = {c.name: c for c in reversed(observed.containers) if c.run is not Run.CREATED}
    everything = sorted((*observed.containers, *lost), key=lambda c: -c.attempt) if lost else observed.containers
    return msgspec.structs.replace(
        view,
        observed=msgspec.structs.replace(observed, containers=tuple(everything)),
        record=msgspec.structs.replace(record, lost=lost, newest=tuple(newest.values())),
    )


def _ended(view: PodView, instance: ContainerState) -> ContainerState:
    if not instance.alive:
        return instance
    return msgspec.structs.replace(
        instance, run=Run.EXITED, exit_code=KILLED, finished_at=view.now, message=MESSAGE, lost=True
    )


def _kept(view: PodView, lost: ContainerState) -> bool:
    newer = [c for c in view.observed.instances(lost.name) if c.attempt > lost.attempt]
    return len(newer) <= DEAD_KEPT
