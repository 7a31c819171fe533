"""Folding news into what is remembered, and into the events that tell users of it."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from vkprovider.core import actions as a
from vkprovider.core.draft import Draft
from vkprovider.core.env import needed_objects
from vkprovider.core.faults import CONFIG_ERROR
from vkprovider.core.record import ANY_ATTEMPT, POST_START_ERROR, Failure, ImageReady
from vkprovider.core.resize import fold_resized
from vkprovider.core.restarts import HOOK
from vkprovider.core.standing import POST_START
from vkprovider.core.stop_steps import confirm, grace
from vkprovider.core.upkeep import FAILED_MOUNT, note_change, note_made, remount_delay
from vkprovider.core.view import CoreSettings
from vkprovider.model.refs import ContainerID, ObjectRef

_ENDS = ("SignalContainer", "RemoveSandbox", "TeardownPod")
CREATE_ERROR = "CreateContainerError"
RETRY_ACTION = timedelta(seconds=1)


def fold_news(draft: Draft) -> None:
    """Take in everything heard since the last look."""
    for news in draft.view.news:
        _fold_one(draft, news)


def _fold_one(draft: Draft, news: a.News) -> None:  # noqa: C901, PLR0912  one arm per kind of news
    match news:
        case a.VolumesReady():
            note_made(draft, news)
        case a.ObjectChanged(ref=ref):
            note_change(draft, ref)
            _retry_with(draft, ref)
        case a.VolumesFailed(messages=messages, version=version):
            for message in messages:
                draft.event(a.POD, _unmounted(message), message, warning=True)
            _fail_again(
                draft, a.POD, _failure(draft, 0, FAILED_MOUNT, messages[0] if messages else ""), remount_delay(draft)
            )
            if version < draft.memory.volumes_wanted:  # what they failed for may be there by now
                draft.forget_failure(a.POD)
        case a.SandboxFailed(message=message):
            draft.event(a.POD, "FailedCreatePodSandBox", f"Failed to create pod sandbox: {message}", warning=True)
            _fail_again(draft, a.POD, _failure(draft, 0, "FailedCreatePodSandBox", message))
        case a.PullStarted(image=image):
            draft.event(news.key, "Pulling", f'Pulling image "{image}"')
        case a.PullDone():
            _pulled(draft, news)
        case a.VolumePulled():
            draft.event(a.POD, "Pulled", _pulled_message(news))
        case a.StartFailed():
            _start_failed(draft, news)
        case a.ContainerCreated(container_id=container_id):
            if draft.memory.created.get(news.key) != container_id:  # else its start is tried again
                draft.keep(created=draft.memory.created | {news.key: container_id})
                draft.event(news.key, "Created", f"Created container: {news.key}")
        case a.ContainerStarted():
            draft.forget_failure(news.key)
            draft.event(news.key, "Started", f"Started container {news.key}")
        case a.ContainerResized() | a.ResizeFailed():
            fold_resized(draft, news)
        case a.HookFailed():
            _hook_failed(draft, news)
        case a.SignalSent(container_id=container_id, signal=signal):
            _confirm(draft, container_id, signal)
        case a.ActionFailed(action=action, message=message):
            _say_unkilled(draft, action, message)
            _fail_again(draft, news.key, _failure(draft, ANY_ATTEMPT, action, message), RETRY_ACTION)
        case a.Warned(reason=reason, message=message):
            draft.event(news.key, reason, message, warning=True)
        case a.TornDown():
            draft.keep(torn_down=True)


def _retry_with(draft: Draft, ref: ObjectRef) -> None:
    """What could not be made for want of an object is tried again at once when that changes; it waits as it did."""
    for name, failure in draft.memory.failures.items():
        standing = draft.standings.get(name)
        if standing is None or failure.reason != CONFIG_ERROR:
            continue
        if ref in needed_objects(draft.view.pod, standing.role.container):
            draft.keep_failure(name, msgspec.structs.replace(failure, retry_at=draft.view.now))


def _pulled(draft: Draft, news: a.PullDone) -> None:
    ready = ImageReady(attempt=news.attempt, image=news.image, image_id=news.image_id, volumes=news.volumes)
    draft.keep(images=draft.memory.images | {news.key: ready})
    failure = draft.memory.failures.get(news.key)
    if failure is not None and failure.reason != CREATE_ERROR:  # that one says why it waits, until it does no more
        draft.forget_failure(news.key)
    draft.event(news.key, "Pulled", _pulled_message(news))


def _pulled_message(news: a.PullDone | a.VolumePulled) -> str:
    if news.seconds is None:
        return f'Container image "{news.image}" already present on machine'
    took = _go_seconds(news.seconds)
    size = f"Image size: {news.size_bytes} bytes."
    return f'Successfully pulled image "{news.image}" in {took} ({took} including waiting). {size}'


def _go_seconds(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms" if seconds < 1 else f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


def _start_failed(draft: Draft, news: a.StartFailed) -> None:
    whose = a.POD if news.reference else news.key  # whom a pull's events are about
    if news.reason == "ErrImagePull":
        image = news.reference or news.image
        draft.event(whose, "Failed", f'Failed to pull image "{image}": {news.message}', warning=True)
        draft.event(news.key, "Failed", "Error: ErrImagePull", warning=True)
    elif news.reason == "ErrImageNeverPull":
        draft.event(whose, "ErrImageNeverPull", news.message, warning=True)
        draft.event(news.key, "Failed", "Error: ErrImageNeverPull", warning=True)
    elif news.reason == "InvalidImageName":
        draft.event(whose, "InspectFailed", news.message, warning=True)
        draft.event(news.key, "Failed", "Error: InvalidImageName", warning=True)
    else:
        draft.event(news.key, "Failed", f"Error: {news.message}", warning=True)
    # A container that shows its failed start itself makes this one of an earlier attempt: its restart backs off as a
    # crash. What counts here is one that shows nothing.
    standing = draft.standings.get(news.key)
    wait = None if news.reason == "ErrImagePull" else timedelta(seconds=draft.view.settings.retry_seconds)
    if news.reason == CONFIG_ERROR and (standing is None or standing.failure is None):
        wait = RETRY_ACTION  # what is missing may have come just when it was looked for
    image = news.image or (standing.role.container.image if standing is not None else "")
    failure = _failure(draft, news.attempt, news.reason, news.message, image)
    _fail_again(draft, news.key, msgspec.structs.replace(failure, reference=news.reference), wait)
    if news.reason == CREATE_ERROR:  # an image that is gone by now is to be had again
        draft.keep(images={key: ready for key, ready in draft.memory.images.items() if key != news.key})


def _failure(draft: Draft, attempt: int, reason: str, message: str, image: str = "") -> Failure:
    now = draft.view.now
    return Failure(attempt=attempt, reason=reason, message=message, count=1, at=now, retry_at=now, image=image)


def _fail_again(draft: Draft, key: str, failure: Failure, wait: timedelta | None = None) -> None:
    """Remember a failure; without ``wait`` it backs off: 10 s doubling to 300 s (images/image_manager.go)."""
    before = draft.memory.failures.get(key)
    again = before is not None and _same_trouble(before, failure)
    count = before.count + 1 if before is not None and again else 1
    retry_at = failure.at + (wait if wait is not None else _doubling(count, draft.view.settings))
    draft.keep_failure(key, msgspec.structs.replace(failure, count=count, retry_at=retry_at))


def _same_trouble(one: Failure, other: Failure) -> bool:
    return (one.reason, one.image, one.reference) == (other.reason, other.image, other.reference)


def _doubling(count: int, settings: CoreSettings) -> timedelta:
    return timedelta(seconds=min(settings.backoff_first * 2 ** min(count - 1, 10), settings.backoff_limit))


def _hook_failed(draft: Draft, news: a.HookFailed) -> None:
    """A failed preStop is only told; a failed postStart costs the container its life."""
    reason = "FailedPostStartHook" if news.hook == POST_START else "FailedPreStopHook"
    draft.event(news.key, reason, f"{news.hook}Hook failed", warning=True)
    standing = draft.standings.get(news.key)
    instance = standing.newest if standing is not None else None
    if news.hook != POST_START or standing is None or instance is None or instance.id != news.container_id:
        return
    if standing.stop is not None:
        return
    draft.keep_failure(news.key, _failure(draft, instance.attempt + 1, POST_START_ERROR, news.message))
    if standing.alive:
        allowed = grace(draft.view.pod.spec.termination_grace_period_seconds, None)
        draft.begin_stop(standing, HOOK, "FailedPostStartHook", allowed)


def _unmounted(message: str) -> str:
    """The reason of volumes that could not be made; a directory is not one of them (kubelet.go makePodDataDirs)."""
    return "Failed" if message.startswith("error making pod data directories") else FAILED_MOUNT


def _say_unkilled(draft: Draft, action: str, message: str) -> None:
    """What cannot be stopped or removed at the end of a pod is told, each thing once (kubelet.go killPod)."""
    if draft.record.ending is not None and action in _ENDS and draft.once(f"FailedKillPod/{message}"):
        draft.event(a.POD, "FailedKillPod", f"error killing pod: {message}", warning=True)


def _confirm(draft: Draft, container_id: ContainerID, signal: str) -> None:
    stop = draft.record.stops.get(container_id)
    if stop is not None:
        draft.note_stop(container_id, confirm(stop, signal, draft.view.now))
