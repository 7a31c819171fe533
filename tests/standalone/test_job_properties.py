"""``control`` in a world that does anything pods can do, with a kill -9 between any two writes."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.standalone.job_given import after_start, at, ended, job_raw, said
from vkprovider.core.exits import timestamp
from vkprovider.model.job import Job, decode_job
from vkprovider.standalone.job_controller import control
from vkprovider.standalone.job_tally import only_failed_are_replaced
from vkprovider.standalone.job_view import JobDecision, JobRecord, JobView
from vkprovider.standalone.pod_facts import PodFact, read_pod

CODES = st.sampled_from([1, 42, 43])
TERMINAL = {"Complete", "Failed"}


@st.composite
def job_specs(draw: st.DrawFn) -> dict[str, Any]:
    indexed = draw(st.booleans())
    completions = st.integers(1, 4) if indexed else st.none() | st.integers(1, 4)
    spec: dict[str, Any] = {
        "completions": draw(completions),
        "parallelism": draw(st.integers(1, 3)),
        "completionMode": "Indexed" if indexed else "NonIndexed",
        "backoffLimit": draw(st.none() | st.integers(0, 3)),
        "activeDeadlineSeconds": draw(st.sampled_from([None, None, None, 15, 90])),
        "podReplacementPolicy": draw(st.sampled_from([None, "Failed", "TerminatingOrFailed"])),
        "ttlSecondsAfterFinished": draw(st.none() | st.integers(0, 5)),
        "restart": draw(st.sampled_from(["Never", "OnFailure"])),
    }
    actions = ["FailJob", "Ignore", "Count"]
    if indexed:
        spec["backoffLimitPerIndex"] = draw(st.none() | st.integers(0, 1))
        limited = spec["backoffLimitPerIndex"] is not None
        spec["maxFailedIndexes"] = draw(st.none() | st.integers(0, 2)) if limited else None
        spec["successPolicy"] = draw(
            st.sampled_from(
                [None, {"rules": [{"succeededIndexes": "0-1", "succeededCount": 1}, {"succeededCount": 3}]}]
            )
        )
        actions += ["FailIndex"] if limited else []
    if draw(st.booleans()):
        rule = {"action": draw(st.sampled_from(actions)), "onExitCodes": {"operator": "In", "values": [42]}}
        spec |= {"podFailurePolicy": {"rules": [rule]}, "podReplacementPolicy": "Failed", "restart": "Never"}
    return {key: value for key, value in spec.items() if value is not None}


class Disk:
    """All that survives a kill -9: the record, and the pods with their last status."""

    def __init__(self) -> None:
        self.record = b"{}"
        self.pods: dict[str, dict[str, Any]] = {}

    def view(self, job: Job, now: float, cancelled: bool) -> JobView:
        pods = tuple(read_pod(raw) for raw in self.pods.values())
        record = msgspec.json.decode(self.record, type=JobRecord)
        return JobView(job=job, now=at(now), pods=pods, record=record, cancelled=cancelled)

    def write(self, decision: JobDecision, now: float, most: int | None = None) -> None:
        """Carry out the decision in the order its caller must, or only the first ``most`` writes of it."""
        writes = [lambda: setattr(self, "record", msgspec.json.encode(decision.record))]
        writes += [lambda raw=raw: self.pods.setdefault(raw["metadata"]["uid"], raw) for raw in decision.create]
        writes += [lambda d=d: self.delete(d.uid, now, d.grace_seconds) for d in decision.delete]
        for write in writes[:most]:
            write()

    def delete(self, uid: str, now: float, grace: int = 5) -> None:
        meta = self.pods[uid]["metadata"]
        meta |= {"deletionTimestamp": timestamp(at(now + grace)), "deletionGracePeriodSeconds": grace}

    def end(self, uid: str, code: int, now: float) -> None:
        self.pods[uid]["status"] = {
            "phase": "Failed" if code else "Succeeded",
            "containerStatuses": [{"name": "app", "state": ended(code, now)}],
        }


class JobMachine(RuleBasedStateMachine):
    @initialize(spec=job_specs())
    def begin(self, spec: dict[str, Any]) -> None:
        self.raw = job_raw(**spec)
        self.disk = Disk()
        self.now = 0.0
        self.cancelled = False
        self.last: JobDecision | None = None
        self.counts = (0, 0)
        self.finishes = 0

    # --- what the shell does --------------------------------------------------------------------------------------

    @property
    def job(self) -> Job:
        return decode_job(self.raw)

    def view(self) -> JobView:
        return self.disk.view(self.job, self.now, self.cancelled)

    @rule()
    def look(self) -> None:
        view = self.view()
        decision = control(view)
        assert control(msgspec.structs.replace(view, pods=view.pods[::-1])) == decision
        self.check_creation(view, decision)
        self.disk.write(decision, self.now)
        self.check_status(decision)
        self.last = decision

    @rule(most=st.integers(0, 4))
    def look_with_a_crash(self, most: int) -> None:
        """Some of the writes of a decision, then a new look: the disk ends as if nothing had happened."""
        decision = control(self.view())
        whole = copy.deepcopy(self.disk)
        whole.write(decision, self.now)
        self.disk.write(decision, self.now, most)
        self.look()
        assert self.disk.pods == whole.pods
        assert msgspec.json.decode(self.disk.record) == msgspec.json.decode(whole.record)

    # --- what the world does --------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.3, 1, 10, 25]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def time_to_wake(self) -> None:
        wake = after_start(self.last.wake_at) if self.last is not None else None
        self.now = max(self.now, wake or 0)

    def some(self, data: st.DataObject, *, deleting: bool | None = None) -> str | None:
        """A pod that has not ended."""
        alive = [p.uid for p in self.view().pods if not p.ended and deleting in (None, p.deleting)]
        return data.draw(st.sampled_from(alive)) if alive else None

    @rule(data=st.data(), code=st.just(0) | CODES)
    def a_pod_ends(self, data: st.DataObject, code: int) -> None:
        uid = self.some(data)
        if uid is not None:
            self.disk.end(uid, code, self.now)

    @rule(data=st.data(), ready=st.booleans(), restarts=st.integers(0, 1))
    def a_pod_runs(self, data: st.DataObject, ready: bool, restarts: int) -> None:
        uid = self.some(data)
        if uid is not None:
            running = {"name": "app", "restartCount": restarts, "state": {"running": {}}}
            conditions = [{"type": "Ready", "status": str(ready)}]
            self.disk.pods[uid]["status"] = {
                "phase": "Running",
                "containerStatuses": [running],
                "conditions": conditions,
            }

    @rule(data=st.data())
    def a_pod_is_deleted_by_somebody_else(self, data: st.DataObject) -> None:
        uid = self.some(data, deleting=False)
        if uid is not None:
            self.disk.delete(uid, self.now)

    @rule()
    def the_job_is_suspended_or_resumed(self) -> None:
        self.raw["spec"]["suspend"] = not self.raw["spec"].get("suspend", False)

    @precondition(lambda self: self.now > 60)
    @rule()
    def the_user_cancels(self) -> None:
        self.cancelled = True

    # --- what must hold -------------------------------------------------------------------------------------------

    def check_creation(self, view: JobView, decision: JobDecision) -> None:
        made = [read_pod(raw) for raw in decision.create]
        assert not {p.uid for p in made} & self.disk.pods.keys()
        names = [p.name for p in made + list(view.pods)]
        assert len(names) == len(set(names))
        if made:
            assert not decision.finished
            assert not decision.record.cancelled
            assert not self.job.spec.suspend
            assert decision.record.outcome is None
        if self.job.indexed:
            out = set(decision.record.dismissed)
            completed = {p.index for p in view.pods if p.phase == "Succeeded" and not p.deleting and p.uid not in out}
            assert not completed & {p.index for p in made}

    def check_status(self, decision: JobDecision) -> None:
        pods = self.view().pods
        active = [p for p in pods if not p.ended and not p.deleting]
        status = decision.status
        assert status.get("active", 0) == len(active)
        assert status["terminating"] == sum(not p.ended and p.deleting for p in pods)
        counts = status.get("succeeded", 0), status.get("failed", 0)
        assert counts >= (self.counts[0], self.counts[1])
        assert counts[1] >= self.counts[1]
        self.counts = counts
        terminal = [c["type"] for c in status.get("conditions", []) if c["type"] in TERMINAL]
        assert len(terminal) == (decision.record.finished_at is not None)
        if decision.finished:
            assert all(p.ended for p in pods)
        self.finishes += sum(
            reason == "Completed" or reason in (terminal and self.reasons(status)) for reason in said(decision)
        )
        assert self.finishes <= 1
        waits = active or status["terminating"] or decision.wake_at is not None
        assert waits or decision.finished or decision.blocked

    @staticmethod
    def reasons(status: dict[str, Any]) -> set[str]:
        return {c["reason"] for c in status["conditions"] if c["type"] == "Failed"}

    @invariant()
    def never_more_pods_than_the_job_wants(self) -> None:
        spec, pods = self.job.spec, self.view().pods
        alive = [p for p in pods if not p.ended]
        active = [p for p in alive if not p.deleting]
        assert len(active) <= spec.parallelism
        if only_failed_are_replaced(self.job):
            assert len(alive) <= spec.parallelism
        if self.job.indexed:
            assert max(Counter(p.index for p in active).values(), default=0) <= 1
            assert {p.index for p in pods} <= set(range(spec.completions or 0))
        elif spec.completions is not None and self.last is not None:
            assert self.counts[0] <= spec.completions

    def teardown(self) -> None:
        """From any state the Job comes to its end once its pods succeed, in exactly one way."""
        if not hasattr(self, "disk"):
            return
        self.raw["spec"]["suspend"] = False
        for _ in range(40):
            self.look()
            assert self.last is not None
            if self.last.finished:
                break
            for pod in self.alive():
                self.disk.end(pod.uid, 0, self.now)
            self.time_to_wake()
            self.now += 1
        assert self.last is not None
        assert self.last.finished
        ends = [c["type"] for c in self.last.status.get("conditions", []) if c["type"] in TERMINAL]
        assert len(ends) == (0 if self.last.record.outcome is None else 1)
        assert self.last.record.cancelled or ends
        before = self.last
        self.look()
        assert (self.last.record, self.last.status) == (before.record, before.status)

    def alive(self) -> list[PodFact]:
        return [p for p in self.view().pods if not p.ended]


TestJob = JobMachine.TestCase
TestJob.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
