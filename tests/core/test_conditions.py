"""The conditions of a pod: pkg/kubelet/status/generate.go, type by type."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.core.given import T0, at, container, deleted, exited, given, marked, native, pod, running
from tests.core.told import EXEC, stopped
from vkprovider.core.actions import Decision
from vkprovider.core.decide import decide
from vkprovider.core.view import Verdicts
from vkprovider.model.observed import ContainerState
from vkprovider.model.pod import Pod, decode_pod

TYPES = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]
ALONE = pod(container("app"))


def conditions(decision: Decision) -> dict[str, dict[str, Any]]:
    return {condition["type"]: condition for condition in decision.status["conditions"]}


def told(of: Pod, *instances: ContainerState, **more: Any) -> dict[str, tuple[str, str, str]]:
    """Each condition's status, reason and message."""
    found = conditions(decide(given(of, *instances, **more)))
    return {name: (c["status"], c.get("reason", ""), c.get("message", "")) for name, c in found.items()}


YES = ("True", "", "")


def test_their_order_and_fields():
    decision = decide(given(ALONE, *running(ALONE, "app")))
    assert [c["type"] for c in decision.status["conditions"]] == TYPES
    ready = conditions(decision)["Ready"]
    now = "2026-01-01T12:01:40Z"
    assert ready == {"type": "Ready", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}


def test_a_pod_is_scheduled_for_as_long_as_a_node_has_it():
    assert told(ALONE, sandboxes=())["PodScheduled"] == YES
    assert told(ALONE, exited(ALONE, "app"))["PodScheduled"] == YES


def test_a_sandbox_makes_a_pod_ready_to_start_containers():
    assert told(ALONE, sandboxes=())["PodReadyToStartContainers"] == ("False", "", "")
    assert told(ALONE)["PodReadyToStartContainers"] == YES
    assert told(ALONE, exited(ALONE, "app"))["PodReadyToStartContainers"] == ("False", "", "")


INITS = pod(container("app"), inits=(container("one"), native("side", startupProbe=EXEC), container("two")))


def initialized(*names: str) -> tuple[str, str, str]:
    return "False", "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(names)}]"


def test_initialized():
    one, side, two = exited(INITS, "one"), *running(INITS, "side", "two")
    started = {side.id: Verdicts(started=True)}
    assert told(ALONE, sandboxes=())["Initialized"] == YES
    assert told(INITS)["Initialized"] == initialized("one", "side", "two")
    assert told(INITS, one, side)["Initialized"] == initialized("side", "two")
    assert told(INITS, one, side, two, verdicts=started)["Initialized"] == initialized("two")
    over = (one, side, exited(INITS, "two"))
    assert told(INITS, *over, verdicts=started)["Initialized"] == YES


def test_a_pod_whose_apps_have_run_is_initialized_whatever_becomes_of_its_sidecars():
    app, down = running(INITS, "app"), exited(INITS, "side", 1)
    assert told(INITS, *app, down)["Initialized"] == YES


@pytest.mark.parametrize("oom", [True, False])
def test_a_failed_init_container_leaves_a_pod_uninitialized(oom: bool):
    p = pod(container("app"), inits=(container("init"),))
    failed = exited(p, "init", 0 if oom else 1, oom_killed=oom)
    assert told(p, failed)["Initialized"] == initialized("init")


def unready(*names: str) -> tuple[str, str, str]:
    return "False", "ContainersNotReady", f"containers with unready status: [{' '.join(names)}]"


def test_containers_are_ready_when_each_is_and_sidecars_are_named_first():
    p = pod(container("app"), marked("m"), container("other"), inits=(container("init"), native("n")))
    init = exited(p, "init")
    assert told(p)["ContainersReady"] == told(p)["Ready"] == unready("n", "app", "m", "other")
    assert told(p, init, *running(p, "n", "m", "other"))["ContainersReady"] == unready("app")
    everyone = running(p, "n", "m", "app", "other")
    assert told(p, init, *everyone)["ContainersReady"] == told(p, init, *everyone)["Ready"] == YES


def test_a_readiness_probe_decides():
    p = pod(container("app", readinessProbe=EXEC))
    (app,) = running(p, "app")
    assert told(p, app)["Ready"] == unready("app")
    assert told(p, app, verdicts={app.id: Verdicts(ready=False)})["Ready"] == unready("app")
    assert told(p, app, verdicts={app.id: Verdicts(ready=True)})["Ready"] == YES
    going = deleted(p)
    assert told(going, app, verdicts={app.id: Verdicts(ready=True)})["Ready"] == YES
    assert told(going, app, verdicts={app.id: Verdicts(ready=False)})["Ready"] == unready("app")


