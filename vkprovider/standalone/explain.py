"""What a container does now, what was done to it in the end and why, and how a pod and a Job came out: in words.

These texts are for people and for grep alike, and the same on a terminal, in plain lines and in the picture.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from vkprovider.core.sidecars import Kind
from vkprovider.standalone.chronicle import (
    ContainerStory,
    EndedBy,
    Instance,
    JobStory,
    PodStory,
    State,
)
from vkprovider.standalone.wording import age_text, seconds_text, times_text

_HALF_A_SECOND = timedelta(seconds=0.5)  # a countdown is rounded, an age cut


class Tone(StrEnum):
    """How a state is to be taken."""

    WAITING = "waiting"
    BUSY = "busy"
    RUNNING = "running"
    DONE = "done"
    BAD = "bad"


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """How a container stands: one word, what there is to add, and what is wrong, if anything."""

    word: str
    tone: Tone
    detail: str = ""
    trouble: str = ""


def condition(container: ContainerStory, now: datetime) -> Condition:
    """How a container stands at ``now``."""
    newest, stopping = container.newest, container.stopping
    if container.pulling is not None:
        return Condition(word="Pulling", tone=Tone.BUSY)
    if stopping is not None:
        return _stopping(stopping, now)
    if container.state is State.RUNNING:
        return _running(container)
    if container.state is State.TERMINATED:
        return _terminated(container)
    backing_off = container.reason == "CrashLoopBackOff"
    bad = backing_off or container.reason.startswith("Err") or container.reason.endswith(("BackOff", "Error"))
    details = []
    if container.waits_for:
        details.append(f"waits for {container.waits_for}")
    if backing_off and newest is not None:
        details.append(exit_text(newest))
    return Condition(
        word=container.reason or "Waiting",
        tone=Tone.BAD if bad or (container.reason and container.message) else Tone.WAITING,
        detail=_joined(*details, _restarts(container)),
        trouble="" if backing_off else container.message or container.warning,
    )


def exit_text(instance: Instance) -> str:
    """``exit 0``, or with forgiveness the true and the published code: ``exit 137 -> 0``."""
    return f"exit {_codes(instance)}"


def _codes(instance: Instance) -> str:
    true = instance.published_code if instance.exit_code is None else instance.exit_code
    if true is None:
        return "code unknown"
    return f"{true} -> {instance.published_code}" if instance.forgiven else str(true)


def _stopping(instance: Instance, now: datetime) -> Condition:
    if instance.kill is not None:
        return Condition(word="Killing", tone=Tone.BAD, detail="KILL sent")
    due = ""
    if instance.kill_due is not None:
        due = f"KILL in {age_text(instance.kill_due - now + _HALF_A_SECOND)}"
    if instance.term is not None:
        sent = f"{instance.signal} {age_text(now - instance.term)} ago"
        return Condition(word="Stopping", tone=Tone.BUSY, detail=_joined(sent, due))
    if instance.hook:
        return Condition(word="Stopping", tone=Tone.BUSY, detail=_joined("preStop hook", due))
    return Condition(word="Running", tone=Tone.RUNNING, detail="waits for its turn to stop")


def _running(container: ContainerStory) -> Condition:
    counts_ready = container.kind is not Kind.INIT
    trouble = container.warning if counts_ready and not container.ready else ""
    if not container.started:
        detail = _joined("not started yet", _restarts(container))
        return Condition(word="Starting", tone=Tone.BUSY, detail=detail, trouble=trouble)
    detail = _joined("not ready" if counts_ready and not container.ready else "", _restarts(container))
    return Condition(word="Running", tone=Tone.RUNNING, detail=detail, trouble=trouble)


def _terminated(container: ContainerStory) -> Condition:
    newest = container.newest
    detail, trouble = (exit_text(newest), newest.start_error) if newest is not None else ("", container.message)
    fine = container.reason == "Completed"
    return Condition(
        word=container.reason or "Terminated",
        tone=Tone.DONE if fine else Tone.BAD,
        detail=_joined(detail, _restarts(container)),
        trouble=trouble,
    )


def _restarts(container: ContainerStory) -> str:
    return f"restarted {times_text(container.restarts)}" if container.restarts else ""


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


# --- afterwards ----------------------------------------------------------------------------------------------------


def ending_text(container: ContainerStory) -> str:
    """What was done to a container and what came of it: ``sidecar: ignored TERM for 30 s, killed, 137 -> 0``."""
    newest = container.newest
    if newest is None:
        return f"{container.name}: {_never_started(container)}"
    earlier = container.instances[:-1]
    history = f", restarted {times_text(len(earlier))} ({_reasons(earlier)})" if earlier else ""
    return f"{container.name}: {_end_of(container, newest)}{history}"


def _never_started(container: ContainerStory) -> str:
    if container.waits_for:
        return f"never started: {container.waits_for} was not started"
    reason = _colon(container.reason, container.message)
    return f"never started: {reason}" if container.message else "never started"


def _end_of(container: ContainerStory, instance: Instance) -> str:
    finished = instance.finished
    if finished is None:
        return "still running"
    if instance.start_error:
        return f"could not start: {instance.start_error}"
    match instance.ended_by:
        case EndedBy.KILL:
            return f"{_killed(instance)}, {_codes(instance) if instance.forgiven else exit_text(instance)}"
        case EndedBy.TERM if instance.term is not None:
            after = f"ended {seconds_text(finished - instance.term)} after {instance.signal}"
            return after + _with_code(instance)
    if instance.hook:
        return "ended during its preStop hook" + _with_code(instance)
    ran = seconds_text(finished - (instance.started or instance.created))
    prefix = "out of memory, " if instance.oom_killed else ""
    if container.sidecar:
        return f"{prefix}ended by itself after {ran}" + _with_code(instance)
    return f"{prefix}{exit_text(instance)} after {ran}"


def _killed(instance: Instance) -> str:
    """By the deadline rather than by the clock: the grace is what was granted, wake-up times are noise."""
    if instance.term is None or instance.kill is None:
        return "killed at once"
    due = instance.kill_due if instance.kill_due is not None else instance.kill
    return f"ignored {instance.signal} for {seconds_text(due - instance.term)}, killed"


def _with_code(instance: Instance) -> str:
    if instance.exit_code is None:
        return ", code unknown"
    return f" with code {instance.exit_code}" + (f", {_codes(instance)}" if instance.forgiven else "")


def _reasons(instances: tuple[Instance, ...]) -> str:
    return ", ".join(_STOPS.get(i.stop_cause) or exit_text(i) for i in instances)


_STOPS = {
    "liveness": "liveness probe failed",
    "startup": "startup probe failed",
    "definition": "image changed",
    "hook": "postStart hook failed",
    "sandbox": "sandbox lost",
}


def pod_text(pod: PodStory, now: datetime) -> str:
    """How a pod came out: ``Pod web: Failed, app exit 3 (12.1 s)``."""
    blamed = [
        f"{c.name} {exit_text(c.newest)}"
        for c in pod.containers
        if pod.phase == "Failed" and not c.sidecar and c.newest is not None and c.newest.exit_code
    ]
    parts = _joined(pod.phase, pod.reason, *blamed)
    return f"Pod {pod.name}: {parts} ({seconds_text((pod.ended or now) - pod.began)})"


def job_text(job: JobStory, now: datetime) -> str:
    """How a Job came out: ``Job test: Complete, 1 succeeded, 0 failed (41.2 s)``."""
    word = job.condition or ("Suspended" if job.suspended else "not finished")
    reason = job.reason if job.condition == "Failed" else ""
    counts = f"{job.succeeded} succeeded, {job.failed} failed"
    return f"Job {job.name}: {_joined(word, reason, counts)} ({seconds_text((job.ended or now) - job.began)})"


def _colon(*parts: str) -> str:
    return ": ".join(part for part in parts if part)
