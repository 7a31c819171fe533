"""How a ``Chronicle`` grows: by a look, a piece of pull progress, a Job's status. Pure.

Times of containers are the engine's. Times of signals are those of the decision to send them, taken from the action
itself; where a run was taken up again after a crash, from the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from vkprovider.core.actions import (
    POD,
    Decision,
    News,
    PodEvent,
    PullDone,
    PullImage,
    PullStarted,
    SignalContainer,
    StartFailed,
)
from vkprovider.core.phase import OVER
from vkprovider.core.record import Failure, Stop
from vkprovider.core.sidecars import Kind, Role, Roles, classify
from vkprovider.core.standing import PRE_STOP, hook_key
from vkprovider.core.stop_steps import KILL_AGAIN, LEAST_WINDOW
from vkprovider.core.view import PodView
from vkprovider.model.engine import PullProgress
from vkprovider.model.observed import ContainerState, Run
from vkprovider.model.pod import Pod
from vkprovider.standalone.chronicle import Chronicle, ContainerStory, Instance, JobStory, PodStory, Pull, State


def fold_look(chronicle: Chronicle, view: PodView, decision: Decision) -> Chronicle:
    """Add what a worker saw and decided in one look at its pod."""
    pod = view.pod
    before = chronicle.pod(pod.uid) or PodStory(
        uid=pod.uid,
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        job=_owning_job(pod),
        began=view.now,
    )
    status = decision.status
    phase = status.get("phase", "Pending")
    ended = before.ended or (view.now if phase in OVER or decision.gone else None)
    containers = tuple(
        _container(before.container(role.name), role, view, decision) for role in start_order(classify(pod))
    )
    story = msgspec.structs.replace(
        before,
        phase=phase,
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        warning=_last_warning(decision, "") or before.warning,
        ended=ended,
        containers=containers if decision.record.ending is not None else _held_back(containers),
    )
    if story.job and chronicle.job(story.namespace, story.job) is None:
        chronicle = chronicle.with_job(JobStory(namespace=story.namespace, name=story.job, began=story.began))
    return chronicle.with_pod(story)


def fold_progress(chronicle: Chronicle, pod: Pod, name: str, progress: PullProgress) -> Chronicle:
    """Add how far a pull is. Progress of a pull that is not known to go on says nothing."""
    story = chronicle.pod(pod.uid)
    container = story.container(name) if story is not None else None
    if story is None or container is None or container.pulling is None:
        return chronicle
    pull = msgspec.structs.replace(
        container.pulling, current_bytes=progress.current_bytes, total_bytes=progress.total_bytes
    )
    changed = msgspec.structs.replace(container, pulls=(*container.pulls[:-1], pull))
    return chronicle.with_pod(_with_container(story, changed))


def fold_job(chronicle: Chronicle, raw: Mapping[str, Any], now: datetime) -> Chronicle:
    """Add a Job object as it stands now."""
    meta, spec, status = raw.get("metadata", {}), raw.get("spec", {}), raw.get("status", {})
    namespace, name = meta.get("namespace", "default"), meta.get("name", "")
    before = chronicle.job(namespace, name)
    ended = next(
        (
            c
            for c in status.get("conditions") or ()
            if c.get("type") in ("Complete", "Failed") and c.get("status") == "True"
        ),
        None,
    )
    story = JobStory(
        namespace=namespace,
        name=name,
        began=before.began if before is not None else now,
        ended=(before.ended if before is not None else None) or (now if ended else None),
        completions=spec.get("completions"),
        active=status.get("active") or 0,
        succeeded=status.get("succeeded") or 0,
        failed=status.get("failed") or 0,
        condition=ended.get("type", "") if ended else "",
        reason=ended.get("reason", "") if ended else "",
        message=ended.get("message", "") if ended else "",
        suspended=spec.get("suspend") is True,
    )
    return chronicle.with_job(story)


def start_order(roles: Roles) -> tuple[Role, ...]:
    """All containers in the order in which they are started."""
    waves = roles.marked_waves() + roles.app_waves()
    return roles.inits + tuple(role for wave in waves for role in wave)


def container_of(event: PodEvent) -> str:
    """The name of the container an event is about, "" for the pod."""
    _, brace, rest = event.field_path.partition("{")
    return rest.removesuffix("}") if brace else ""


def _owning_job(pod: Pod) -> str:
    return next((o.name for o in pod.metadata.owner_references if o.kind == "Job"), "")


def _with_container(story: PodStory, changed: ContainerStory) -> PodStory:
    containers = tuple(changed if c.name == changed.name else c for c in story.containers)
    return msgspec.structs.replace(story, containers=containers)


def _last_warning(decision: Decision, name: str) -> str:
    """The last Warning event of this look about a container, or with "" about the pod itself."""
    about = [e for e in decision.events if e.type == "Warning" and container_of(e) == name]
    return f"{about[-1].reason}: {about[-1].message}" if about else ""


def _container(before: ContainerStory | None, role: Role, view: PodView, decision: Decision) -> ContainerStory:
    earlier = before
    before = before or ContainerStory(name=role.name, kind=role.kind, why=role.why)
    published = _published(decision.status, role)
    state, detail = _published_state(published)
    instances = _instances(before.instances, role, view, decision, published)
    if state is State.TERMINATED and not instances and earlier is not None:
        detail = _why_it_never_ran(earlier, view.memory.failures.get(POD)) or detail | {"message": ""}
    return msgspec.structs.replace(
        before,
        image=role.container.image,
        state=state,
        reason=detail.get("reason", ""),
        message=detail.get("message", ""),
        started=published.get("started") is True,
        ready=published.get("ready") is True,
        restarts=published.get("restartCount", 0),
        waits_for=before.waits_for if decision.record.ending is not None else "",  # what it waited for, in the end
        warning=_last_warning(decision, role.name) or (before.warning if before.state is state else ""),
        pulls=_pulls(before.pulls, role.name, view, decision),
        instances=instances,
    )


def _why_it_never_ran(before: ContainerStory, failure: Failure | None) -> dict[str, str]:
    """What it waited for as long as its pod was wanted, where that is known; its status does not tell any more."""
    if before.message:
        return {"reason": before.reason, "message": before.message}
    return {"reason": failure.reason, "message": failure.message} if failure is not None else {}


def _published_state(published: Mapping[str, Any]) -> tuple[State, dict[str, Any]]:
    states: Mapping[str, dict[str, Any]] = published.get("state") or {}
    word, detail = next(iter(states.items()), (State.WAITING, {}))
    return State(word), detail


def _published(status: Mapping[str, Any], role: Role) -> dict[str, Any]:
    """The container's v1.ContainerStatus, {} as long as there is none."""
    statuses = status.get("containerStatuses" if role.regular else "initContainerStatuses") or ()
    return next((s for s in statuses if s.get("name") == role.name), {})