def test_what_has_not_started_is_not_ready():
    p = pod(container("app", startupProbe=EXEC, readinessProbe=EXEC))
    (app,) = running(p, "app")
    assert told(p, app, verdicts={app.id: Verdicts(ready=True)})["Ready"] == unready("app")


def test_a_container_may_be_left_out():
    ignored = {"name": "__IGNORE_READY__", "value": "true"}
    p = pod(container("app"), marked("side", env=[ignored], readinessProbe=EXEC))
    assert told(p, *running(p, "app", "side"))["Ready"] == YES


@pytest.mark.parametrize(("code", "reason"), [(0, "PodCompleted"), (1, "PodFailed")])
def test_at_the_end_nothing_is_ready(code: int, reason: str):
    found = told(ALONE, exited(ALONE, "app", code))
    assert found["Ready"] == found["ContainersReady"] == ("False", reason, "")
    assert found["Initialized"] == ("True", "PodCompleted" if code == 0 else "", "")


def test_a_forgiven_sidecar_leaves_a_completed_pod():
    p = pod(container("app"), inits=(native("s"),))
    found = told(p, exited(p, "app"), exited(p, "s", 137), record=stopped("s"))
    assert found["Ready"] == ("False", "PodCompleted", "")


GATES = [{"conditionType": "www.example.com/one"}, {"conditionType": "two"}]


def gated(**present: str) -> Pod:
    metadata = {"name": "p", "namespace": "default", "uid": "u"}
    stand = [{"type": name, "status": status} for name, status in present.items()]
    spec = {"containers": [container("app")], "restartPolicy": "Never", "readinessGates": GATES}
    return decode_pod({"metadata": metadata, "spec": spec, "status": {"conditions": stand}})


ONE_MISSING = 'corresponding condition of pod readiness gate "www.example.com/one" does not exist.'
TWO_FALSE = 'the status of pod readiness gate "two" is not "True", but False'


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        ({"www.example.com/one": "True", "two": "True"}, YES),
        ({"two": "True"}, ("False", "ReadinessGatesNotReady", ONE_MISSING)),
        ({"www.example.com/one": "True", "two": "False"}, ("False", "ReadinessGatesNotReady", TWO_FALSE)),
        ({"two": "False"}, ("False", "ReadinessGatesNotReady", f"{ONE_MISSING}, {TWO_FALSE}")),
    ],
)
def test_readiness_gates(present: dict[str, str], expected: tuple[str, str, str]):
    p = gated(**present)
    found = told(p, *running(p, "app"))
    assert (found["Ready"], found["ContainersReady"]) == (expected, YES)


def test_readiness_gates_are_looked_at_when_the_containers_are_ready():
    assert told(gated(two="False"))["Ready"] == unready("app")


def test_a_transition_time_changes_only_with_the_status():
    p = pod(container("app", readinessProbe=EXEC))
    (app,) = running(p, "app")
    looks = [(10, None), (20, False), (30, True), (40, True), (50, False)]
    memory, seen = given(p).memory, []
    for when, verdict in looks:
        verdicts = {app.id: Verdicts(ready=verdict)}
        decision = decide(given(p, app, when=when, verdicts=verdicts, memory=memory))
        memory = decision.memory
        seen.append(conditions(decision)["Ready"]["lastTransitionTime"][-3:-1])
    assert seen == ["10", "10", "30", "30", "50"]


def test_a_new_process_goes_on_from_what_is_published():
    published = [
        {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T12:00:03Z"},
        {"type": "Initialized", "status": "False", "lastTransitionTime": "2026-01-01T12:00:03Z"},
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": None},
    ]
    p = decode_pod(ALONE.raw | {"status": {"conditions": published}})
    found = conditions(decide(given(p, *running(p, "app"), when=7)))
    times = {name: c["lastTransitionTime"] for name, c in found.items()}
    assert times == {name: "2026-01-01T12:00:07Z" for name in TYPES} | {"Ready": "2026-01-01T12:00:03Z"}


def test_the_generation_that_was_looked_at_is_told():
    p = msgspec.structs.replace(ALONE, metadata=msgspec.structs.replace(ALONE.metadata, generation=3))
    decision = decide(given(p))
    assert decision.status["observedGeneration"] == 3
    assert {c["observedGeneration"] for c in decision.status["conditions"]} == {3}
    assert "observedGeneration" not in decide(given(ALONE)).status


def test_times_are_whole_seconds():
    decision = decide(given(ALONE, when=1.999))
    assert conditions(decision)["Ready"]["lastTransitionTime"] == "2026-01-01T12:00:01Z"
    assert decision.memory.conditions["Ready"].since == at(1.999)
    assert decision.status["startTime"] == T0.strftime("%Y-%m-%dT%H:%M:%SZ")
