"""The events that news become, in the kubelet's words, and what is remembered of them."""

from __future__ import annotations

import pytest

from tests.core.given import at, container, deleted, exited, given, marked, pod, running, state
from tests.core.told import EXEC
from vkprovider.core import actions as a
from vkprovider.core.decide import decide
from vkprovider.core.record import PodMemory, PodRecord
from vkprovider.model.refs import ContainerID

POD = pod(container("app"), inits=(container("init"),))
ID = ContainerID("app-0")


def said(*news: a.News) -> list[tuple[str, str, str]]:
    decision = decide(given(POD, news=news))
    return [(event.type, event.reason, event.message) for event in decision.events]


def failed(reason: str, message: str) -> a.StartFailed:
    return a.StartFailed(key="app", attempt=0, reason=reason, message=message, image="i:1")


INVALID = 'Failed to apply default image tag "A": couldn\'t parse image name "A"'


@pytest.mark.parametrize(
    ("news", "events"),
    [
        (a.VolumesReady(), []),
        (
            a.VolumesFailed(messages=("one", "two")),
            [("Warning", "FailedMount", "one"), ("Warning", "FailedMount", "two")],
        ),
        (a.VolumesFailed(messages=()), []),
        (
            a.SandboxFailed(message="no"),
            [("Warning", "FailedCreatePodSandBox", "Failed to create pod sandbox: no")],
        ),
        (a.PullStarted(key="app", image="i:1"), [("Normal", "Pulling", 'Pulling image "i:1"')]),
        (
            a.PullDone(key="app", image="i:1", attempt=0, image_id="x"),
            [("Normal", "Pulled", 'Container image "i:1" already present on machine')],
        ),
        (
            failed("ErrImagePull", "no"),
            [("Warning", "Failed", 'Failed to pull image "i:1": no'), ("Warning", "Failed", "Error: ErrImagePull")],
        ),
        (
            failed("ErrImageNeverPull", "not present"),
            [("Warning", "ErrImageNeverPull", "not present"), ("Warning", "Failed", "Error: ErrImageNeverPull")],
        ),
        (
            failed("InvalidImageName", INVALID),
            [("Warning", "InspectFailed", INVALID), ("Warning", "Failed", "Error: InvalidImageName")],
        ),
        (failed("CreateContainerConfigError", "no"), [("Warning", "Failed", "Error: no")]),
        (failed("CreateContainerError", "no"), [("Warning", "Failed", "Error: no")]),
        (failed("RunContainerError", "no"), [("Warning", "Failed", "Error: no")]),
        (a.ContainerCreated(key="app", container_id=ID), [("Normal", "Created", "Created container: app")]),
        (a.ContainerStarted(key="app", container_id=ID), [("Normal", "Started", "Started container app")]),
        (
            a.HookFailed(key="app", container_id=ID, hook="PreStop"),
            [("Warning", "FailedPreStopHook", "PreStopHook failed")],
        ),
        (
            a.HookFailed(key="app", container_id=ID, hook="PostStart"),
            [("Warning", "FailedPostStartHook", "PostStartHook failed")],
        ),
        (
            a.ProbeFailed(key="app", reason="Unhealthy", message="Liveness probe failed: no"),
            [("Warning", "Unhealthy", "Liveness probe failed: no")],
        ),
        (a.Warned(reason="DNSConfigForming", message="long"), [("Warning", "DNSConfigForming", "long")]),
        (a.SignalSent(key="app", container_id=ID, signal=""), []),
        (a.ActionFailed(key="app", action="StartContainer", message="timed out"), []),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, a.News) else None,
)
def test_events(news: a.News, events: list[tuple[str, str, str]]):
    assert said(news) == events


@pytest.mark.parametrize(
    ("seconds", "took"),
    [(0.0, "0ms"), (0.0004, "0ms"), (0.25, "250ms"), (1.0, "1s"), (2.5, "2.5s"), (12.3456, "12.346s"), (60.0, "60s")],
)
def test_how_long_a_pull_took(seconds: float, took: str):
    news = a.PullDone(key="app", image="i:1", attempt=0, image_id="x", seconds=seconds, size_bytes=77)
    message = f'Successfully pulled image "i:1" in {took} ({took} including waiting). Image size: 77 bytes.'
    assert said(news) == [("Normal", "Pulled", message)]


def test_a_container_is_created_once_however_often_its_start_is_tried():
    first = decide(given(POD, news=(a.ContainerCreated(key="app", container_id=ID),)))
    again = decide(given(POD, memory=first.memory, news=(a.ContainerCreated(key="app", container_id=ID),)))
    other = a.ContainerCreated(key="app", container_id=ContainerID("next"))
    after = decide(given(POD, memory=again.memory, news=(other,)))
    assert [len(decision.events) for decision in (first, again, after)] == [1, 0, 1]


