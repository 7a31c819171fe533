"""Which pods a Job lacks, and when they may be made: re-creation backs off 10 s, 20 s, ... 10 min after failures."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice

import msgspec

from vkprovider.model.job import Job
from vkprovider.standalone.job_tally import Tally, only_failed_are_replaced
from vkprovider.standalone.pod_facts import PodFact

FIRST_SECONDS = 10
MOST_SECONDS = 600


class Lack(msgspec.Struct, frozen=True, kw_only=True):
    """The pods to make now, by index (None without one), and when the next may be made if some must wait."""

    places: tuple[int | None, ...] = ()
    retry_at: datetime | None = None


def find_lack(job: Job, tally: Tally, now: datetime) -> Lack:
    """What is missing of the pods that should be active (job_controller.go manageJob)."""
    missing = _wanted(job, tally) - len(tally.active)
    if only_failed_are_replaced(job):
        missing -= len(tally.leaving)
    if missing <= 0:
        return Lack()
    if job.indexed and job.spec.backoff_limit_per_index is not None:
        return _by_index(job, tally, missing, now)
    retry_at = retry_time(tally.succeeded, tally.failed)
    if retry_at is not None and retry_at > now:
        return Lack(retry_at=retry_at)
    return Lack(places=_places(job, tally, missing))


def retry_time(succeeded: Iterable[PodFact], failed: Iterable[PodFact]) -> datetime | None:
    """When the next pod may follow the failures since the last success; None if there are none of them.

    pkg/controller/job/backoff_utils.go. Failures that a pod failure policy ignores count here.
    """
    last_success = max((pod.finished_at for pod in succeeded), default=None)
    ends = [pod.finished_at for pod in failed if last_success is None or pod.finished_at > last_success]
    if not ends:
        return None
    doublings = min(len(ends) - 1, 6)
    return max(ends) + timedelta(seconds=min(FIRST_SECONDS << doublings, MOST_SECONDS))


def _wanted(job: Job, tally: Tally) -> int:
    """How many pods should be active. A work queue gets no new pods after its first success."""
    if job.spec.completions is None:
        return len(tally.active) if tally.successes else job.spec.parallelism
    return min(job.spec.parallelism, job.spec.completions - tally.successes)


def _by_index(job: Job, tally: Tally, missing: int, now: datetime) -> Lack:
    """Each index backs off by itself. An index that must wait keeps its turn: later ones do not overtake it."""
    times = {index: _retry_time_of(tally, index) for index in _pending(job, tally, missing)}
    ready = tuple(index for index, at in times.items() if at is None or at <= now)
    return Lack(places=ready, retry_at=min((at for at in times.values() if at is not None and at > now), default=None))


def _retry_time_of(tally: Tally, index: int) -> datetime | None:
    return retry_time((), [pod for pod in tally.failed if pod.index == index])


def _places(job: Job, tally: Tally, missing: int) -> tuple[int | None, ...]:
    return tuple(_pending(job, tally, missing)) if job.indexed else (None,) * missing


def _pending(job: Job, tally: Tally, most: int) -> Iterable[int]:
    """The lowest indexes that are neither decided nor taken."""
    taken = {pod.index for pod in tally.active}
    if only_failed_are_replaced(job):
        taken |= {pod.index for pod in tally.leaving}
    closed = taken | tally.completed | tally.failed_indexes
    return islice((i for i in range(job.spec.completions or 0) if i not in closed), most)
