"""A container's own restart policy and rules (pkg/api/v1/pod/util.go ContainerShouldRestart), and the back-off of what
vkprovider stopped itself (kuberuntime_manager.go doBackOff, which knows only instances that had ended before).
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.core.given import at, container, exited, given, native, pod, running, state
from tests.core.told import EXEC, published, signals, stopped
from vkprovider.core.actions import Decision, PullImage, StartContainer, StartFailed
from vkprovider.core.decide import decide
from vkprovider.core.record import ImageReady, PodMemory, PodRecord
from vkprovider.core.view import Verdicts
from vkprovider.model.observed import ContainerState
from vkprovider.model.pod import Pod

POLICIES = ("Always", "OnFailure", "Never")


def starts(decision: Decision) -> list[str]:
    return [a.key for a in decision.actions if isinstance(a, PullImage | StartContainer)]


def started(of: Pod, *instances: ContainerState, **more: Any) -> list[str]:
    return starts(decide(given(of, *instances, **more)))


def rule(operator: str, *values: int) -> dict[str, Any]:
    return {"action": "Restart", "exitCodes": {"operator": operator, "values": list(values)}}


# --- a container's own policy ------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("own", "code", "again"),
    [
        ("Always", 0, True),
        ("Always", 1, True),
        ("OnFailure", 0, False),
        ("OnFailure", 1, True),
        ("Never", 0, False),
        ("Never", 1, False),
    ],
)
def test_its_own_policy_comes_before_the_pods(policy: str, own: str, code: int, again: bool):
    p = pod(container("app", restartPolicy=own), container("other"), policy=policy)
    assert started(p, exited(p, "app", code), *running(p, "other")) == (["app"] if again else [])


@pytest.mark.parametrize(
    ("rules", "code", "again"),
    [
        ([rule("In", 3, 4)], 4, True),
        ([rule("In", 3, 4)], 5, False),
        ([rule("NotIn", 3)], 5, True),
        ([rule("NotIn", 3)], 3, False),
        ([rule("In", 3), rule("In", 5)], 5, True),
        ([rule("In", 0)], 0, True),
    ],
)
def test_the_first_rule_that_fits_restarts(rules: list[dict[str, Any]], code: int, again: bool):
    p = pod(container("app", restartPolicy="Never", restartPolicyRules=rules), container("other"), policy="Never")
    assert started(p, exited(p, "app", code), *running(p, "other")) == (["app"] if again else [])


def test_a_pod_ends_when_no_policy_restarts_anything():
    p = pod(container("a", restartPolicy="Never"), container("b", restartPolicy="OnFailure"), policy="Always")
    decision = decide(given(p, exited(p, "a", 1), exited(p, "b", 0)))
    assert decision.record.ending is not None
    assert decide(given(p, exited(p, "a", 1), exited(p, "b", 0), record=decision.record)).status["phase"] == "Failed"


@pytest.mark.parametrize(
    ("policy", "fields", "code", "again"),
    [
        ("Always", {"restartPolicy": "Never"}, 1, False),
        ("Never", {"restartPolicy": "OnFailure"}, 1, True),
        ("Never", {"restartPolicy": "Never", "restartPolicyRules": [rule("In", 42)]}, 42, True),
        ("Never", {"restartPolicy": "Never", "restartPolicyRules": [rule("In", 42)]}, 43, False),
    ],
)
def test_an_init_container_with_its_own_policy(policy: str, fields: dict[str, Any], code: int, again: bool):
    p = pod(container("app"), inits=(container("init", **fields),), policy=policy)
    decision = decide(given(p, exited(p, "init", code)))
    assert starts(decision) == (["init"] if again else [])
    assert (decision.record.ending is None) is again


def test_an_init_container_that_ended_well_is_over_whatever_its_policy():
    p = pod(container("app"), inits=(container("init", restartPolicy="OnFailure"),), policy="Always")
    assert started(p, exited(p, "init", 0)) == ["app"]


# --- probes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "own", "again"),
    [("Always", None, True), ("OnFailure", None, True), ("Never", None, False), ("Never", "OnFailure", True)],
)
@pytest.mark.parametrize("code", [0, 143])
def test_after_a_failed_probe_the_exit_code_is_no_matter(policy: str, own: str | None, again: bool, code: int):
    fields = {} if own is None else {"restartPolicy": own}
    p = pod(container("app", livenessProbe=EXEC, **fields), container("other"), policy=policy)
    app, other = running(p, "app", "other")
    stop = decide(given(p, app, other, verdicts={app.id: Verdicts(live=False)}))
    message = "Container app failed liveness probe" + (", will be restarted" if again else "")
    assert [e.message for e in stop.events] == [message]
    assert started(p, exited(p, "app", code), other, record=stop.record) == (["app"] if again else [])


def test_after_a_failed_probe_rules_are_not_asked():
    fields = {"restartPolicy": "Never", "restartPolicyRules": [rule("In", 143)]}
    p = pod(container("app", livenessProbe=EXEC, **fields), container("other"))
    app, other = running(p, "app", "other")
    stop = decide(given(p, app, other, verdicts={app.id: Verdicts(live=False)}))
    assert started(p, exited(p, "app", 143), other, record=stop.record) == []


# --- the back-off of what was stopped ----------------------------------------------------------------------------

ALWAYS = pod(container("app"), policy="Always")


def killed(attempt: int, start: float, end: float, label: int) -> ContainerState:
    return exited(ALWAYS, "app", 137, attempt=attempt, start=start, end=end, backoff_seconds=label)


def stop_of(attempt: int, cause: str = "liveness") -> PodRecord:
    record = msgspec.structs.replace(stopped("app", cause=cause), ending=None)
    (stop,) = record.stops.values()
    return msgspec.structs.replace(record, stops={state(ALWAYS, "app", attempt=attempt).id: stop})


@pytest.mark.parametrize(
    ("started_at", "ended_at", "label", "due"),
    [
        (12, 45, 10, 45),  # 35 s after the one before had ended: its back-off of 10 s is long over
        (12, 45, 40, 85),  # not over: the start is refused, and then this end counts
        (12, 50, 40, 50),
    ],
)
def test_a_probe_that_fails_again_and_again_backs_off(started_at: float, ended_at: float, label: int, due: float):
    before = exited(ALWAYS, "app", 137, attempt=1, start=0, end=10)
    instances = (killed(2, started_at, ended_at, label), before)
    record = stop_of(2)
    assert started(ALWAYS, *instances, when=ended_at, record=record) == (["app"] if due == ended_at else [])
    assert started(ALWAYS, *instances, when=due, record=record) == ["app"]


@pytest.mark.parametrize(
    ("cause", "label"), [("liveness", 0), ("startup", 0), ("definition", 0), ("sandbox", 0), ("hook", 10), (None, 10)]
)
def test_the_first_label_counts_crashes_only(cause: str | None, label: int):
    image = ImageReady(attempt=1, image="busybox:1.28", image_id="i")
    record = stop_of(0, cause) if cause else PodRecord(start_time=at(0))
    memory = PodMemory(volumes_ready=True, images={"app": image})
    (start,) = decide(given(ALWAYS, killed(0, 0, 50, 0), record=record, memory=memory)).actions
    assert isinstance(start, StartContainer)
    assert start.backoff_seconds == label


def test_a_probe_that_fails_with_a_record_before_doubles_the_label():
    image = ImageReady(attempt=2, image="busybox:1.28", image_id="i")
    memory = PodMemory(volumes_ready=True, images={"app": image})
    instances = (killed(1, 20, 60, 10), killed(0, 0, 20, 0))
    (start,) = decide(given(ALWAYS, *instances, record=stop_of(1), memory=memory)).actions
    assert isinstance(start, StartContainer)
    assert start.backoff_seconds == 20


def test_a_failed_post_start_hook_backs_off_as_a_crash():
    down = exited(ALWAYS, "app", 137, end=99, backoff_seconds=20)
    decision = decide(given(ALWAYS, down, record=stop_of(0, "hook")))
    assert (starts(decision), decision.wake_at) == ([], at(119))


# --- another image -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "CreateContainerError"])
def test_another_image_is_tried_at_once(reason: str):
    bad, good = (pod(container("app", image=image)) for image in ("bad:1", "good:1"))
    failed = StartFailed(key="app", attempt=0, reason=reason, message="no", image="bad:1" if "Image" in reason else "")
    first = decide(given(bad, news=(failed,)))
    assert starts(first) == []
    (pull,) = decide(given(good, memory=first.memory)).actions
    assert isinstance(pull, PullImage)
    assert pull.image == "good:1"


def test_the_back_off_of_another_image_begins_anew():
    memory = PodMemory(volumes_ready=True)
    for image, wait in (("bad:1", 10), ("bad:1", 20), ("bad:2", 10)):
        failed = StartFailed(key="app", attempt=0, reason="ErrImagePull", message="no", image=image)
        memory = decide(given(pod(container("app", image=image)), news=(failed,), memory=memory)).memory
        assert memory.failures["app"].retry_at == at(100 + wait)


def test_a_native_sidecar_that_fails_its_probe_waits_for_nobody():
    p = pod(container("app"), inits=(native("side", livenessProbe=EXEC),))
    side, app = running(p, "side", "app")
    stop = decide(given(p, side, app, verdicts={side.id: Verdicts(live=False)}))
    assert signals(stop) == [("side", "TERM")]
    again = decide(given(p, exited(p, "side", 143), app, record=stop.record))
    assert starts(again) == ["side"]
    assert published(again, "app")["state"].keys() == {"running"}
