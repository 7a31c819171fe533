"""Jobs and pods to decide about, with times in seconds after one fixed instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from vkprovider.core.exits import timestamp
from vkprovider.model.job import Job, decode_job
from vkprovider.standalone.job_controller import control
from vkprovider.standalone.job_template import Place, make_pod
from vkprovider.standalone.job_view import JobDecision, JobRecord, JobView
from vkprovider.standalone.pod_facts import PodFact, read_pod

START = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)
JOB_UID = "2f0f8a4e-6f5c-4b7a-9a53-0d9c5a3f1e11"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def after_start(moment: datetime | None) -> float | None:
    """Seconds after the fixed instant, the inverse of ``at``."""
    return None if moment is None else (moment - START).total_seconds()


def job_raw(
    *, restart: str = "Never", containers: tuple[str, ...] = ("app",), name: str = "work", **spec: Any
) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"team": "blue"}},
        "spec": {
            "restartPolicy": restart,
            "terminationGracePeriodSeconds": 5,
            "containers": [{"name": container, "image": "busybox"} for container in containers],
        },
    }
    metadata = {"name": name, "namespace": "default", "uid": JOB_UID}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template} | spec}


def job(**spec: Any) -> Job:
    return decode_job(job_raw(**spec))


def ended(code: int, seconds: float, reason: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "finishedAt": timestamp(at(seconds))}}


def pod_raw(
    owner: Job,
    ordinal: int,
    phase: str = "Running",
    *,
    index: int | None = None,
    code: int | None = None,
    end: float = 0,
    created: float = 0,
    deleted: float | None = None,
    restarts: int = 0,
    ready: bool = False,
    condition: str = "",
) -> dict[str, Any]:
    """One pod of the Job. ``code`` of its app, which ended at ``end``; 0 or 1 by phase if it is not given."""
    raw = make_pod(owner, Place(ordinal=ordinal, index=index), at(created))
    state: dict[str, Any] = {"running": {}}
    if phase in ("Succeeded", "Failed"):
        state = ended(int(phase == "Failed") if code is None else code, end)
    app = {"name": "app", "restartCount": restarts, "state": state}
    conditions = [{"type": "Ready", "status": "True"}] if ready else []
    conditions += [{"type": condition, "status": "True"}] if condition else []
    raw["status"] = {"phase": phase, "containerStatuses": [app], "conditions": conditions}
    if deleted is not None:
        grace = raw["spec"]["terminationGracePeriodSeconds"]
        raw["metadata"]["deletionTimestamp"] = timestamp(at(deleted + grace))
        raw["metadata"]["deletionGracePeriodSeconds"] = grace
    return raw


def pod(owner: Job, ordinal: int, phase: str = "Running", **facts: Any) -> PodFact:
    return read_pod(pod_raw(owner, ordinal, phase, **facts))


def decide(
    owner: Job, *pods: PodFact, now: float = 0, record: JobRecord | None = None, cancelled: bool = False
) -> JobDecision:
    """One look at a Job that was started at second 0, unless its record says otherwise."""
    known = record if record is not None else JobRecord(start_time=START)
    return control(JobView(job=owner, now=at(now), pods=pods, record=known, cancelled=cancelled))


def ends(decision: JobDecision) -> list[tuple[str, str]]:
    """The conditions as (type, reason), those that are not true marked."""
    listed = decision.status.get("conditions", [])
    return [(("" if c["status"] == "True" else "not ") + c["type"], c["reason"]) for c in listed]


def indexes(decision: JobDecision) -> list[int]:
    """The completion indexes of the pods to create."""
    found = [read_pod(raw).index for raw in decision.create]
    return [index for index in found if index is not None]


def said(decision: JobDecision) -> list[str]:
    return [event.reason for event in decision.events]


LIMIT = "BackoffLimitExceeded"
POLICY = "PodFailurePolicy"
INDEXED: dict[str, Any] = {"completionMode": "Indexed"}
PER_INDEX: dict[str, Any] = INDEXED | {"backoffLimitPerIndex": 1}

Pods = list[tuple[Any, ...]]  # (phase, facts), the ordinal is the place in the list


def pods_of(owner: Job, described: Pods) -> list[PodFact]:
    return [pod(owner, n, phase, **(facts[0] if facts else {})) for n, (phase, *facts) in enumerate(described)]


def failing(reason: str) -> list[tuple[str, str]]:
    return [("FailureTarget", reason), ("Failed", reason)]


def succeeding(reason: str) -> list[tuple[str, str]]:
    return [("SuccessCriteriaMet", reason), ("Complete", reason)]


OK, RUNS = ("Succeeded",), ("Running",)


def bad(end: float, **facts: Any) -> tuple[str, dict[str, Any]]:
    return ("Failed", {"end": end} | facts)


def place(phase: str, index: int, **facts: Any) -> tuple[str, dict[str, Any]]:
    return (phase, {"index": index} | facts)


def rules(*listed: dict[str, Any]) -> dict[str, Any]:
    return {"podFailurePolicy": {"rules": list(listed)}}


def codes(action: str, *values: int) -> dict[str, Any]:
    return {"action": action, "onExitCodes": {"operator": "In", "values": values}}


def enough(**rule: Any) -> dict[str, Any]:
    return {"completions": 4, "parallelism": 4, "successPolicy": {"rules": [rule]}} | INDEXED
