"""What a pod's object says to the node that it is bound to, and how the node is told of its end."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import structlog

from vkprovider.core.phase import OVER
from vkprovider.core.record import OVERRULED, Ending, PodRecord
from vkprovider.core.stop_steps import grace
from vkprovider.errors import SpecError
from vkprovider.kube.client import Json
from vkprovider.kube.pods.status_merge import published_part
from vkprovider.model.pod import Pod, decode_pod

log = structlog.get_logger()


def ended(pod: Pod, now: datetime, grace: int | None = None) -> Pod:
    """The pod as if it had been deleted: with that grace in seconds, or its deletion's if there was one."""
    meta = pod.metadata
    seconds = grace if grace is not None else meta.deletion_grace_period_seconds
    if seconds is None:
        seconds = pod.spec.termination_grace_period_seconds
    at = meta.deletion_timestamp or now
    marked = msgspec.structs.replace(meta, deletion_timestamp=at, deletion_grace_period_seconds=max(1, seconds))
    return msgspec.structs.replace(pod, metadata=marked)


def leave_a_second(pod: Pod) -> Pod:
    """A deletion by force leaves a second as well (pkg/kubelet/pod_workers.go calculateEffectiveGracePeriod)."""
    meta = pod.metadata
    if meta.deletion_timestamp is None or meta.deletion_grace_period_seconds != 0:
        return pod
    return msgspec.structs.replace(pod, metadata=msgspec.structs.replace(meta, deletion_grace_period_seconds=1))


def mark_of(raw: Json) -> tuple[Any, ...]:
    """What of an object matters to the node: where it is equal, nobody needs to look."""
    meta, spec = raw["metadata"], raw["spec"]
    gates = {gate["conditionType"] for gate in spec.get("readinessGates") or ()}
    conditions = (raw.get("status") or {}).get("conditions") or ()
    open_gates = {c["type"]: c["status"] for c in conditions if c["type"] in gates}
    wishes = [meta.get(key) for key in ("labels", "annotations", "deletionTimestamp", "deletionGracePeriodSeconds")]
    return spec, open_gates, *wishes


def read(raw: Json, before: Json | None) -> Pod:
    """The pod; where its spec has become unreadable, with the spec it had before. Raises SpecError."""
    try:
        return decode_pod(raw)
    except SpecError as exc:
        if before is None:
            raise
        log.warning("a pod's new spec cannot be read; the old one stands", pod=raw["metadata"]["name"], error=str(exc))
        return decode_pod(raw | {"spec": before["spec"]})


def bare(raw: Json) -> Pod:
    """A pod whose spec cannot be read."""
    return msgspec.structs.replace(decode_pod({key: raw[key] for key in ("metadata", "status") if key in raw}), raw=raw)


def slim(raw: Json) -> Json:
    """Without the record of who set which field, often the larger part of an object."""
    return raw | {"metadata": {key: value for key, value in raw["metadata"].items() if key != "managedFields"}}


def is_over(raw: Json) -> bool:
    return (raw.get("status") or {}).get("phase") in OVER


def over_record(pod: Pod, record: PodRecord | None, now: datetime) -> PodRecord:
    """The record of a pod that the API says is over: nothing of it is started again, what still runs is ended. Where
    nothing was written down of it, what the API shows is how it ended.
    """
    if record is not None:
        return record
    deadline = now + grace(pod.spec.termination_grace_period_seconds, None)
    ending = Ending(cause=OVERRULED, began_at=now, deadline=deadline)
    return PodRecord(ending=ending, final=published_part(pod.raw["status"]))
