"""One run of manifests: the pods and Jobs of a user, from their first look to their last status.

The runner is the standalone stand-in for the API server with its Job controller: it makes pods, takes their status,
deletes them, and knows when all is over. What runs in the pods is the business of the node, which is the same here
as in a cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from vkprovider.core.exits import timestamp
from vkprovider.core.phase import OVER
from vkprovider.core.record import PodRecord
from vkprovider.model.job import Job, decode_job
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.model.refs import PodUID
from vkprovider.ports import Clock
from vkprovider.standalone.display import Display
from vkprovider.standalone.exit_code import exit_code
from vkprovider.standalone.job_controller import control
from vkprovider.standalone.job_view import JobDecision, JobRecord, JobView
from vkprovider.standalone.pod_facts import PodFact, read_pod
from vkprovider.standalone.run_store import RunDirectory
from vkprovider.standalone.sidecar_sets import SidecarSets

JOBS, FINAL = "jobs.json", "final.json"


class Node(Protocol):
    """The part of the node that a runner needs: ``node.dispatcher.Dispatcher`` has it."""

    def sync(self, pod: Pod, record: PodRecord | None = None) -> None: ...


class RunPod(msgspec.Struct, kw_only=True):
    """A pod as the run knows it. ``present`` until the node has said that nothing of it is left.

    ``grace`` is that with which the node has been told to remove what is left of it, in seconds. Only a pod that had
    not ended by then bears a deletion timestamp afterwards: to a Job, one that ended by itself and one that was ended
    are not the same.
    """

    raw: dict[str, Any]
    status: dict[str, Any] = {}
    present: bool = True
    grace: int | None = None

    @property
    def removing(self) -> bool:
        return self.grace is not None

    @property
    def over(self) -> bool:
        return self.status.get("phase") in OVER

    def full(self) -> dict[str, Any]:
        """The object with its last status."""
        return self.raw | {"status": self.status}


class RunJob(msgspec.Struct, kw_only=True):
    job: Job
    raw: dict[str, Any]
    record: JobRecord = JobRecord()
    decision: JobDecision | None = None

    @property
    def over(self) -> bool:
        return self.decision is not None and (self.decision.finished or bool(self.decision.blocked))

    def full(self) -> dict[str, Any]:
        return self.raw | {"status": self.decision.status if self.decision else {}}


class Runner:
    """Implements ``StatusSink``; the node's workers report to it."""

    def __init__(self, directory: RunDirectory, clock: Clock, display: Display) -> None:
        self.directory = directory
        self._clock = clock
        self._display = display
        self._jobs: list[RunJob] = []
        self._pods: dict[PodUID, RunPod] = {}
        self._changed = asyncio.Event()
        self._node: Node | None = None
        self._sidecars = SidecarSets(())
        self.interrupted: int | None = None  # the signal
        self.final: list[dict[str, Any]] = []
        self._stopping = False
        self._at_once = False

    # --- StatusSink -------------------------------------------------------------------------------------------

    def publish(self, pod: Pod, status: dict[str, Any]) -> None:
        self._pods[pod.uid].status = status
        self._changed.set()

    def gone(self, pod: Pod) -> None:
        self._pods[pod.uid].present = False
        self._changed.set()

    # --- the run ----------------------------------------------------------------------------------------------

    async def begin(self, node: Node, objects: Iterable[dict[str, Any]], sidecars: SidecarSets | None = None) -> None:
        """Take the Jobs and Pods on. Their uids are the run's own and do not change when the run is resumed.

        ``sidecars`` is what SidecarSets make of the pods.
        """
        self._node = node
        self._sidecars = sidecars or self._sidecars
        records = await asyncio.to_thread(self.directory.load, JOBS, dict[str, JobRecord]) or {}
        for raw in objects:
            if raw["kind"] == "Job":
                job = decode_job(raw)
                self._jobs.append(RunJob(job=job, raw=raw, record=records.get(job.uid, JobRecord())))
            elif PodUID(raw["metadata"]["uid"]) not in self._pods:
                self._start(raw)

    def resume(self, node: Node, raw: dict[str, Any], record: PodRecord) -> None:
        """Take on a pod that an interrupted run left behind, where it stands. To be called before ``begin``."""
        self._node = node
        pod = decode_pod(raw)
        grace = pod.metadata.deletion_grace_period_seconds
        self._pods[pod.uid] = RunPod(raw=raw, status=record.final or {}, grace=grace)
        node.sync(pod, record)

    async def until_over(self) -> None:
        """Until every Job is finished or cannot go on, and every pod has ended. Pods with policy Always end never."""
        while not await self._look():
            await self._wait()

    async def conclude(self, *, keep: bool) -> None:
        """All is over. Write down how it ended, so that a process that takes over has only to say it and to clean up;
        or, where containers are kept or the user has ended the run, that nobody is to take over any more.
        """
        self.final = self.jobs() + self.pods()
        if keep or self.interrupted is not None:
            await asyncio.to_thread(self.directory.mark_ended)
        else:
            await asyncio.to_thread(self.directory.save, FINAL, self.final)

    async def recall(self) -> bool:
        """Whether the run was over when the process that had it was killed; then ``final`` tells how it ended."""
        self.final = await asyncio.to_thread(self.directory.load, FINAL, list[dict[str, Any]]) or []
        return bool(self.final)

    def interrupt(self, signal: int) -> None:
        """The user wants it to end: in order."""
        self.interrupted = signal
        self.stop(at_once=False)

    def stop(self, *, at_once: bool) -> None:
        """Have everything end: in order, or by KILL."""
        self._stopping = True
        self._at_once = self._at_once or at_once
        self._changed.set()

    async def clear(self) -> None:
        """Have the node remove whatever is left of the run's pods."""
        for pod in self._pods.values():
            if pod.present and not pod.removing:
                self._delete(pod, _grace(pod))
        while any(pod.present for pod in self._pods.values()):
            if self._at_once:
                self._end_pods()
            await self._changed.wait()
            self._changed.clear()

    def jobs(self) -> list[dict[str, Any]]:
        return [job.full() for job in self._jobs]

    def pods(self) -> list[dict[str, Any]]:
        return [pod.full() for pod in self._pods.values()]

    def blocked(self) -> list[str]:
        """Why Jobs could not go on, a sentence each."""
        return [job.decision.blocked for job in self._jobs if job.decision is not None and job.decision.blocked]

    def exit_code(self) -> int:
        """The exit code of the run, once it is over."""
        jobs = [raw for raw in self.final if raw["kind"] == "Job"]
        return exit_code(jobs, [raw for raw in self.final if raw["kind"] == "Pod"])

    # --- one look ---------------------------------------------------------------------------------------------

    async def _look(self) -> bool:
        """Let every Job decide; True when all is over."""
        self._changed.clear()
        for job in self._jobs:
            await self._control(job)
        if self._stopping:
            self._end_pods()
        pods_over = all(pod.over or not pod.present for pod in self._pods.values())
        return pods_over and all(job.over for job in self._jobs)

    async def _control(self, job: RunJob) -> None:
        now = self._clock.now()
        view = JobView(job=job.job, now=now, pods=self._facts(job.job), record=job.record, cancelled=self._stopping)
        job.decision = decision = control(view)
        if decision.record != job.record:
            job.record = decision.record
            await asyncio.to_thread(self.directory.save, JOBS, {j.job.uid: j.record for j in self._jobs})
        for raw in decision.create:
            if PodUID(raw["metadata"]["uid"]) not in self._pods:
                self._start(raw)
        for deletion in decision.delete:
            pod = self._pods[PodUID(deletion.uid)]
            if not pod.removing:
                self._delete(pod, deletion.grace_seconds)
        if decision.gone:
            for fact in view.pods:
                pod = self._pods[fact.pod.uid]
                if pod.present and not pod.removing:
                    self._delete(pod, 0)
        self._display.job(job.full())
        for event in decision.events:
            self._display.job_event(job.job.metadata.name, event)

    def _end_pods(self) -> None:
        """End the pods that no Job has ended just now: one that is cancelled ends its own, and replaces none."""
        for pod in self._pods.values():
            if pod.present and (pod.grace != 0 if self._at_once else not (pod.removing or pod.over)):
                self._delete(pod, 0 if self._at_once else _grace(pod))

    def _facts(self, job: Job) -> tuple[PodFact, ...]:
        owned = (pod for pod in self._pods.values() if _owner(pod.raw) == job.uid)
        return tuple(read_pod(pod.full()) for pod in owned)

    def _start(self, raw: dict[str, Any]) -> None:
        assert self._node is not None
        admitted = self._sidecars.admitted(raw, self._clock.now())
        pod = decode_pod(admitted)
        self._pods[pod.uid] = RunPod(raw=admitted)
        self._node.sync(pod)

    def _delete(self, pod: RunPod, grace_seconds: int) -> None:
        assert self._node is not None
        at = timestamp(self._clock.now() + timedelta(seconds=grace_seconds))
        marks = {"deletionTimestamp": at, "deletionGracePeriodSeconds": grace_seconds}
        marked = pod.raw | {"metadata": pod.raw["metadata"] | marks}
        pod.grace = grace_seconds
        if not pod.over:
            pod.raw = marked
        self._node.sync(decode_pod(marked))

    async def _wait(self) -> None:
        timeout = None
        wake_at = self._wake_at()
        if wake_at is not None:
            timeout = max(0.0, (wake_at - self._clock.now()).total_seconds())
        try:
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        except TimeoutError:
            return

    def _wake_at(self) -> datetime | None:
        times = (job.decision.wake_at for job in self._jobs if job.decision is not None)
        return min((at for at in times if at is not None), default=None)


def _grace(pod: RunPod) -> int:
    return int(pod.raw["spec"].get("terminationGracePeriodSeconds", 30))


def _owner(raw: dict[str, Any]) -> str | None:
    references = raw["metadata"].get("ownerReferences") or ()
    return next((ref["uid"] for ref in references if ref.get("controller")), None)