def _held_back(containers: tuple[ContainerStory, ...]) -> tuple[ContainerStory, ...]:
    """Say of each container that waits for nothing of its own which one before it it waits for."""
    blocker, told = "", []
    for container in containers:
        held = container.state is State.WAITING and not container.instances and container.pulling is None
        told.append(msgspec.structs.replace(container, waits_for=blocker) if held and blocker else container)
        blocker = blocker or ("" if _lets_pass(container) else container.name)
    return tuple(told)


def _lets_pass(container: ContainerStory) -> bool:
    """Whether containers later in the start order need not wait for this one."""
    if container.kind is Kind.INIT:
        newest = container.newest
        return container.state is State.TERMINATED and newest is not None and newest.exit_code == 0
    return not container.sidecar or container.kind is Kind.JOB or container.started


# --- pulls ---------------------------------------------------------------------------------------------------------


def _pulls(pulls: tuple[Pull, ...], name: str, view: PodView, decision: Decision) -> tuple[Pull, ...]:
    for news in view.news:
        if news.key == name:
            pulls = _with_news(pulls, news, view.now)
    cancelled = name in decision.cancel and isinstance(view.in_flight.get(name), PullImage)
    if pulls and pulls[-1].ended is None and (cancelled or decision.gone):
        return _closed(pulls, view.now, "")
    return pulls


def _with_news(pulls: tuple[Pull, ...], news: News, now: datetime) -> tuple[Pull, ...]:
    under_way = bool(pulls) and pulls[-1].ended is None
    match news:
        case PullStarted() if not under_way:
            return (*pulls, Pull(image=news.image, began=now))
        case PullDone(seconds=float() as seconds) if not under_way:
            return (*pulls, Pull(image=news.image, began=now - timedelta(seconds=seconds), ended=now))
        case PullDone() if under_way:
            return _closed(pulls, now, "")
        case StartFailed() if under_way:
            return _closed(pulls, now, news.message)
    return pulls