@pytest.mark.parametrize(
    ("key", "path"), [("app", "spec.containers{app}"), ("init", "spec.initContainers{init}"), ("", "")]
)
def test_events_name_the_container_by_its_place(key: str, path: str):
    decision = decide(given(POD, news=(a.Warned(key=key, reason="R", message="m"),)))
    assert [event.field_path for event in decision.events] == [path]


def test_volumes_are_made_before_anything_else():
    nothing = PodMemory()
    failure = a.VolumesFailed(messages=("no",))
    first = decide(given(POD, memory=nothing, news=(failure,)))
    assert (first.actions, first.wake_at) == ((), at(100.5))
    again = decide(given(POD, memory=first.memory, when=101))
    assert again.actions == (a.PrepareVolumes(),)
    ready = decide(given(POD, memory=again.memory, when=102, news=(a.VolumesReady(),)))
    assert [action.key for action in ready.actions] == ["init"]
    assert ready.memory.failures == {}


def test_a_sandbox_that_cannot_be_made_backs_off():
    waits, memory, now = [], PodMemory(volumes_ready=True), 0.0
    for _ in range(7):
        decision = decide(given(POD, sandboxes=(), when=now, memory=memory, news=(a.SandboxFailed(message="no"),)))
        assert decision.actions == ()
        assert decision.wake_at is not None
        waits.append((decision.wake_at - at(now)).total_seconds())
        memory, now = decision.memory, (decision.wake_at - at(0)).total_seconds()
    assert waits == [10, 20, 40, 80, 160, 300, 300]
    assert decide(given(POD, sandboxes=(), when=now, memory=memory)).actions == (a.CreateSandbox(attempt=0),)


def test_news_of_what_is_gone_are_nothing():
    gone = ContainerID("gone")
    news = (
        a.SignalSent(key="app", container_id=gone, signal="KILL"),
        a.HookFailed(key="nobody", container_id=gone, hook="PostStart"),
        a.HookFailed(key="app", container_id=gone, hook="PostStart"),
    )
    decision = decide(given(POD, exited(POD, "init"), *running(POD, "app"), news=news))
    assert (decision.actions, decision.record.stops) == ((), {})


def test_news_of_an_unknown_kind_are_nothing():
    assert said(a.News(key="app")) == []


def test_a_failed_post_start_hook_of_a_container_that_is_being_stopped_changes_nothing():
    p = pod(container("app", lifecycle={"postStart": EXEC}), marked("side"), activeDeadlineSeconds=50)
    ends = decide(given(p, *running(p, "app", "side"), when=50, record=PodRecord(start_time=at(0))))
    news = (a.HookFailed(key="app", container_id=ID, hook="PostStart"),)
    later = decide(given(p, *running(p, "app", "side"), when=51, record=ends.record, news=news))
    assert later.record.stops == ends.record.stops


def test_an_answer_that_was_lost_is_made_up_for_by_what_is_seen():
    """A start of which only a timeout was heard has happened: the container runs, and is left alone."""
    news = (a.ActionFailed(key="app", action="StartContainer", message="timed out"),)
    decision = decide(given(POD, exited(POD, "init"), *running(POD, "app"), news=news))
    assert decision.actions == ()
    assert decision.status["phase"] == "Running"


def test_what_is_remembered_of_containers_goes_with_them():
    p = pod(container("app", lifecycle={"postStart": EXEC}), policy="Always")
    first = decide(given(p, *running(p, "app")))
    assert first.record.hooks == ("app-0/PostStart",)
    later = decide(given(p, state(p, "app", attempt=2), exited(p, "app", attempt=1), record=first.record))
    assert later.record.hooks == ("app-2/PostStart",)


@pytest.mark.parametrize("action", ["SignalContainer", "RemoveSandbox", "TeardownPod"])
def test_what_cannot_be_ended_is_told_once(action: str):
    p = deleted(POD)
    key = "app" if action == "SignalContainer" else a.POD
    news = (a.ActionFailed(key=key, action=action, message="no such process"),)
    ending = decide(given(p, *running(p, "app")))
    told = decide(given(p, *running(p, "app"), record=ending.record, memory=ending.memory, news=news))
    expected = ("Warning", "FailedKillPod", "error killing pod: no such process")
    assert [(e.type, e.reason, e.message) for e in told.events] == [expected]
    again = decide(given(p, *running(p, "app"), record=told.record, memory=told.memory, news=news))
    assert again.events == ()


def test_a_signal_that_fails_while_the_pod_lives_is_no_failed_end():
    news = (a.ActionFailed(key="app", action="SignalContainer", message="no"),)
    decision = decide(given(POD, exited(POD, "init"), *running(POD, "app"), news=news))
    assert "FailedKillPod" not in [e.reason for e in decision.events]


def test_a_pods_directories_are_no_volume():
    failed = ("error making pod data directories: no space", 'MountVolume.SetUp failed for volume "v" : no')
    decision = decide(given(POD, memory=PodMemory(), news=(a.VolumesFailed(messages=failed),)))
    assert [(e.reason, e.message) for e in decision.events] == list(zip(("Failed", "FailedMount"), failed, strict=True))
