"""Container statuses and the rest of a v1.PodStatus: kubelet_pods.go convertToAPIContainerStatuses."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.core.given import at, container, deleted, exited, given, marked, native, pod, running, sandbox, state
from tests.core.told import EXEC, published
from vkprovider.core.actions import StartFailed
from vkprovider.core.decide import decide
from vkprovider.core.record import PodMemory, PodRecord
from vkprovider.core.view import CoreSettings, Verdicts
from vkprovider.core.waiting import go_duration
from vkprovider.model.observed import ContainerState, Run
from vkprovider.model.pod import Pod

ALONE = pod(container("app"))
ALWAYS = pod(container("app"), policy="Always")


def shown(of: Pod, *instances: ContainerState, name: str = "app", **more: Any) -> dict[str, Any]:
    return published(decide(given(of, *instances, **more)), name)


def test_a_mount_is_shown_as_read_only_in_depth_where_the_runtime_makes_it_so() -> None:
    mount = {"name": "v", "mountPath": "/v", "readOnly": True, "recursiveReadOnly": "IfPossible"}
    of = pod(container("app", volumeMounts=[mount]))
    settings = CoreSettings(node_name="node", recursive_read_only=("", "runc"))
    for there, mode in (((), "Enabled"), (("runc",), "Enabled"), (("old",), "Disabled")):
        sandboxes = tuple(msgspec.structs.replace(sandbox(), runtime=runtime) for runtime in there)
        (status,) = shown(of, settings=settings, sandboxes=sandboxes)["volumeMounts"]
        assert status["recursiveReadOnly"] == mode


def waiting(of: Pod, *instances: ContainerState, name: str = "app", **more: Any) -> str:
    """The waiting reason."""
    return str(shown(of, *instances, name=name, **more)["state"]["waiting"]["reason"])


# --- one container -----------------------------------------------------------------------------------------------


def test_a_container_before_it_is_there():
    assert shown(ALONE) == {
        "name": "app",
        "state": {"waiting": {"reason": "ContainerCreating"}},
        "lastState": {},
        "ready": False,
        "started": False,
        "restartCount": 0,
        "image": "busybox:1.28",
        "imageID": "",
    }


def test_a_running_container():
    assert shown(ALONE, state(ALONE, "app", start=5)) == {
        "name": "app",
        "state": {"running": {"startedAt": "2026-01-01T12:00:05Z"}},
        "lastState": {},
        "ready": True,
        "started": True,
        "restartCount": 0,
        "image": "busybox:1.28",
        "imageID": "docker://sha256:1",
        "containerID": "docker://app-0",
        "resources": {},
    }


def test_a_container_that_has_ended():
    status = shown(ALONE, exited(ALONE, "app", 3, start=5, end=9, message="no cheese"))
    assert status["state"] == {
        "terminated": {
            "exitCode": 3,
            "reason": "Error",
            "startedAt": "2026-01-01T12:00:05Z",
            "finishedAt": "2026-01-01T12:00:09Z",
            "containerID": "docker://app-0",
            "message": "no cheese",
        }
    }
    assert (status["ready"], status["started"]) == (False, False)


@pytest.mark.parametrize(
    ("facts", "code", "reason"),
    [
        ({}, 0, "Completed"),
        ({}, 1, "Error"),
        ({}, 137, "Error"),
        ({"oom_killed": True}, 137, "OOMKilled"),
        ({"oom_killed": True}, 0, "OOMKilled"),
        ({"start_error": "no such file"}, 128, "StartError"),
    ],
)
def test_reasons(facts: dict[str, Any], code: int, reason: str):
    ended = shown(ALONE, exited(ALONE, "app", code, **facts))["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (code, reason)


def test_a_failed_start_has_times_and_the_engines_words():
    failed = exited(ALONE, "app", 128, start=5, start_error="no such file")
    never_ran = msgspec.structs.replace(failed, started_at=None, finished_at=None)
    ended = shown(ALONE, never_ran)["state"]["terminated"]
    assert (ended["startedAt"], ended["finishedAt"]) == ("2026-01-01T12:00:05Z",) * 2
    assert ended["message"] == "no such file"


@pytest.mark.parametrize(
    ("facts", "image_id"),
    [
        ({}, "docker://sha256:1"),
        ({"image_digest": "registry/app@sha256:2"}, "docker-pullable://registry/app@sha256:2"),
        ({"image_id": ""}, ""),
    ],
)
def test_image_ids(facts: dict[str, Any], image_id: str):
    assert shown(ALONE, state(ALONE, "app", **facts))["imageID"] == image_id


def test_the_image_is_the_name_the_instance_was_made_with():
    newer = pod(container("app", image="busybox:2"))
    assert shown(newer)["image"] == "busybox:2"
    assert shown(newer, *running(ALONE, "app"))["image"] == "busybox:1.28"


@pytest.mark.parametrize("run", [Run.PAUSED, Run.UNKNOWN])
def test_what_may_run_is_shown_as_running(run: Run):
    assert "running" in shown(ALONE, state(ALONE, "app", run))["state"]


def test_a_container_in_the_making_is_waiting():
    assert waiting(ALONE, state(ALONE, "app", Run.CREATED)) == "ContainerCreating"


# --- restarts ----------------------------------------------------------------------------------------------------


def test_a_restarted_container_shows_how_the_one_before_ended():
    first, second = exited(ALWAYS, "app", 1, attempt=0), state(ALWAYS, "app", attempt=1, start=10)
    status = shown(ALWAYS, second, first)
    assert (status["restartCount"], status["containerID"]) == (1, "docker://app-1")
    assert status["lastState"]["terminated"]["containerID"] == "docker://app-0"
    assert status["lastState"]["terminated"]["exitCode"] == 1


def test_the_restart_count_rises_when_the_next_instance_is_made():
    down = exited(ALWAYS, "app", 1, attempt=4, start=90, end=99, backoff_seconds=80)
    assert shown(ALWAYS, down)["restartCount"] == 4
    assert shown(ALWAYS, state(ALWAYS, "app", Run.CREATED, attempt=5), down)["restartCount"] == 5


def test_what_will_run_again_is_never_shown_as_terminated():
    down = exited(ALWAYS, "app", 1, attempt=1, start=90, end=99, backoff_seconds=10)
    status = shown(ALWAYS, down)
    assert status["state"] == {
        "waiting": {
            "reason": "CrashLoopBackOff",
            "message": "back-off 10s restarting failed container=app pod=p_default(u)",
        }
    }
    assert status["lastState"]["terminated"]["exitCode"] == 1


@pytest.mark.parametrize(
    ("seconds", "shown_as"),
    [(0, "0s"), (10, "10s"), (80, "1m20s"), (300, "5m0s"), (3600, "1h0m0s"), (7261.5, "2h1m1.5s")],
)
def test_durations_are_written_as_go_does(seconds: float, shown_as: str):
    assert go_duration(seconds) == shown_as


@pytest.mark.parametrize(("policy", "code"), [("Never", 0), ("Never", 1), ("OnFailure", 0)])
def test_what_will_not_run_again_is_shown_as_terminated_while_others_run(policy: str, code: int):
    p = pod(container("app"), container("other"), policy=policy)
    status = shown(p, exited(p, "app", code), *running(p, "other"))
    assert status["state"]["terminated"]["exitCode"] == code


def test_a_container_of_a_lost_sandbox_waits_for_the_new_one():
    dead = exited(ALWAYS, "app", 137)
    status = shown(ALWAYS, dead, sandboxes=(sandbox(1), sandbox(0, ready=False)))
    assert status["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert status["lastState"]["terminated"]["exitCode"] == 137


# --- why a container waits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("CreateContainerConfigError", 'configmap "c" not found'),
        ("CreateContainerError", "invalid mount config"),
        ("RunContainerError", "nobody knows"),
        ("InvalidImageName", 'Failed to apply default image tag "A": couldn\'t parse image name "A"'),
        ("ErrImageNeverPull", 'Container image "busybox:1.28" is not present with pull policy of Never'),
        ("ErrImagePull", "no such host"),
    ],
)
def test_a_failed_start_is_the_reason_to_wait(reason: str, message: str):
    news = StartFailed(key="app", attempt=0, reason=reason, message=message, image="busybox:1.28")
    assert shown(ALONE, news=(news,))["state"] == {"waiting": {"reason": reason, "message": message}}


def test_a_failed_pull_is_shown_as_such_for_a_moment_and_then_as_a_back_off():
    news = StartFailed(key="app", attempt=0, reason="ErrImagePull", message="no such host", image="busybox:1.28")
    failed = decide(given(ALONE, when=10, news=(news,)))
    assert (failed.wake_at, [e.reason for e in failed.events]) == (at(11), ["Failed", "Failed"])
    later = decide(given(ALONE, when=11, memory=failed.memory))
    assert published(later, "app")["state"]["waiting"] == {
        "reason": "ImagePullBackOff",
        "message": 'Back-off pulling image "busybox:1.28": ErrImagePull: no such host',
    }
    assert later.wake_at == at(20)
    assert [(e.type, e.reason, e.message) for e in later.events] == [
        ("Normal", "BackOff", 'Back-off pulling image "busybox:1.28"'),
        ("Warning", "Failed", "Error: ImagePullBackOff"),
    ]
    assert decide(given(ALONE, when=12, memory=later.memory)).events == ()


def test_a_failed_restart_says_so_and_keeps_the_last_end():
    news = StartFailed(key="app", attempt=1, reason="CreateContainerError", message="no", image="busybox:1.28")
    status = shown(ALWAYS, exited(ALWAYS, "app", 1), news=(news,))
    assert status["state"] == {"waiting": {"reason": "CreateContainerError", "message": "no"}}
    assert status["lastState"]["terminated"]["exitCode"] == 1


def test_with_init_containers_everybody_waits_for_the_pod_to_initialize():
    p = pod(container("app"), inits=(container("init"),))
    assert waiting(p) == waiting(p, name="init") == "PodInitializing"
    assert waiting(p, exited(p, "init")) == "PodInitializing"


def test_apps_that_marked_sidecars_hold_back_wait_for_the_pod_to_initialize():
    p = pod(container("app"), marked("one"), marked("two"))
    assert waiting(p, *running(p, "one")) == "PodInitializing"
    assert waiting(p, *running(p, "one"), name="two") == "ContainerCreating"
    assert waiting(p, *running(p, "one", "two")) == "ContainerCreating"


# --- ready and started -------------------------------------------------------------------------------------------


def test_an_init_container_is_ready_when_it_has_succeeded():
    p = pod(container("app"), inits=(container("init"),), policy="OnFailure")
    assert (shown(p, *running(p, "init"), name="init")["ready"], shown(p, exited(p, "init"), name="init")["ready"]) == (
        False,
        True,
    )
    assert shown(p, exited(p, "init", 1), name="init")["ready"] is False
    assert shown(p, exited(p, "init", 0, oom_killed=True), name="init")["ready"] is False


@pytest.mark.parametrize(("name", "started"), [("init", True), ("side", False)])
def test_started_is_told_of_every_container(name: str, started: bool):
    p = pod(container("app"), inits=(container("init"), native("side", startupProbe=EXEC)))
    assert shown(p, *running(p, name), name=name)["started"] is started
    instance = running(p, "side")[0]
    verdicts = {instance.id: Verdicts(started=True)}
    assert shown(p, instance, name="side", verdicts=verdicts)["started"] is True


def test_a_container_has_started_when_its_post_start_hook_is_over():
    p = pod(container("app", lifecycle={"postStart": EXEC}))
    (app,) = running(p, "app")
    first = decide(given(p, app))
    assert published(first, "app")["started"] is False
    during = {"record": first.record, "in_flight": {"app": first.actions[0]}}
    assert shown(p, app, **during)["started"] is False
    assert shown(p, app, record=first.record)["started"] is True


# --- the end -----------------------------------------------------------------------------------------------------


def test_apps_that_never_ran_beside_one_that_did_are_lost():
    p = deleted(pod(container("app"), container("other")))
    decision = decide(given(p, exited(p, "app")))
    assert published(decision, "other")["state"] == {
        "terminated": {
            "exitCode": 137,
            "reason": "ContainerStatusUnknown",
            "message": "The container could not be located when the pod was terminated",
            "startedAt": None,
            "finishedAt": None,
        }
    }


def test_apps_of_a_pod_that_was_never_initialized_go_on_waiting():
    p = deleted(pod(container("app"), inits=(container("init"),)))
    assert waiting(p, exited(p, "init", 143)) == "PodInitializing"


def test_addresses_outlive_the_sandbox():
    record = PodRecord(start_time=at(0), ips=("10.0.0.7", "fd00::7"))
    status = decide(given(ALONE, exited(ALONE, "app"), sandboxes=(), record=record)).status
    assert (status["podIP"], status["podIPs"]) == ("10.0.0.7", [{"ip": "10.0.0.7"}, {"ip": "fd00::7"}])
    assert (status["hostIP"], status["hostIPs"]) == ("127.0.0.1", [{"ip": "127.0.0.1"}])


def test_before_the_sandbox_there_is_no_address():
    status = decide(given(ALONE, sandboxes=(), record=PodRecord())).status
    assert "podIP" not in status
    assert status["startTime"] == "2026-01-01T12:01:40Z"


def test_a_pod_on_the_hosts_network_has_its_address():
    p = pod(container("app"), hostNetwork=True)
    status = decide(given(p, record=PodRecord(start_time=at(0)))).status
    assert status["podIP"] == status["hostIP"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("resources", "qos"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
    ],
)
def test_the_quality_of_service(resources: dict[str, Any], qos: str):
    assert decide(given(pod(container("app", resources=resources)))).status["qosClass"] == qos


def test_the_reason_of_a_deadline_is_told_when_the_pod_has_failed():
    p = pod(container("app"), activeDeadlineSeconds=60)
    ends = decide(given(p, *running(p, "app"), when=60))
    assert "reason" not in ends.status
    over = decide(given(p, exited(p, "app", 143), record=ends.record)).status
    assert (over["phase"], over["reason"]) == ("Failed", "DeadlineExceeded")


def test_the_order_of_statuses():
    p = pod(container("b"), marked("c"), container("a"), inits=(native("z"), container("y")))
    status = decide(given(p)).status
    assert [s["name"] for s in status["initContainerStatuses"]] == ["z", "y"]
    assert [s["name"] for s in status["containerStatuses"]] == ["a", "b", "c"]
    assert "initContainerStatuses" not in decide(given(ALONE)).status


def test_a_terminal_status_stands_even_if_the_containers_are_gone():
    over = decide(given(ALONE, exited(ALONE, "app", 3)))
    later = decide(given(ALONE, sandboxes=(), record=over.record, memory=PodMemory()))
    assert later.status == over.status
