"""The pods of a Job, sorted by what they count for. Made anew at each look, from all pods the Job ever had."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from vkprovider.model.job import Job
from vkprovider.standalone.pod_facts import FAILED, SUCCEEDED, PodFact
from vkprovider.standalone.pod_failure_policy import FAIL_INDEX, match


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """``active`` pods run or will run; ``leaving`` ones still run but were told to end, or are to be told.

    A pod counts once: as ``succeeded``, as ``failed`` (of which ``ignored`` ones are left out of every limit, but
    not of the back-off), or not yet. ``open`` pods have not ended and not been counted. For an Indexed Job
    ``completed`` and ``failed_indexes`` hold the indexes that are decided.
    """

    active: tuple[PodFact, ...]
    leaving: tuple[PodFact, ...]
    open: tuple[PodFact, ...]
    succeeded: tuple[PodFact, ...]
    failed: tuple[PodFact, ...]
    ignored: frozenset[str]
    completed: frozenset[int] = frozenset()
    failed_indexes: frozenset[int] = frozenset()
    indexed: bool = False

    @property
    def successes(self) -> int:
        """How many completions are reached: distinct indexes of an Indexed Job, else pods."""
        return len(self.completed) if self.indexed else len(self.succeeded)

    @property
    def failures(self) -> int:
        """How many failures count towards the limits."""
        return len(self.failed) - len(self.ignored)

    def failures_of(self, index: int) -> tuple[int, int]:
        """How many failed pods of one index count towards its limit, and how many do not."""
        uids = [pod.uid for pod in self.failed if pod.index == index]
        ignored = sum(uid in self.ignored for uid in uids)
        return len(uids) - ignored, ignored


def tally(job: Job, pods: Iterable[PodFact], dismissed: Iterable[str]) -> Tally:
    """Sort the pods. ``dismissed`` are the uids of those that were told to end without counting for anything."""
    ordered = sorted(pods, key=lambda pod: (pod.created_at, pod.name))
    out = frozenset(dismissed)
    counted = [pod for pod in ordered if pod.uid not in out and _has_place(job, pod)]
    failed = tuple(failure for pod in counted for failure in _failures(job, pod))
    lost = frozenset(pod.uid for pod in failed)
    succeeded = tuple(pod for pod in counted if pod.phase == SUCCEEDED and pod.uid not in lost)
    running = [pod for pod in ordered if not pod.ended]
    ignored = frozenset(pod.uid for pod in failed if not match(job.spec.pod_failure_policy, pod).counts)
    return Tally(
        active=tuple(pod for pod in running if not _leaves(pod, out)),
        leaving=tuple(pod for pod in running if _leaves(pod, out)),
        open=tuple(pod for pod in counted if not pod.ended and pod.uid not in lost),
        succeeded=succeeded,
        failed=failed,
        ignored=ignored,
        completed=frozenset(pod.index for pod in succeeded if pod.index is not None),
        failed_indexes=_failed_indexes(job, failed, ignored),
        indexed=job.indexed,
    )


def only_failed_are_replaced(job: Job) -> bool:
    """Whether a pod that is being deleted keeps its place until it has ended (podReplacementPolicy: Failed)."""
    return job.spec.pod_replacement_policy == "Failed" or job.spec.pod_failure_policy is not None


def _leaves(pod: PodFact, dismissed: frozenset[str]) -> bool:
    return pod.deleting or pod.uid in dismissed


def _has_place(job: Job, pod: PodFact) -> bool:
    return not job.indexed or (pod.index is not None and pod.index < (job.spec.completions or 0))


def _failures(job: Job, pod: PodFact) -> tuple[PodFact, ...]:
    """The pod, if it has failed. One that is deleted before it ended has failed at that moment, and stays so even if
    it then ends well: its place has been given away. job_controller.go isPodFailed, kept by the tracking finalizer.
    """
    if pod.deleted_at is not None and not only_failed_are_replaced(job):
        return (replace(pod, finished_at=pod.deleted_at),)
    return (pod,) if pod.phase == FAILED else ()


def _failed_indexes(job: Job, failed: tuple[PodFact, ...], ignored: frozenset[str]) -> frozenset[int]:
    """Indexes that get no further pod: a FailIndex rule matched, or they used up backoffLimitPerIndex."""
    limit = job.spec.backoff_limit_per_index
    if limit is None or not job.indexed:
        return frozenset()
    policy = job.spec.pod_failure_policy
    count = Counter(pod.index for pod in failed if pod.index is not None and pod.uid not in ignored)
    over = {index for index, failures in count.items() if failures > limit}
    given_up = {pod.index for pod in failed if pod.index is not None and match(policy, pod).action == FAIL_INDEX}
    return frozenset(over | given_up)
