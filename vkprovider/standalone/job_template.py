"""A Job's pods, made from its template as the Job controller and the API server make them, but by digest.

Name and uid follow from the Job's uid and the pod's ordinal alone: to make the same pod again is to name the same
pod, so whoever finds it there need not make it twice.
"""

from __future__ import annotations

import copy
import hashlib
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import count
from typing import Any

import msgspec

from vkprovider.core.exits import timestamp
from vkprovider.model.job import Job
from vkprovider.standalone.pod_facts import COMPLETION_INDEX, PENDING, PodFact

INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count"
INDEX_IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"

# k8s.io/apiserver/pkg/storage/names: a generated name is a cut prefix and five of these, which spell no words.
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX = 5
_PREFIX = 58


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The place a new pod takes in its Job. ``failures`` (counted, ignored) of its index, where that has a limit."""

    ordinal: int
    index: int | None = None
    failures: tuple[int, int] | None = None


def free_ordinals(job: Job, pods: Iterable[PodFact]) -> Iterator[int]:
    """Ordinals, in order, whose uid and name suffix no pod of the Job has."""
    uids, suffixes = set(), set()
    for pod in pods:
        uids.add(pod.uid)
        suffixes.add(pod.name[-_SUFFIX:])
    for ordinal in count(len(uids)):
        suffix = name_suffix(job, ordinal)
        if pod_uid(job, ordinal) not in uids and suffix not in suffixes:
            suffixes.add(suffix)
            yield ordinal


def pod_uid(job: Job, ordinal: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{job.uid}/{ordinal}"))


def name_suffix(job: Job, ordinal: int) -> str:
    digest = hashlib.sha256(f"{job.uid}/{ordinal}".encode()).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:_SUFFIX])


def make_pod(job: Job, place: Place, now: datetime) -> dict[str, Any]:
    """The v1.Pod for one place. The template is copied, never changed."""
    template = copy.deepcopy(job.raw["spec"]["template"])
    meta, spec = template.get("metadata") or {}, template["spec"]
    prefix = _name_prefix(job.metadata.name, place.index)
    labels = (meta.get("labels") or {}) | _labels(job, place)
    annotations = (meta.get("annotations") or {}) | _annotations(place)
    metadata: dict[str, Any] = {
        "name": prefix + name_suffix(job, place.ordinal),
        "generateName": prefix,
        "namespace": job.metadata.namespace,
        "uid": pod_uid(job, place.ordinal),
        "creationTimestamp": timestamp(now),
        "labels": labels,
        "annotations": annotations,
        "ownerReferences": [_owner(job)],
    }
    if place.index is not None:
        spec["hostname"] = f"{job.metadata.name}-{place.index}"
        for container in (spec.get("initContainers") or []) + (spec.get("containers") or []):
            _tell_index(container)
    kept = {key: value for key, value in metadata.items() if value}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": kept, "spec": spec, "status": {"phase": PENDING}}


def _name_prefix(name: str, index: int | None) -> str:
    tail = "-" if index is None else f"-{index}-"
    if index is None:
        return (name + tail)[:_PREFIX]
    return name[: _PREFIX - len(tail)] + tail


def _labels(job: Job, place: Place) -> dict[str, str]:
    labels = {}
    if not job.spec.manual_selector:
        for prefix in ("", "batch.kubernetes.io/"):
            labels[f"{prefix}controller-uid"] = job.uid
            labels[f"{prefix}job-name"] = job.metadata.name
    if place.index is not None:
        labels[COMPLETION_INDEX] = str(place.index)
    return labels


def _annotations(place: Place) -> dict[str, str]:
    annotations = {}
    if place.index is not None:
        annotations[COMPLETION_INDEX] = str(place.index)
    if place.failures is not None:
        counted, ignored = place.failures
        annotations[INDEX_FAILURES] = str(counted)
        if ignored:
            annotations[INDEX_IGNORED_FAILURES] = str(ignored)
    return annotations


def _owner(job: Job) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": job.metadata.name,
        "uid": job.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _tell_index(container: dict[str, Any]) -> None:
    """Give the container its index in the environment, unless it sets that variable itself."""
    env = container.get("env") or []
    if all(variable.get("name") != INDEX_VARIABLE for variable in env):
        source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{COMPLETION_INDEX}']"}}
        container["env"] = [*env, {"name": INDEX_VARIABLE, "valueFrom": source}]