def _closed(pulls: tuple[Pull, ...], now: datetime, error: str) -> tuple[Pull, ...]:
    return (*pulls[:-1], msgspec.structs.replace(pulls[-1], ended=now, error=error))


# --- instances -----------------------------------------------------------------------------------------------------


def _instances(
    before: tuple[Instance, ...], role: Role, view: PodView, decision: Decision, published: Mapping[str, Any]
) -> tuple[Instance, ...]:
    """All instances ever seen: those observed now, brought up to date, and those that are gone, as they were last."""
    known = {i.id: i for i in before}
    for seen in reversed(view.observed.instances(role.name)):
        known[seen.id] = _with_stop(_instance(known.get(seen.id), seen, role, view, published), view, decision)
    codes = dict(_published_codes(published))
    settled = (_settled(i, view, decision) for i in known.values())
    told = (msgspec.structs.replace(i, published_code=codes.get(i.id, i.published_code)) for i in settled)
    return tuple(sorted(told, key=lambda i: i.attempt))


def _instance(
    before: Instance | None, seen: ContainerState, role: Role, view: PodView, published: Mapping[str, Any]
) -> Instance:
    started = seen.started_at
    ended = seen.run is Run.EXITED
    up = before.up if before is not None else None
    if up is None and started is not None:
        up = _up_at(role, seen, view.now, published)
    base = before if before is not None else Instance(id=seen.id, attempt=seen.attempt, created=seen.created_at)
    return msgspec.structs.replace(
        base,
        started=started,
        finished=seen.finished_at if ended else None,
        up=up,
        exit_code=seen.exit_code if ended else None,
        oom_killed=seen.oom_killed,
        start_error=seen.start_error,
        signal=seen.stop_signal.removeprefix("SIG") or "TERM",
    )


def _up_at(role: Role, seen: ContainerState, now: datetime, published: Mapping[str, Any]) -> datetime | None:
    """When it counts as started: at once, save where a hook or a probe decides; then when the status first says so."""
    container = role.container
    hooked = container.lifecycle is not None and container.lifecycle.post_start is not None
    if role.kind is Kind.INIT or not (hooked or container.startup_probe is not None):
        return seen.started_at
    mine = published.get("containerID") == f"docker://{seen.id}"  # and not of the one that it replaces
    return now if mine and published.get("started") is True else None


def _with_stop(instance: Instance, view: PodView, decision: Decision) -> Instance:
    stop = decision.record.stops.get(instance.id)
    if stop is None:
        return instance
    sent = [a.signal for a in decision.actions if isinstance(a, SignalContainer) and a.container_id == instance.id]
    kill = instance.kill or (view.now if "KILL" in sent else _recorded_kill(stop))
    term = instance.term or (view.now if sent and kill is None else _recorded_term(stop, kill))
    due = stop.kill_at if kill is None else instance.kill_due or min(stop.kill_at, kill)
    hook = hook_key(instance.id, PRE_STOP) in decision.record.hooks
    return msgspec.structs.replace(instance, stop_cause=stop.cause, hook=hook, term=term, kill_due=due, kill=kill)


def _recorded_kill(stop: Stop) -> datetime | None:
    """When KILL was confirmed: the record keeps the time of the next one."""
    return stop.kill_at - KILL_AGAIN if stop.kill_sent else None


def _recorded_term(stop: Stop, kill: datetime | None) -> datetime | None:
    """When TERM was sent. A stop without TERM bears the time of its KILL there, which is nearer than any deadline."""
    if not stop.term_sent or stop.term_at is None or (kill is not None and kill - stop.term_at < LEAST_WINDOW / 2):
        return None
    return stop.term_at


def _published_codes(published: Mapping[str, Any]) -> Iterable[tuple[str, int]]:
    """Exit codes of the status by container ID."""
    for state in (published.get("lastState"), published.get("state")):
        ended = (state or {}).get("terminated")
        if ended:
            yield str(ended.get("containerID", "")).removeprefix("docker://"), ended.get("exitCode", 0)


def _settled(instance: Instance, view: PodView, decision: Decision) -> Instance:
    """An instance that went away before its end could be seen ended now, with a code nobody knows."""
    gone = decision.gone or view.observed.by_id(instance.id) is None
    if instance.finished is None and gone:
        return msgspec.structs.replace(instance, finished=view.now)
    return instance
