"""Folding news into what is remembered, and into the events that tell users of it."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from vkprovider.core import actions as a
from vkprovider.core.record import Failure, ImageReady, PodMemory, PodRecord, Stop
from vkprovider.core.sidecars import Roles
from vkprovider.core.termination import confirm, stop_grace
from vkprovider.core.termination import grace as pod_grace
from vkprovider.core.view import CoreSettings, PodView
from vkprovider.model.refs import ContainerID

RETRY_ACTION = timedelta(seconds=1)


class Fold(msgspec.Struct, kw_only=True):
    """What a decision has gathered so far. The only mutable value in the core; it never leaves a decision."""

    view: PodView
    roles: Roles
    record: PodRecord
    memory: PodMemory
    events: list[a.PodEvent] = []

    def event(self, key: str, reason: str, message: str, *, warning: bool = False) -> None:
        """Add an event on a container (by name) or on the pod (key "")."""
        path = next((r.field_path for r in self.roles.all if r.name == key), "")
        kind = "Warning" if warning else "Normal"
        self.events.append(a.PodEvent(type=kind, reason=reason, message=message, field_path=path))

    def once(self, mark: str) -> bool:
        """True the first time this mark is met in this process."""
        if mark in self.memory.said:
            return False
        self.memory = msgspec.structs.replace(self.memory, said=self.memory.said | {mark})
        return True

    def fail(self, failure: Failure, key: str) -> None:
        self.memory = msgspec.structs.replace(self.memory, failures=self.memory.failures | {key: failure})

    def forget_failure(self, key: str) -> None:
        kept = {k: v for k, v in self.memory.failures.items() if k != key}
        self.memory = msgspec.structs.replace(self.memory, failures=kept)


def fold_news(fold: Fold) -> None:
    """Take in everything heard since the last look."""
    for news in fold.view.news:
        _fold_one(fold, news)


def _fold_one(fold: Fold, news: a.News) -> None:  # noqa: C901, PLR0912  one arm per kind of news
    match news:
        case a.VolumesReady():
            fold.memory = msgspec.structs.replace(fold.memory, volumes_ready=True)
            fold.forget_failure(a.POD)
        case a.VolumesFailed(messages=messages):
            for message in messages:
                fold.event(a.POD, "FailedMount", message, warning=True)
            _fail_again(fold, a.POD, 0, "FailedMount", messages[0] if messages else "", RETRY_ACTION)
        case a.SandboxFailed(message=message):
            fold.event(a.POD, "FailedCreatePodSandBox", f"Failed to create pod sandbox: {message}", warning=True)
            _fail_again(fold, a.POD, 0, "FailedCreatePodSandBox", message)
        case a.PullStarted(image=image):
            fold.event(news.key, "Pulling", f'Pulling image "{image}"')
        case a.PullDone():
            _pulled(fold, news)
        case a.StartFailed():
            _start_failed(fold, news)
        case a.ContainerCreated():
            fold.event(news.key, "Created", f"Created container: {news.key}")
        case a.ContainerStarted():
            fold.forget_failure(news.key)
            fold.event(news.key, "Started", f"Started container {news.key}")
        case a.HookFailed():
            _hook_failed(fold, news)
        case a.SignalSent(container_id=container_id, signal=signal):
            _confirm(fold, container_id, signal)
        case a.ActionFailed(action=action, message=message):
            _fail_again(fold, news.key, -1, action, message, RETRY_ACTION)
        case a.Warned(reason=reason, message=message):
            fold.event(news.key, reason, message, warning=True)
        case a.TornDown():
            fold.memory = msgspec.structs.replace(fold.memory, torn_down=True)


def _pulled(fold: Fold, news: a.PullDone) -> None:
    ready = ImageReady(attempt=news.attempt, image=news.image, image_id=news.image_id)
    fold.memory = msgspec.structs.replace(fold.memory, images=fold.memory.images | {news.key: ready})
    fold.forget_failure(news.key)
    if news.seconds is None:
        fold.event(news.key, "Pulled", f'Container image "{news.image}" already present on machine')
        return
    took = _go_seconds(news.seconds)
    size = f"Image size: {news.size_bytes} bytes."
    message = f'Successfully pulled image "{news.image}" in {took} ({took} including waiting). {size}'
    fold.event(news.key, "Pulled", message)


def _go_seconds(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms" if seconds < 1 else f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


def _start_failed(fold: Fold, news: a.StartFailed) -> None:
    if news.reason == "ErrImagePull":
        fold.event(news.key, "Failed", f'Failed to pull image "{news.image}": {news.message}', warning=True)
        fold.event(news.key, "Failed", "Error: ErrImagePull", warning=True)
    elif news.reason == "ErrImageNeverPull":
        fold.event(news.key, "ErrImageNeverPull", news.message, warning=True)
        fold.event(news.key, "Failed", "Error: ErrImageNeverPull", warning=True)
    elif news.reason == "InvalidImageName":
        fold.event(news.key, "InspectFailed", news.message, warning=True)
        fold.event(news.key, "Failed", "Error: InvalidImageName", warning=True)
    else:
        fold.event(news.key, "Failed", f"Error: {news.message}", warning=True)
    if news.reason == "RunContainerError":
        return  # the container is there and shows its failed start itself; its restart backs off as a crash
    wait = None if news.reason == "ErrImagePull" else timedelta(seconds=fold.view.settings.retry_seconds)
    _fail_again(fold, news.key, news.attempt, news.reason, news.message, wait)


def _fail_again(fold: Fold, key: str, attempt: int, reason: str, message: str, wait: timedelta | None = None) -> None:
    """Remember a failure; without ``wait`` it backs off: 10 s doubling to 300 s (images/image_manager.go)."""
    settings, before = fold.view.settings, fold.memory.failures.get(key)
    count = before.count + 1 if before is not None and before.reason == reason else 1
    now = fold.view.now
    retry_at = now + (wait if wait is not None else _doubling(count, settings))
    failure = Failure(attempt=attempt, reason=reason, message=message, count=count, at=now, retry_at=retry_at)
    fold.fail(failure, key)


def _doubling(count: int, settings: CoreSettings) -> timedelta:
    return timedelta(seconds=min(settings.backoff_first * 2 ** min(count - 1, 10), settings.backoff_limit))


def _hook_failed(fold: Fold, news: a.HookFailed) -> None:
    reason = "FailedPostStartHook" if news.hook == "PostStart" else "FailedPreStopHook"
    fold.event(news.key, reason, f"{news.hook}Hook failed", warning=True)
    role = next((r for r in fold.roles.all if r.name == news.key), None)
    if news.hook != "PostStart" or role is None:
        return
    allowed = stop_grace(role, "hook", pod_grace(fold.view.pod.spec.termination_grace_period_seconds, None))
    add_stop(fold, news.key, news.container_id, "hook", "FailedPostStartHook", allowed)


def add_stop(fold: Fold, key: str, container_id: ContainerID, cause: str, message: str, allowed: timedelta) -> None:
    """Begin to stop one living container, with its Killing event."""

    stop = Stop(cause=cause, message=message, kill_at=fold.view.now + allowed)
    stops = fold.record.stops | {container_id: stop}
    fold.record = msgspec.structs.replace(fold.record, stops=stops)
    fold.event(key, "Killing", message)


def _confirm(fold: Fold, container_id: ContainerID, signal: str) -> None:
    stop = fold.record.stops.get(container_id)
    if stop is not None:
        stops = fold.record.stops | {container_id: confirm(stop, signal, fold.view.now)}
        fold.record = msgspec.structs.replace(fold.record, stops=stops)
