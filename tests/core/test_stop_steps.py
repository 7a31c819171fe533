"""The end of a pod: docs/reference/sidecars.md, "The end of a pod", and "Forgiveness"."""

from __future__ import annotations

import msgspec

from tests.core.given import at, container, deleted, exited, given, marked, native, pod, running, sandbox, state
from tests.core.told import EXEC, FORGIVEN, confirmed, published, signals, stopped
from vkprovider.core.actions import (
    PullImage,
    RemoveSandbox,
    RunHook,
    SandboxFailed,
    StartContainer,
    TeardownPod,
    TornDown,
)
from vkprovider.core.decide import decide
from vkprovider.core.record import PodMemory, PodRecord
from vkprovider.core.sidecars import classify
from vkprovider.core.view import PodView
from vkprovider.model.observed import ContainerState, Run
from vkprovider.model.pod import Pod, PodStatusRead
from vkprovider.model.refs import ContainerID

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


def test_a_sandbox_that_could_not_be_made_holds_up_no_deletion():
    p = pod(container("app"))
    memory = PodMemory(volumes_ready=True)
    for _ in range(6):
        memory = decide(given(p, sandboxes=(), memory=memory, news=(SandboxFailed(message="no"),))).memory
    assert [type(a) for a in decide(given(deleted(p), sandboxes=(), memory=memory)).actions] == [TeardownPod]


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


def test_a_pod_that_others_call_over_is_ended_in_order_and_its_containers_stay_for_their_logs():
    failed = msgspec.structs.replace(JOB, status=PodStatusRead(phase="Failed"))
    told = decide(given(failed, *running(JOB, "app", "side"), when=10))
    assert signals(told) == [("app", "TERM")]
    assert told.status["phase"] == "Running"
    assert told.record.stops[ContainerID("app-0")].kill_at == at(40)

    dead = exited(JOB, "side", end=12), exited(JOB, "app", end=11)
    over = decide(given(failed, *dead, when=13, **confirmed(told)))
    assert over.status["phase"] == "Failed"
    assert over.actions == (RemoveSandbox(sandbox_id=sandbox().id),)

    gone = decide(given(deleted(failed, grace=0), *dead, when=20, record=over.record))
    assert gone.actions == (TeardownPod(),)


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
