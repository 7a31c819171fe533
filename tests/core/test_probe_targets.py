"""Which probes run when: pkg/kubelet/prober/prober_manager.go and worker.go."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.given import at, container, deleted, exited, given, marked, native, pod, running, state
from tests.core.told import EXEC
from vkprovider.core.actions import ProbeTarget
from vkprovider.core.decide import decide
from vkprovider.core.record import PodRecord
from vkprovider.core.view import Verdicts
from vkprovider.model.observed import ContainerState, Run
from vkprovider.model.pod import Pod

ALL: dict[str, Any] = {"startupProbe": EXEC, "livenessProbe": EXEC, "readinessProbe": EXEC}
PROBED = pod(container("app", **ALL))
APP = running(PROBED, "app")[0]


def targets(of: Pod, *instances: ContainerState, **more: Any) -> tuple[ProbeTarget, ...]:
    return decide(given(of, *instances, **more)).probes


def kinds(of: Pod, *instances: ContainerState, **more: Any) -> list[str]:
    return [target.kind for target in targets(of, *instances, **more)]


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (Verdicts(), ["startup"]),
        (Verdicts(started=False), []),
        (Verdicts(started=True), ["liveness", "readiness"]),
        (Verdicts(started=True, live=False), ["readiness"]),
        (Verdicts(started=True, live=True, ready=False), ["liveness", "readiness"]),
    ],
)
def test_startup_comes_before_liveness_and_readiness(verdicts: Verdicts, expected: list[str]):
    assert kinds(PROBED, APP, verdicts={APP.id: verdicts}) == expected


def test_a_new_instance_starts_anew():
    again = state(PROBED, "app", attempt=1)
    assert kinds(PROBED, again, APP, verdicts={APP.id: Verdicts(started=True)}) == ["startup"]


@pytest.mark.parametrize("run", [Run.CREATED, Run.UNKNOWN, Run.EXITED])
def test_only_what_runs_is_probed(run: Run):
    assert kinds(PROBED, state(PROBED, "app", run)) == []


def test_what_was_paused_by_hand_is_probed_on():
    assert kinds(PROBED, state(PROBED, "app", Run.PAUSED)) == ["startup"]


def test_probes_begin_when_post_start_is_over():
    p = pod(container("app", readinessProbe=EXEC, lifecycle={"postStart": EXEC}))
    (app,) = running(p, "app")
    begun = decide(given(p, app))
    (hook,) = begun.actions
    assert begun.probes == ()
    assert kinds(p, app, record=begun.record, in_flight={"app": hook}) == []
    assert kinds(p, app, record=begun.record) == ["readiness"]


def test_a_container_that_is_being_stopped_alone_is_probed_on():
    p = pod(container("app", livenessProbe=EXEC, readinessProbe=EXEC, lifecycle={"postStart": EXEC, "preStop": EXEC}))
    (app,) = running(p, "app")
    record = PodRecord(start_time=at(0), hooks=("app-0/PostStart",))
    stop = decide(given(p, app, record=record, verdicts={app.id: Verdicts(live=False)}))
    (hook,) = stop.actions
    verdicts = {app.id: Verdicts(live=False, ready=True)}
    assert kinds(p, app, record=stop.record, in_flight={"app": hook}, verdicts=verdicts) == ["readiness"]


def test_init_containers_are_not_probed_and_sidecars_are():
    p = pod(container("app"), marked("m", readinessProbe=EXEC), inits=(container("i", **ALL), native("n", **ALL)))
    assert [target.container for target in targets(p, *running(p, "i"))] == []
    assert [target.container for target in targets(p, exited(p, "i"), *running(p, "n", "m"))] == ["n", "m"]


def test_at_the_end_readiness_alone_goes_on():
    p = deleted(PROBED)
    assert kinds(p, APP, verdicts={APP.id: Verdicts(started=True)}) == ["readiness"]
    assert kinds(p, APP) == []


def test_what_a_probe_needs_to_know():
    probe = {"httpGet": {"port": "http"}}
    ports = [{"name": "http", "containerPort": 80}, {"containerPort": 81}]
    p = pod(container("app", readinessProbe=probe, ports=ports))
    (target,) = targets(p, state(p, "app", start=5))
    assert (target.container_id, target.container, target.started_at) == ("app-0", "app", at(5))
    assert (target.pod_ip, target.ports) == ("10.0.0.7", (("http", 80),))
    assert target.probe == p.spec.containers[0].readiness_probe


def test_a_pod_without_an_address_is_probed_at_its_hosts():
    (target,) = targets(PROBED, APP, record=PodRecord(start_time=at(0)), sandboxes=())
    assert target.pod_ip == "127.0.0.1"


def test_a_command_sees_literal_variables_only():
    env = [
        {"name": "WORD", "value": "cheese"},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]
    probe = {"exec": {"command": ["test", "$(WORD)", "$(SECRET)", "$(NOBODY)", "$$(WORD)"]}}
    p = pod(container("app", env=env, readinessProbe=probe))
    (target,) = targets(p, *running(p, "app"))
    assert target.probe.exec is not None
    assert target.probe.exec.command == ("test", "cheese", "", "$(NOBODY)", "$(WORD)")
