"""The end of a pod: docs/reference/sidecars.md, "The end of a pod", and "Forgiveness"."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.core.given import at, container, deleted, exited, given, marked, native, pod, running, sandbox, state
from vkprovider.core.actions import (
    Decision,
    HookFailed,
    PullImage,
    RemoveSandbox,
    RunHook,
    SignalContainer,
    SignalSent,
    StartContainer,
    TeardownPod,
    TornDown,
)
from vkprovider.core.decide import decide
from vkprovider.core.record import Ending, PodRecord, Stop
from vkprovider.core.sidecars import classify
from vkprovider.core.view import CoreSettings, PodView, Verdicts
from vkprovider.model.observed import ContainerState, Run
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ContainerID

EXEC = {"exec": {"command": ["true"]}}
FORGIVEN = "Force this container to be success({}, Error, )"


def signals(decision: Decision) -> list[tuple[str, str]]:
    return [(a.key, a.signal or "TERM") for a in decision.actions if isinstance(a, SignalContainer)]


def confirmed(before: Decision, *more: Any) -> dict[str, Any]:
    """The record of a decision, and the news that its signals were sent."""
    sent = [a for a in before.actions if isinstance(a, SignalContainer)]
    news = tuple(SignalSent(key=a.key, container_id=a.container_id, signal=a.signal) for a in sent)
    return {"record": before.record, "news": news + more}


def published(decision: Decision, name: str) -> dict[str, Any]:
    statuses = decision.status.get("initContainerStatuses", []) + decision.status["containerStatuses"]
    return next(s for s in statuses if s["name"] == name)


JOB = pod(container("app"), marked("side"))


def test_the_end_of_the_seed_job():
    side = running(JOB, "side")
    apps_done = decide(given(JOB, *side, exited(JOB, "app"), when=10))
    assert signals(apps_done) == [("side", "TERM")]
    assert [(e.reason, e.message) for e in apps_done.events] == [("Killing", "Stopping container side")]
    assert apps_done.status["phase"] == "Running"
    assert apps_done.wake_at == at(40)

    waiting = decide(given(JOB, *side, exited(JOB, "app"), when=11, **confirmed(apps_done)))
    assert signals(waiting) == []
    assert waiting.wake_at == at(40)

    deadline = decide(given(JOB, *side, exited(JOB, "app"), when=40, record=waiting.record))
    assert signals(deadline) == [("side", "KILL")]

    dead = exited(JOB, "side", 137, end=40)
    over = decide(given(JOB, dead, exited(JOB, "app"), when=41, **confirmed(deadline)))
    assert over.status["phase"] == "Succeeded"
    assert over.actions == (RemoveSandbox(sandbox_id=sandbox().id),)
    status = published(over, "side")
    terminated = status["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (0, "Completed")
    assert terminated["message"] == FORGIVEN.format(137)
    assert (status["ready"], status["restartCount"]) == (False, 0)


def test_term_is_sent_again_only_if_it_was_not_confirmed():
    first = decide(given(JOB, *running(JOB, "side"), exited(JOB, "app"), when=10))
    crashed = given(JOB, *running(JOB, "side"), exited(JOB, "app"), when=12, record=first.record)
    assert signals(decide(crashed)) == [("side", "TERM")]
    assert decide(crashed).record.stops[ContainerID("side-0")].kill_at == at(40)


def test_kill_is_repeated_until_the_container_is_dead():
    first = decide(given(JOB, *running(JOB, "side"), exited(JOB, "app"), when=10))
    kill = decide(given(JOB, *running(JOB, "side"), exited(JOB, "app"), when=40, record=first.record))
    later = given(JOB, *running(JOB, "side"), exited(JOB, "app"), when=45, **confirmed(kill))
    assert signals(decide(later)) == []
    again = given(JOB, *running(JOB, "side"), exited(JOB, "app"), when=56, record=decide(later).record)
    assert signals(decide(again)) == [("side", "KILL")]


ORDER = pod(
    container("app1"),
    marked("m1"),
    marked("m2"),
    container("app2"),
    inits=(native("n1"), native("n2")),
)


def test_the_stop_order_is_the_reverse_of_the_start_order():
    alive = ["app1", "app2", "m1", "m2", "n1", "n2"]
    p = deleted(ORDER, when=10)
    record = PodRecord(start_time=at(0))
    order = []
    first_events = None
    while alive:
        instances = [state(p, n) if n in alive else exited(p, n, 143, end=11) for n in alive_first(p, alive)]
        decision = decide(given(p, *instances, when=10, record=record))
        first_events = first_events or decision.events
        wave = [name for name, _ in signals(decision)]
        order.append(wave)
        record = decide(given(p, *instances, when=10, **confirmed(decision))).record
        alive = [n for n in alive if n not in wave]
    assert order == [["app1", "app2"], ["m2"], ["m1"], ["n2"], ["n1"]]
    assert {e.message for e in first_events or ()} == {f"Stopping container {r.name}" for r in classify(p).all}


def alive_first(p: Pod, alive: list[str]) -> list[str]:
    return sorted((r.name for r in classify(p).all), key=lambda n: n not in alive)


def test_when_the_grace_is_used_up_everybody_gets_term_at_once_and_two_seconds():
    p = pod(container("app"), marked("m1"), marked("m2"), terminationGracePeriodSeconds=5)
    m = running(p, "m1", "m2")
    first = decide(given(p, *m, exited(p, "app"), when=10))
    assert signals(first) == [("m2", "TERM")]
    deadline = decide(given(p, *m, exited(p, "app"), when=15, **confirmed(first)))
    assert signals(deadline) == [("m1", "TERM"), ("m2", "KILL")]
    assert deadline.record.stops[ContainerID("m1-0")].kill_at == at(17)
    last = decide(given(p, m[0], exited(p, "m2", 137), exited(p, "app"), when=17, **confirmed(deadline)))
    assert signals(last) == [("m1", "KILL")]


def test_pre_stop_of_all_runs_when_the_end_begins_and_comes_before_term():
    hook = {"preStop": EXEC}
    p = deleted(pod(container("app", lifecycle=hook), marked("side", lifecycle=hook)))
    alive = running(p, "app", "side")
    first = decide(given(p, *alive, when=0))
    assert [(type(a), a.key) for a in first.actions] == [(RunHook, "app"), (RunHook, "side")]
    flight = {a.key: a for a in first.actions}
    during = decide(given(p, *alive, when=1, record=first.record, in_flight=flight))
    assert during.actions == ()
    side_done = decide(given(p, *alive, when=2, record=first.record, in_flight={"app": flight["app"]}))
    assert side_done.actions == ()
    both_done = decide(given(p, *alive, when=3, record=first.record))
    assert signals(both_done) == [("app", "TERM")]


def test_a_pre_stop_hook_does_not_outlive_the_deadline():
    p = deleted(pod(container("app", lifecycle={"preStop": EXEC})), grace=30)
    first = decide(given(p, *running(p, "app"), when=0))
    flight = {a.key: a for a in first.actions}
    late = decide(given(p, *running(p, "app"), when=30, record=first.record, in_flight=flight))
    assert late.cancel == {"app"}
    after = decide(given(p, *running(p, "app"), when=30, record=late.record))
    assert signals(after) == [("app", "TERM")]
    assert after.record.stops[ContainerID("app-0")].kill_at == at(32)


def test_a_shorter_deletion_shortens_and_a_longer_one_does_not():
    alive = running(JOB, "app", "side")
    first = decide(given(deleted(JOB, 30), *alive, when=0))
    assert first.record.ending is not None
    assert first.record.ending.deadline == at(30)
    shorter = decide(given(deleted(JOB, 5), *alive, when=10, record=first.record))
    assert shorter.record.ending is not None
    assert shorter.record.ending.deadline == at(15)
    longer = decide(given(deleted(JOB, 60), *alive, when=11, record=shorter.record))
    assert longer.record.ending is not None
    assert longer.record.ending.deadline == at(15)


def test_a_shortened_end_also_shortens_a_term_already_sent():
    p = pod(container("app"))
    first = decide(given(deleted(p, 30), *running(p, "app"), when=0))
    shorter = decide(given(deleted(p, 5), *running(p, "app"), when=10, **confirmed(first)))
    assert shorter.record.stops[ContainerID("app-0")].kill_at == at(15)


def test_grace_zero_kills_all_at_once():
    decision = decide(given(deleted(JOB, 0), *running(JOB, "app", "side"), when=0))
    assert sorted(signals(decision)) == [("app", "KILL"), ("side", "KILL")]


def test_deletion_during_a_pull_ends_at_once():
    pull = PullImage(key="side", image="busybox:1.28", policy="Always", attempt=0)
    p = deleted(JOB)
    decision = decide(given(p, in_flight={"side": pull}))
    assert decision.cancel == {"side"}
    assert decision.actions == ()
    cleared = decide(given(p, record=decision.record))
    assert cleared.actions == (TeardownPod(),)
    assert cleared.status["phase"] == "Failed"


def test_deletion_waits_for_a_container_that_is_being_started():
    start = StartContainer(key="app", attempt=0, sandbox_id=sandbox().id, image_id="i", backoff_seconds=0)
    p = deleted(pod(container("app")))
    waiting = decide(given(p, in_flight={"app": start}, when=0))
    assert waiting.actions == ()
    appeared = decide(given(p, *running(p, "app"), record=waiting.record, when=1))
    assert signals(appeared) == [("app", "TERM")]
    assert [e.reason for e in appeared.events] == ["Killing"]


def test_deletion_abandons_a_post_start_hook():
    p = deleted(pod(container("app", lifecycle={"postStart": EXEC})))
    (app,) = running(p, "app")
    hook = RunHook(key="app", container_id=app.id, hook="PostStart", handler=p.spec.containers[0].lifecycle.post_start)
    record = PodRecord(start_time=at(0), hooks=("app-0/PostStart",))
    decision = decide(given(p, app, in_flight={"app": hook}, record=record))
    assert decision.cancel == {"app"}
    assert signals(decide(given(p, app, record=decision.record))) == [("app", "TERM")]


def test_teardown_ends_in_gone():
    p = deleted(pod(container("app")))
    decision = decide(given(p, exited(p, "app", 143), news=(TornDown(),)))
    assert decision.gone


def test_a_deadline_ends_the_pod_as_failed():
    p = pod(container("app"), activeDeadlineSeconds=60)
    before = decide(given(p, *running(p, "app"), when=30))
    assert before.wake_at == at(60)
    decision = decide(given(p, *running(p, "app"), when=60))
    assert signals(decision) == [("app", "TERM")]
    assert [e.reason for e in decision.events] == ["DeadlineExceeded", "Killing"]
    over = decide(given(p, exited(p, "app", 0), when=61, record=decision.record))
    assert (over.status["phase"], over.status["reason"]) == ("Failed", "DeadlineExceeded")
    assert over.status["message"] == "Pod was active on the node longer than the specified deadline"


def test_a_failed_init_container_under_never_fails_the_pod():
    p = pod(container("app"), inits=(native("n"), container("init")))
    decision = decide(given(p, *running(p, "n"), exited(p, "init", 2)))
    assert decision.record.ending is not None
    assert decision.record.ending.cause == "InitFailed"
    assert signals(decision) == [("n", "TERM")]
    over = decide(given(p, exited(p, "n", 137), exited(p, "init", 2), record=decision.record))
    assert over.status["phase"] == "Failed"
    assert published(over, "app")["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert published(over, "init")["state"]["terminated"]["exitCode"] == 2


ENDED = Ending(cause="Completed", began_at=at(10), deadline=at(40))


def stopped(*names: str, cause: str = "end", term: bool = True) -> PodRecord:
    stops = {
        ContainerID(f"{n}-0"): Stop(cause=cause, kill_at=at(40), term_at=at(10) if term else None, term_sent=term)
        for n in names
    }
    return PodRecord(start_time=at(0), ending=ENDED, stops=stops)


@pytest.mark.parametrize("code", [137, 143, 1, 255])
@pytest.mark.parametrize("kind", ["marked", "native"])
def test_any_code_of_a_stopped_sidecar_is_forgiven(code: int, kind: str):
    p = pod(container("app"), marked("s")) if kind == "marked" else pod(container("app"), inits=(native("s"),))
    decision = decide(given(p, exited(p, "app"), exited(p, "s", code), record=stopped("s")))
    terminated = published(decision, "s")["state"]["terminated"]
    assert (terminated["exitCode"], terminated["message"]) == (0, FORGIVEN.format(code))
    assert decision.status["phase"] == "Succeeded"


def test_the_message_keeps_the_reason_and_the_termination_message():
    dead = exited(JOB, "side", 137, oom_killed=True, message="bye")
    decision = decide(given(JOB, exited(JOB, "app"), dead, record=stopped("side")))
    message = published(decision, "side")["state"]["terminated"]["message"]
    assert message == "Force this container to be success(137, OOMKilled, bye)"


def test_a_sidecar_that_ended_well_needs_no_forgiveness():
    decision = decide(given(JOB, exited(JOB, "app"), exited(JOB, "side", 0), record=stopped("side")))
    terminated = published(decision, "side")["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (0, "Completed")
    assert "message" not in terminated


@pytest.mark.parametrize("record", [PodRecord(start_time=at(0), ending=ENDED), stopped("side", term=False)])
def test_an_end_that_vkprovider_did_not_cause_is_not_forgiven(record: PodRecord):
    decision = decide(given(JOB, exited(JOB, "app"), exited(JOB, "side", 3), record=record))
    assert published(decision, "side")["state"]["terminated"]["exitCode"] == 3
    assert decision.status["phase"] == "Succeeded"


def test_apps_are_never_forgiven():
    p = deleted(pod(container("app")))
    decision = decide(given(p, exited(p, "app", 137), record=stopped("app")))
    assert published(decision, "app")["state"]["terminated"]["exitCode"] == 137
    assert decision.status["phase"] == "Failed"


@pytest.mark.parametrize(
    ("setting", "native_code", "marked_code"), [("all", 0, 0), ("marked", 137, 0), ("none", 137, 137)]
)
def test_the_forgive_setting(setting: str, native_code: int, marked_code: int):
    p = pod(container("app"), marked("m"), inits=(native("n"),))
    view = given(p, exited(p, "app"), exited(p, "m", 137), exited(p, "n", 137), record=stopped("m", "n"))
    view = msgspec.structs.replace(view, settings=CoreSettings(node_name="node", forgive=setting))
    decision = decide(view)
    assert published(decision, "n")["state"]["terminated"]["exitCode"] == native_code
    assert published(decision, "m")["state"]["terminated"]["exitCode"] == marked_code
    assert decision.status["phase"] == "Succeeded"


def switched(name: str, value: str = "true") -> dict[str, Any]:
    return {"env": [{"name": name, "value": value}]}


def test_an_ignored_exit_code_counts_as_success_when_the_container_ends_for_good():
    p = pod(container("app"), container("noisy", **switched("ECI_CONTAINER_IGNORE_EXIT_CODE")))
    decision = decide(given(p, exited(p, "app"), exited(p, "noisy", 7)))
    assert decision.status["phase"] == "Succeeded"
    assert published(decision, "noisy")["state"]["terminated"]["message"] == FORGIVEN.format(7)


def test_a_job_sidecar_starts_with_the_apps_and_is_stopped_and_forgiven_at_the_end():
    p = pod(container("app"), container("helper", **switched("KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT")))
    end = decide(given(p, exited(p, "app"), *running(p, "helper"), when=10))
    assert signals(end) == [("helper", "TERM")]
    over = decide(given(p, exited(p, "app"), exited(p, "helper", 143), when=11, **confirmed(end)))
    assert over.status["phase"] == "Succeeded"
    assert published(over, "helper")["state"]["terminated"]["exitCode"] == 0


def test_a_job_sidecar_that_failed_by_itself_counts():
    p = pod(container("app"), container("helper", **switched("KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT")))
    decision = decide(given(p, exited(p, "app"), exited(p, "helper", 3)))
    assert decision.status["phase"] == "Failed"


def test_exit_priorities_order_the_apps_among_themselves():
    p = pod(
        container("a", **switched("ECI_CONTAINER_EXIT_PRIORITY", "-5")),
        container("b", **switched("ECI_CONTAINER_EXIT_PRIORITY", "10")),
        container("c"),
    )
    decision = decide(given(deleted(p), *running(p, "a", "b", "c"), when=0))
    assert signals(decision) == [("b", "TERM")]


@pytest.mark.parametrize(
    ("verdicts", "message"),
    [
        (Verdicts(live=False), "Container app failed liveness probe, will be restarted"),
        (Verdicts(started=False), "Container app failed startup probe, will be restarted"),
    ],
)
def test_a_failed_probe_stops_one_container_and_restarts_it(verdicts: Verdicts, message: str):
    probe = EXEC | {"terminationGracePeriodSeconds": 3}
    p = pod(container("app", livenessProbe=probe, startupProbe=probe), policy="Always")
    (app,) = running(p, "app")
    decision = decide(given(p, app, when=100, verdicts={app.id: verdicts}))
    assert signals(decision) == [("app", "TERM")]
    assert decision.events[0].message == message
    assert decision.record.stops[app.id].kill_at == at(103)
    assert decision.record.ending is None


def test_a_probe_kill_under_never_fails_the_pod():
    p = pod(container("app", livenessProbe=EXEC))
    (app,) = running(p, "app")
    decision = decide(given(p, app, verdicts={app.id: Verdicts(live=False)}))
    assert decision.events[0].message == "Container app failed liveness probe"
    over = decide(given(p, exited(p, "app", 137), record=decision.record))
    assert over.status["phase"] == "Failed"


def test_a_native_sidecar_that_fails_its_liveness_probe_is_restarted_alone():
    p = pod(container("app"), inits=(native("side", livenessProbe=EXEC),))
    side, app = running(p, "side", "app")
    decision = decide(given(p, side, app, verdicts={side.id: Verdicts(live=False)}))
    assert signals(decision) == [("side", "TERM")]
    assert decision.events[0].message == "Init container side failed liveness probe"


def test_a_failed_post_start_hook_stops_the_container():
    p = pod(container("app", lifecycle={"postStart": EXEC}), policy="Always")
    (app,) = running(p, "app")
    record = PodRecord(start_time=at(0), hooks=("app-0/PostStart",))
    news = (HookFailed(key="app", container_id=app.id, hook="PostStart"),)
    decision = decide(given(p, app, news=news, record=record))
    assert [(e.reason, e.message) for e in decision.events] == [
        ("FailedPostStartHook", "PostStartHook failed"),
        ("Killing", "FailedPostStartHook"),
    ]
    assert signals(decision) == [("app", "TERM")]


def test_a_terminal_status_is_never_taken_back():
    over = decide(given(JOB, exited(JOB, "app"), exited(JOB, "side", 137), record=stopped("side")))
    vanished = decide(given(JOB, record=over.record, sandboxes=()))
    assert vanished.status == over.status


def paused(p: Pod, name: str) -> ContainerState:
    return state(p, name, Run.PAUSED)


def test_a_paused_container_counts_as_running():
    view: PodView = given(JOB, paused(JOB, "app"), *running(JOB, "side"))
    assert decide(view).actions == ()
    assert decide(view).status["phase"] == "Running"
