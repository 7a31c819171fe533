"""What is published of each container, a row per rule: kubelet_pods.go convertToAPIContainerStatuses,
prober_manager.go UpdatePodStatus and status_manager.go TerminatePod. The corner cases are in test_status.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.given import T0, at, container, deleted, exited, given, marked, native, pod, running, state
from tests.core.rows import (
    ALWAYS,
    BACKED_OFF,
    INIT,
    NEVER,
    PROBED_SIDE,
    REQUESTS,
    SIDE,
    SIZED,
    TWO,
    Row,
    broken,
)
from tests.core.told import EXEC
from vkprovider.core.actions import HookFailed, StartFailed
from vkprovider.core.decide import decide
from vkprovider.core.record import Ending, PodRecord
from vkprovider.core.view import Verdicts
from vkprovider.model.container import ResourceRequirements
from vkprovider.model.observed import ContainerUser, Run
from vkprovider.model.refs import ContainerID

MOUNTED = pod(
    container(
        "app",
        volumeMounts=[{"name": "v", "mountPath": "/v"}, {"name": "w", "mountPath": "/w", "readOnly": True}],
    ),
    volumes=[{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}],
)
HOOKED = pod(container("app", lifecycle={"postStart": EXEC}))
DEADLINE = Ending(
    cause="DeadlineExceeded", began_at=at(1), deadline=at(31), reason="DeadlineExceeded", message="m", failed=True
)
DELETED = Ending(cause="Deleted", began_at=at(1), deadline=at(31))
LOST = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}


def failing(reason: str, message: str = "why", attempt: int = 0) -> dict[str, Any]:
    news = StartFailed(key="app", attempt=attempt, reason=reason, message=message, image="busybox:1.28")
    return {"news": (news,)}


def record(ending: Ending | None = None, **more: Any) -> PodRecord:
    return PodRecord(start_time=T0, ips=("10.0.0.7",), ending=ending, **more)


CONTAINERS = [
    Row("default: ContainerCreating", NEVER, (), "app.state", {"waiting": {"reason": "ContainerCreating"}}),
    Row("with init containers: PodInitializing", INIT, (), "app.state.waiting.reason", "PodInitializing"),
    Row("and so do they themselves", INIT, (), "init.state.waiting.reason", "PodInitializing"),
    Row("newest record: state", NEVER, running(NEVER, "app"), "app.state", {"running": {"startedAt": "12:00:00"}}),
    Row(
        "second newest record: lastState",
        ALWAYS,
        (state(ALWAYS, "app", attempt=1), exited(ALWAYS, "app", 3)),
        "app.lastState.terminated.exitCode",
        3,
    ),
    Row("restartCount is the newest's", ALWAYS, (state(ALWAYS, "app", attempt=4),), "app.restartCount", 4),
    Row("image as the instance was made", NEVER, (state(NEVER, "app", image="a/b:c"),), "app.image", "a/b:c"),
    Row("image before there is one", NEVER, (), "app.image", "busybox:1.28"),
    Row("imageID without a digest", NEVER, running(NEVER, "app"), "app.imageID", "docker://sha256:1"),
    Row(
        "imageID with a digest, spelled as the pod does",
        NEVER,
        (state(NEVER, "app", image="docker.io/library/busybox:1.28", image_digest="busybox@sha256:2"),),
        "app.imageID",
        "docker-pullable://docker.io/library/busybox@sha256:2",
    ),
    Row(
        "imageID of another repository's digest",
        NEVER,
        (state(NEVER, "app", image="mine:5000/b:1", image_digest="busybox@sha256:2"),),
        "app.imageID",
        "docker-pullable://busybox@sha256:2",
    ),
    Row("containerID", NEVER, running(NEVER, "app"), "app.containerID", "docker://app-0"),
    Row("no containerID before there is one", NEVER, (), "app.containerID", None),
    Row("allocatedResources are the requests", SIZED, running(SIZED, "app"), "app.allocatedResources", REQUESTS),
    Row(
        "resources while it runs: what it runs with",
        SIZED,
        (state(SIZED, "app", resources=ResourceRequirements(requests=REQUESTS | {"cpu": "50m"})),),
        "app.resources",
        {"requests": REQUESTS | {"cpu": "50m"}, "limits": {"memory": "128Mi"}},
    ),
    Row(
        "resources when it has ended: what was allocated",
        SIZED,
        (exited(SIZED, "app", 1, resources=ResourceRequirements()),),
        "app.resources.requests",
        REQUESTS,
    ),
    Row(
        "user",
        NEVER,
        (state(NEVER, "app", user=ContainerUser(uid=1, gid=2, groups=(2, 3))),),
        "app.user",
        {"linux": {"uid": 1, "gid": 2, "supplementalGroups": [2, 3]}},
    ),
    Row("no user where it cannot be told", NEVER, running(NEVER, "app"), "app.user", None),
    Row(
        "volumeMounts",
        MOUNTED,
        (),
        "app.volumeMounts",
        [
            {"name": "v", "mountPath": "/v"},
            {"name": "w", "mountPath": "/w", "readOnly": True, "recursiveReadOnly": "Disabled"},
        ],
    ),
    Row(
        "created, never started: not yet running",
        NEVER,
        (state(NEVER, "app", Run.CREATED),),
        "app.state.waiting.reason",
        "ContainerCreating",
    ),
    Row(
        "while its postStart runs: not yet running",
        HOOKED,
        running(HOOKED, "app"),
        "app.state",
        {"waiting": {"reason": "ContainerCreating"}},
    ),
    Row(
        "a failed start of what runs again: Waiting, the end in lastState",
        ALWAYS,
        (exited(ALWAYS, "app", 1),),
        "app.state",
        {"waiting": {"reason": "CreateContainerError", "message": "why"}},
        failing("CreateContainerError", attempt=1),
    ),
    Row(
        "and the end moves to lastState",
        ALWAYS,
        (exited(ALWAYS, "app", 1),),
        "app.lastState.terminated.exitCode",
        1,
        failing("CreateContainerError", attempt=1),
    ),
    Row("a plain init container that is done stays so", INIT, (exited(INIT, "init"),), "init.state.waiting", None),
    Row("the count rises with the new instance", ALWAYS, (exited(ALWAYS, "app", 1),), "app.restartCount", 0),
    Row(
        "vanished while it ran: lastState ContainerStatusUnknown",
        ALWAYS,
        (),
        "app.lastState.terminated.message",
        "The container could not be located when the pod was deleted.  The container used to be Running",
        {"record": record(newest=running(ALWAYS, "app"))},
    ),
    Row("ready of a plain init container: exit 0", INIT, (exited(INIT, "init"),), "init.ready", True),
    Row("not while it runs", INIT, running(INIT, "init"), "init.ready", False),
    Row("started of a plain init container: it runs", INIT, running(INIT, "init"), "init.started", True),
    Row("started without a startup probe: it runs", SIDE, running(SIDE, "side"), "side.started", True),
    Row("with one: not before it succeeded", PROBED_SIDE, running(PROBED_SIDE, "side"), "side.started", False),
    Row("ready: no probe, and it runs", NEVER, running(NEVER, "app"), "app.ready", True),
    Row("not ready: it has ended", NEVER, (exited(NEVER, "app"),), "app.ready", False),
]

REASONS = [
    *(
        Row(f"waiting: {reason}", NEVER, (), "app.state.waiting", {"reason": reason, "message": "why"}, failing(reason))
        for reason in (
            "ErrImagePull",
            "InvalidImageName",
            "ErrImageNeverPull",
            "CreateContainerConfigError",
            "CreateContainerError",
            "RunContainerError",
        )
    ),
    Row(
        "waiting: CrashLoopBackOff",
        ALWAYS,
        (exited(ALWAYS, "app", 1, **BACKED_OFF),),
        "app.state.waiting",
        {
            "reason": "CrashLoopBackOff",
            "message": "back-off 10s restarting failed container=app pod=p_default(u)",
        },
    ),
    Row("Completed", NEVER, (exited(NEVER, "app"),), "app.state.terminated.reason", "Completed"),
    Row("Error", NEVER, (exited(NEVER, "app", 143),), "app.state.terminated.reason", "Error"),
    Row(
        "OOMKilled",
        NEVER,
        (exited(NEVER, "app", 137, oom_killed=True),),
        "app.state.terminated.reason",
        "OOMKilled",
    ),
    Row(
        "OOMKilled even with code 0",
        NEVER,
        (exited(NEVER, "app", 0, oom_killed=True),),
        "app.state.terminated.reason",
        "OOMKilled",
    ),
    Row(
        "StartError",
        NEVER,
        (exited(NEVER, "app", 128, start_error="no such file"),),
        "app.state.terminated",
        {"exitCode": 128, "reason": "StartError", "message": "no such file", "startedAt": "12:00:00"},
    ),
    Row(
        "ContainerStatusUnknown: a container of a pod that is over, initialized, and shows no end",
        TWO,
        (exited(TWO, "a"),),
        "b.state",
        LOST,
        {"record": record(DELETED)},
    ),
    Row("of the first init container", deleted(INIT), (), "init.state", LOST, {"record": record(DELETED)}),
    Row(
        "but not of an app that was held back",
        deleted(INIT),
        (),
        "app.state.waiting.reason",
        "PodInitializing",
        {"record": record(DELETED)},
    ),
    Row(
        "DeadlineExceeded: reason",
        NEVER,
        (exited(NEVER, "app"),),
        "reason",
        "DeadlineExceeded",
        {"record": record(DEADLINE)},
    ),
    Row(
        "DeadlineExceeded: Failed whatever the code",
        NEVER,
        (exited(NEVER, "app"),),
        "phase",
        "Failed",
        {"record": record(DEADLINE)},
    ),
    Row(
        "a reason is told when nothing runs", NEVER, running(NEVER, "app"), "reason", None, {"record": record(DEADLINE)}
    ),
]


ALL = [*CONTAINERS, *REASONS]


@pytest.mark.parametrize("row", ALL, ids=[row.rule for row in ALL])
def test_a_rule(row: Row):
    assert broken(row) == []


def test_every_rule_has_its_own_name():
    assert len({row.rule for row in ALL}) == len(ALL)


def test_a_failed_post_start_is_the_reason_to_wait():
    p = pod(container("app", lifecycle={"postStart": EXEC}), policy="Always")
    (app,) = running(p, "app")
    begun = decide(given(p, app))
    failed = HookFailed(key="app", container_id=ContainerID("app-0"), hook="PostStart")
    stopped = decide(given(p, app, record=begun.record, memory=begun.memory, news=(failed,)))
    down = decide(given(p, exited(p, "app", 137), record=stopped.record, memory=stopped.memory))
    assert down.status["containerStatuses"][0]["state"]["waiting"]["reason"] == "PostStartHookError"


def test_lists_are_in_order_and_lose_nobody():
    p = pod(container("b"), marked("c"), container("a"), inits=(native("z"), container("y")))
    for instances in ((), running(p, "z"), running(p, "a", "b", "c", "z")):
        status = decide(given(p, *instances)).status
        assert [s["name"] for s in status["containerStatuses"]] == ["a", "b", "c"]
        assert [s["name"] for s in status["initContainerStatuses"]] == ["z", "y"]


def test_a_probe_decides_on_ready():
    p = pod(container("app", readinessProbe=EXEC))
    (app,) = running(p, "app")
    for verdict, ready in ((None, False), (False, False), (True, True)):
        status = decide(given(p, app, verdicts={app.id: Verdicts(ready=verdict)})).status
        assert status["containerStatuses"][0]["ready"] is ready
