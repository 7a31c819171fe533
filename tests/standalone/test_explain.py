"""The sentences about containers, pods and Jobs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.standalone.rehearsal import at
from vkprovider.core.sidecars import Kind
from vkprovider.model.refs import ContainerID, PodUID
from vkprovider.standalone.chronicle import ContainerStory, Instance, JobStory, PodStory, Pull, State
from vkprovider.standalone.explain import Tone, condition, ending_text, job_text, pod_text


def run(begin: float = 0, end: float | None = None, code: int | None = None, **more: Any) -> Instance:
    """One run of a container: started at ``begin``, ended at ``end`` with ``code``, published as it was."""
    fields: dict[str, Any] = {
        "id": ContainerID(f"id-{begin}"),
        "attempt": 0,
        "created": at(begin),
        "started": at(begin),
        "finished": at(end) if end is not None else None,
        "exit_code": code,
        "published_code": code,
    }
    return Instance(**(fields | more))


def told(name: str, kind: Kind, *instances: Instance, **more: Any) -> ContainerStory:
    return ContainerStory(name=name, kind=kind, why="", instances=instances, **more)


def stopped(term: float, end: float, code: int, **more: Any) -> Instance:
    """A run stopped at the end of its pod, from 0 to ``end``, with TERM at ``term`` and 30 s of grace."""
    return run(0, end, code, stop_cause="end", term=at(term), kill_due=at(term + 30), **more)


FORGIVEN: dict[str, Any] = {"published_code": 0}


@pytest.mark.parametrize(
    ("kind", "instances", "sentence"),
    [
        (Kind.NATIVE, [stopped(10, 40.05, 137, kill=at(40.01), **FORGIVEN)], "ignored TERM for 30 s, killed, 137 -> 0"),
        (Kind.NATIVE, [stopped(10, 40.05, 137, kill=at(40.01))], "ignored TERM for 30 s, killed, exit 137"),
        (
            Kind.MARKED,
            [stopped(10, 40.05, 137, kill=at(40.01), signal="QUIT", **FORGIVEN)],
            "ignored QUIT for 30 s, killed, 137 -> 0",
        ),
        (Kind.MARKED, [stopped(10, 10.2, 143, **FORGIVEN)], "ended 0.2 s after TERM with code 143, 143 -> 0"),
        (Kind.MARKED, [stopped(10, 13, 0)], "ended 3 s after TERM with code 0"),
        (Kind.APP, [stopped(10, 10.04, 143)], "ended 0.04 s after TERM with code 143"),
        (
            Kind.MARKED,
            [run(0, 10.02, 137, stop_cause="end", kill=at(10), kill_due=at(10), **FORGIVEN)],
            "killed at once, 137 -> 0",
        ),
        (Kind.NATIVE, [stopped(10, 9.9, 2)], "ended by itself after 9.9 s with code 2"),
        (Kind.NATIVE, [run(0, 9.9, 0)], "ended by itself after 9.9 s with code 0"),
        (Kind.NATIVE, [run(0, 9.9, 3, hook=True, **FORGIVEN)], "ended during its preStop hook with code 3, 3 -> 0"),
        (Kind.APP, [run(0, 10.1, 0)], "exit 0 after 10.1 s"),
        (Kind.INIT, [run(0, 125, 4)], "exit 4 after 2 min 5 s"),
        (Kind.APP, [run(0, 10.1, 2, **FORGIVEN)], "exit 2 -> 0 after 10.1 s"),
        (Kind.APP, [run(0, 1, 137, oom_killed=True)], "out of memory, exit 137 after 1 s"),
        (Kind.NATIVE, [run(0, 1, 137, oom_killed=True)], "out of memory, ended by itself after 1 s with code 137"),
        (Kind.APP, [run(0, 0, 128, start_error='exec: "nope": not found')], 'could not start: exec: "nope": not found'),
        (Kind.APP, [run(0)], "still running"),
        (Kind.APP, [run(0, 5)], "exit code unknown after 5 s"),
        (Kind.NATIVE, [run(0, 5)], "ended by itself after 5 s, code unknown"),
        (
            Kind.MARKED,
            [run(0, 1, 1), run(2, 3, 3), stopped(10, 10.2, 0)],
            "ended 0.2 s after TERM with code 0, restarted twice (exit 1, exit 3)",
        ),
        (
            Kind.MARKED,
            [run(0, 1, 137, stop_cause="liveness"), run(2, 4, 1)],
            "ended by itself after 2 s with code 1, restarted once (liveness probe failed)",
        ),
    ],
)
def test_the_end_of_a_container_in_a_sentence(kind: Kind, instances: list[Instance], sentence: str) -> None:
    assert ending_text(told("box", kind, *instances)) == f"box: {sentence}"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "never started"),
        ({"reason": "PodInitializing"}, "never started"),
        ({"reason": "PodInitializing", "waits_for": "sidecar"}, "never started: sidecar was not started"),
        ({"reason": "ErrImagePull", "message": "no such manifest"}, "never started: ErrImagePull: no such manifest"),
    ],
)
def test_a_container_that_never_started_says_why(fields: dict[str, Any], sentence: str) -> None:
    assert ending_text(told("app", Kind.APP, **fields)) == f"app: {sentence}"


RUNNING: dict[str, Any] = {"state": State.RUNNING, "started": True, "ready": True}
ENDED: dict[str, Any] = {"state": State.TERMINATED, "reason": "Completed"}


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        (told("a", Kind.APP), ("Waiting", Tone.WAITING, "", "")),
        (told("a", Kind.APP, reason="ContainerCreating"), ("ContainerCreating", Tone.WAITING, "", "")),
        (
            told("a", Kind.APP, reason="PodInitializing", waits_for="s"),
            ("PodInitializing", Tone.WAITING, "waits for s", ""),
        ),
        (
            told("a", Kind.APP, reason="ErrImagePull", message="no such manifest"),
            ("ErrImagePull", Tone.BAD, "", "no such manifest"),
        ),
        (
            told("a", Kind.APP, reason="CreateContainerConfigError", message='configmap "c" not found'),
            ("CreateContainerConfigError", Tone.BAD, "", 'configmap "c" not found'),
        ),
        (
            told("a", Kind.MARKED, run(0, 1, 3), reason="CrashLoopBackOff", message="back-off 10s", restarts=2),
            ("CrashLoopBackOff", Tone.BAD, "exit 3, restarted twice", ""),
        ),
        (told("a", Kind.APP, run(0), **RUNNING), ("Running", Tone.RUNNING, "", "")),
        (told("a", Kind.APP, run(0), **RUNNING, restarts=1), ("Running", Tone.RUNNING, "restarted once", "")),
        (
            told("a", Kind.APP, run(0), **(RUNNING | {"ready": False}), warning="Unhealthy: 503"),
            ("Running", Tone.RUNNING, "not ready", "Unhealthy: 503"),
        ),
        (told("a", Kind.APP, run(0), **RUNNING, warning="Unhealthy: 503"), ("Running", Tone.RUNNING, "", "")),
        (told("a", Kind.INIT, run(0), **(RUNNING | {"ready": False})), ("Running", Tone.RUNNING, "", "")),
        (
            told("a", Kind.NATIVE, run(0), state=State.RUNNING, warning="Unhealthy: refused"),
            ("Starting", Tone.BUSY, "not started yet", "Unhealthy: refused"),
        ),
        (
            told("a", Kind.NATIVE, run(0, stop_cause="end", term=at(20), kill_due=at(50)), **RUNNING),
            ("Stopping", Tone.BUSY, "TERM 10s ago, KILL in 20s", ""),
        ),
        (
            told("a", Kind.NATIVE, run(0, stop_cause="end", hook=True, kill_due=at(50)), **RUNNING),
            ("Stopping", Tone.BUSY, "preStop hook, KILL in 20s", ""),
        ),
        (
            told("a", Kind.NATIVE, run(0, stop_cause="end", kill_due=at(50)), **RUNNING),
            ("Running", Tone.RUNNING, "waits for its turn to stop", ""),
        ),
        (
            told("a", Kind.NATIVE, run(0, stop_cause="end", kill=at(30), kill_due=at(30)), **RUNNING),
            ("Killing", Tone.BAD, "KILL sent", ""),
        ),
        (
            told("a", Kind.NATIVE, stopped(10, 30, 137, **FORGIVEN), **ENDED),
            ("Completed", Tone.DONE, "exit 137 -> 0", ""),
        ),
        (
            told("a", Kind.APP, run(0, 1, 3), state=State.TERMINATED, reason="Error"),
            ("Error", Tone.BAD, "exit 3", ""),
        ),
        (
            told(
                "a", Kind.APP, run(0, 0, 128, start_error="no such file"), state=State.TERMINATED, reason="StartError"
            ),
            ("StartError", Tone.BAD, "exit 128", "no such file"),
        ),
        (told("a", Kind.APP, pulls=(Pull(image="x", began=at(0)),)), ("Pulling", Tone.BUSY, "", "")),
    ],
)
def test_how_a_container_stands(container: ContainerStory, expected: tuple[str, Tone, str, str]) -> None:
    stands = condition(container, at(30))
    assert (stands.word, stands.tone, stands.detail, stands.trouble) == expected


def test_how_jobs_came_out() -> None:
    job = JobStory(namespace="default", name="test", began=at(0), ended=at(41.2), condition="Complete", succeeded=1)
    assert job_text(job, at(50)) == "Job test: Complete, 1 succeeded, 0 failed (41.2 s)"
    failed = JobStory(
        namespace="default",
        name="test",
        began=at(0),
        ended=at(9),
        condition="Failed",
        reason="BackoffLimitExceeded",
        failed=3,
    )
    assert job_text(failed, at(50)) == "Job test: Failed, BackoffLimitExceeded, 0 succeeded, 3 failed (9 s)"
    unfinished = JobStory(namespace="default", name="test", began=at(0), suspended=True)
    assert job_text(unfinished, at(50)) == "Job test: Suspended, 0 succeeded, 0 failed (50 s)"


def test_how_pods_came_out() -> None:
    containers = (
        told("web", Kind.APP, run(0, 5, 3)),
        told("fine", Kind.APP, run(0, 5, 0)),
        told("proxy", Kind.NATIVE, run(0, 5, 1)),
    )
    pod = PodStory(
        uid=PodUID("1"),
        namespace="default",
        name="web",
        phase="Failed",
        began=at(0),
        ended=at(12.1),
        containers=containers,
    )
    assert pod_text(pod, at(50)) == "Pod web: Failed, web exit 3 (12.1 s)"
    late = PodStory(
        uid=PodUID("1"), namespace="default", name="web", phase="Failed", reason="DeadlineExceeded", began=at(0)
    )
    assert pod_text(late, at(50)) == "Pod web: Failed, DeadlineExceeded (50 s)"
