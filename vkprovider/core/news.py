"""Folding news into what is remembered, and into the events that tell users of it."""

from __future__ import annotations

from datetime import timedelta

from vkprovider.core import actions as a
from vkprovider.core.draft import Draft
from vkprovider.core.record import ANY_ATTEMPT, Failure, ImageReady
from vkprovider.core.termination import confirm, grace
from vkprovider.core.view import CoreSettings
from vkprovider.model.refs import ContainerID

RETRY_ACTION = timedelta(seconds=1)


def fold_news(draft: Draft) -> None:
    """Take in everything heard since the last look."""
    for news in draft.view.news:
        _fold_one(draft, news)


def _fold_one(draft: Draft, news: a.News) -> None:  # noqa: C901, PLR0912  one arm per kind of news
    match news:
        case a.VolumesReady():
            draft.keep(volumes_ready=True)
            draft.forget_failure(a.POD)
        case a.VolumesFailed(messages=messages):
            for message in messages:
                draft.event(a.POD, "FailedMount", message, warning=True)
            _fail_again(draft, a.POD, 0, "FailedMount", messages[0] if messages else "", RETRY_ACTION)
        case a.SandboxFailed(message=message):
            draft.event(a.POD, "FailedCreatePodSandBox", f"Failed to create pod sandbox: {message}", warning=True)
            _fail_again(draft, a.POD, 0, "FailedCreatePodSandBox", message)
        case a.PullStarted(image=image):
            draft.event(news.key, "Pulling", f'Pulling image "{image}"')
        case a.PullDone():
            _pulled(draft, news)
        case a.StartFailed():
            _start_failed(draft, news)
        case a.ContainerCreated():
            draft.event(news.key, "Created", f"Created container: {news.key}")
        case a.ContainerStarted():
            draft.forget_failure(news.key)
            draft.event(news.key, "Started", f"Started container {news.key}")
        case a.HookFailed():
            _hook_failed(draft, news)
        case a.SignalSent(container_id=container_id, signal=signal):
            _confirm(draft, container_id, signal)
        case a.ActionFailed(action=action, message=message):
            _fail_again(draft, news.key, ANY_ATTEMPT, action, message, RETRY_ACTION)
        case a.Warned(reason=reason, message=message):
            draft.event(news.key, reason, message, warning=True)
        case a.TornDown():
            draft.keep(torn_down=True)


def _pulled(draft: Draft, news: a.PullDone) -> None:
    ready = ImageReady(attempt=news.attempt, image=news.image, image_id=news.image_id)
    draft.keep(images=draft.memory.images | {news.key: ready})
    draft.forget_failure(news.key)
    if news.seconds is None:
        draft.event(news.key, "Pulled", f'Container image "{news.image}" already present on machine')
        return
    took = _go_seconds(news.seconds)
    size = f"Image size: {news.size_bytes} bytes."
    message = f'Successfully pulled image "{news.image}" in {took} ({took} including waiting). {size}'
    draft.event(news.key, "Pulled", message)


def _go_seconds(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms" if seconds < 1 else f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


def _start_failed(draft: Draft, news: a.StartFailed) -> None:
    if news.reason == "ErrImagePull":
        draft.event(news.key, "Failed", f'Failed to pull image "{news.image}": {news.message}', warning=True)
        draft.event(news.key, "Failed", "Error: ErrImagePull", warning=True)
    elif news.reason == "ErrImageNeverPull":
        draft.event(news.key, "ErrImageNeverPull", news.message, warning=True)
        draft.event(news.key, "Failed", "Error: ErrImageNeverPull", warning=True)
    elif news.reason == "InvalidImageName":
        draft.event(news.key, "InspectFailed", news.message, warning=True)
        draft.event(news.key, "Failed", "Error: InvalidImageName", warning=True)
    else:
        draft.event(news.key, "Failed", f"Error: {news.message}", warning=True)
    # A container that shows its failed start itself makes this one of an earlier attempt: its restart backs off as a
    # crash. What counts here is one that shows nothing.
    wait = None if news.reason == "ErrImagePull" else timedelta(seconds=draft.view.settings.retry_seconds)
    _fail_again(draft, news.key, news.attempt, news.reason, news.message, wait)


def _fail_again(draft: Draft, key: str, attempt: int, reason: str, message: str, wait: timedelta | None = None) -> None:
    """Remember a failure; without ``wait`` it backs off: 10 s doubling to 300 s (images/image_manager.go)."""
    settings, before = draft.view.settings, draft.memory.failures.get(key)
    count = before.count + 1 if before is not None and before.reason == reason else 1
    now = draft.view.now
    retry_at = now + (wait if wait is not None else _doubling(count, settings))
    failure = Failure(attempt=attempt, reason=reason, message=message, count=count, at=now, retry_at=retry_at)
    draft.keep_failure(key, failure)


def _doubling(count: int, settings: CoreSettings) -> timedelta:
    return timedelta(seconds=min(settings.backoff_first * 2 ** min(count - 1, 10), settings.backoff_limit))


def _hook_failed(draft: Draft, news: a.HookFailed) -> None:
    """A failed preStop is only told; a failed postStart costs the container its life."""
    reason = "FailedPostStartHook" if news.hook == "PostStart" else "FailedPreStopHook"
    draft.event(news.key, reason, f"{news.hook}Hook failed", warning=True)
    standing = draft.standings.get(news.key)
    ours = standing is not None and standing.newest is not None and standing.newest.id == news.container_id
    if news.hook == "PostStart" and standing is not None and ours and standing.alive and standing.stop is None:
        allowed = grace(draft.view.pod.spec.termination_grace_period_seconds, None)
        draft.begin_stop(standing, "hook", "FailedPostStartHook", allowed)


def _confirm(draft: Draft, container_id: ContainerID, signal: str) -> None:
    stop = draft.record.stops.get(container_id)
    if stop is not None:
        draft.note_stop(container_id, confirm(stop, signal, draft.view.now))
