"""What the chronicle makes of the looks of whole pod lives."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from tests.standalone.rehearsal import Act, Look, Rehearsal, at, box, make_pod, seed_pod
from vkprovider.core.actions import ProbeFailed
from vkprovider.core.sidecars import Kind
from vkprovider.model.engine import PullProgress
from vkprovider.standalone.chronicle import Chronicle, ContainerStory, EndedBy, Instance, PodStory, Pull, State
from vkprovider.standalone.explain import condition, ending_text
from vkprovider.standalone.fold import fold_job, fold_look, fold_progress

MARK = [{"name": "__IS_SIDECAR__", "value": "true"}]


def told(looks: Iterable[Look], chronicle: Chronicle | None = None) -> Chronicle:
    chronicle = chronicle or Chronicle()
    for view, decision in looks:
        chronicle = fold_look(chronicle, view, decision)
    return chronicle


def played(rehearsal: Rehearsal, until: float) -> PodStory:
    rehearsal.play(until)
    return told(rehearsal.looks).pods[0]


def story_of(pod: PodStory, name: str) -> ContainerStory:
    found = pod.container(name)
    assert found is not None
    return found


def only(container: ContainerStory) -> Instance:
    (instance,) = container.instances
    return instance


def test_the_seeds_job_is_told_with_its_true_times_and_its_published_end() -> None:
    pod = played(Rehearsal(seed_pod(), {"app": Act(runs=10), "sidecar": Act(pull=3)}), 60)
    sidecar, app = pod.containers
    assert (sidecar.name, sidecar.kind, sidecar.why) == (
        "sidecar",
        Kind.NATIVE,
        "native sidecar: an init container with restartPolicy Always",
    )
    assert sidecar.pulls == (Pull(image="busybox:1.28", began=at(0.3), ended=at(3.3)),)
    assert app.pulls == ()
    ended = only(app)
    assert (ended.created, ended.started, ended.finished) == (at(3.5), at(3.6), at(13.6))
    assert (ended.exit_code, ended.published_code, ended.term, ended.ended_by) == (0, 0, None, EndedBy.ITSELF)
    stopped = only(sidecar)
    assert (stopped.created, stopped.up) == (at(3.35), at(3.45))
    assert (stopped.stop_cause, stopped.term, stopped.kill_due) == ("end", at(13.6), at(43.6))
    assert (stopped.kill, stopped.finished) == (at(43.6), at(43.62))
    assert (stopped.exit_code, stopped.published_code, stopped.forgiven) == (137, 0, True)
    assert stopped.ended_by is EndedBy.KILL
    assert (pod.phase, pod.began, pod.ended, pod.job) == ("Succeeded", at(0), at(43.62), "test")
    assert {c.state for c in pod.containers} == {State.TERMINATED}


def test_a_sidecar_that_obeys_term_ended_by_it() -> None:
    pod = played(Rehearsal(seed_pod(), {"app": Act(runs=2), "sidecar": Act(term=0.2)}), 60)
    stopped = only(story_of(pod, "sidecar"))
    assert (stopped.exit_code, stopped.published_code, stopped.kill) == (143, 0, None)
    assert stopped.ended_by is EndedBy.TERM
    assert stopped.term is not None
    assert stopped.finished == stopped.term + timedelta(seconds=0.2)


def test_while_it_is_stopped_a_container_says_until_when() -> None:
    rehearsal = Rehearsal(seed_pod(), {"app": Act(runs=2), "sidecar": Act()})
    pod = played(rehearsal, 10)
    sidecar = story_of(pod, "sidecar")
    assert sidecar.stopping is not None
    assert (sidecar.state, sidecar.stopping.kill_due) == (State.RUNNING, at(2.6 + 30))
    assert story_of(played(rehearsal, 60), "sidecar").stopping is None


def test_every_run_of_a_crashing_sidecar_is_kept_even_after_the_engine_forgot_it() -> None:
    pod = make_pod(containers=[box("app"), box("sidecar", env=MARK)])
    rehearsal = Rehearsal(pod, {"app": Act(), "sidecar": Act(runs=1, codes=(1, 2, 3, 4))}, backoff_first=1)
    sidecar = story_of(played(rehearsal, 15), "sidecar")
    assert len(rehearsal.containers) == 3, "the app and the last two runs of the sidecar"
    assert [i.attempt for i in sidecar.instances] == [0, 1, 2, 3, 4]
    assert [i.exit_code for i in sidecar.instances] == [1, 2, 3, 4, 4]
    assert all(i.published_code in (None, i.exit_code) for i in sidecar.instances)
    assert (sidecar.state, sidecar.reason, sidecar.restarts) == (State.WAITING, "CrashLoopBackOff", 4)


def test_a_run_taken_up_between_term_and_kill_knows_when_term_was_sent() -> None:
    rehearsal = Rehearsal(seed_pod(), {"app": Act(runs=2), "sidecar": Act()})
    rehearsal.play(20)
    resumed = told(rehearsal.play(60)).pods[0]
    stopped = only(story_of(resumed, "sidecar"))
    assert (stopped.term, stopped.kill) == (at(2.6), at(32.6))
    assert resumed.began == at(20)


def test_a_run_taken_up_after_kill_knows_both_signals_from_the_record() -> None:
    rehearsal = Rehearsal(seed_pod(), {"app": Act(runs=2), "sidecar": Act()})
    rehearsal.play(60)
    stopped = only(story_of(told(rehearsal.looks[-1:]).pods[0], "sidecar"))
    assert stopped.term == at(2.6)
    assert stopped.kill == at(32.61), "when KILL was confirmed"
    assert stopped.forgiven


def test_a_pod_killed_at_once_was_sent_no_term() -> None:
    rehearsal = Rehearsal(seed_pod(), {"app": Act(), "sidecar": Act()})
    rehearsal.play(5)
    rehearsal.delete(grace=0)
    pod = played(rehearsal, 10)
    for container in pod.containers:
        assert only(container).term is None
        assert only(container).kill is not None
        assert only(container).ended_by is EndedBy.KILL
    assert rehearsal.looks[-1][1].gone
    assert pod.ended is not None
    resumed = told(rehearsal.looks[-2:]).pods[0]
    assert all(i.term is None for c in resumed.containers for i in c.instances)


def test_what_is_torn_down_stays_in_the_chronicle() -> None:
    rehearsal = Rehearsal(seed_pod(), {"app": Act(runs=1), "sidecar": Act(term=0.1)})
    before = played(rehearsal, 30)
    rehearsal.delete()
    after = played(rehearsal, 60)
    assert rehearsal.looks[-1][1].gone
    assert [c.instances for c in after.containers] == [c.instances for c in before.containers]


def test_an_instance_that_vanished_while_it_ran_ended_then_with_a_code_nobody_knows() -> None:
    rehearsal = Rehearsal(seed_pod(), {"app": Act(), "sidecar": Act()})
    rehearsal.play(5)
    rehearsal.containers = {k: v for k, v in rehearsal.containers.items() if v.name != "app"}
    rehearsal.play(5)
    app = story_of(told(rehearsal.looks).pods[0], "app")
    assert (app.instances[0].finished, app.instances[0].exit_code) == (at(5), None)


def test_failed_pulls_are_told_with_the_registrys_words_and_a_cancelled_one_ends() -> None:
    rehearsal = Rehearsal(seed_pod(), {"app": Act(), "sidecar": Act(pull=3, pull_error="no such manifest")})
    pod = played(rehearsal, 14.5)
    first, second = story_of(pod, "sidecar").pulls
    assert (first.began, first.ended, first.error) == (at(0.3), at(3.3), "no such manifest")
    assert second.ended is None
    assert story_of(pod, "sidecar").pulling == second
    assert story_of(pod, "app").waits_for == "sidecar"
    rehearsal.delete()
    assert story_of(played(rehearsal, 15), "sidecar").pulls[-1].ended == at(14.5)


def test_progress_belongs_to_the_pull_that_goes_on() -> None:
    rehearsal = Rehearsal(seed_pod(), {"app": Act(), "sidecar": Act(pull=3)})
    progress = PullProgress(image="busybox:1.28", current_bytes=3, total_bytes=7, status="Downloading")
    chronicle = fold_progress(told(rehearsal.play(1)), rehearsal.pod, "sidecar", progress)
    pull = story_of(chronicle.pods[0], "sidecar").pulling
    assert pull is not None
    assert (pull.current_bytes, pull.total_bytes) == (3, 7)
    later = told(rehearsal.play(5), chronicle)
    assert story_of(later.pods[0], "sidecar").pulls[0].ended == at(3.3)
    for name in ("sidecar", "app", "stranger"):
        assert fold_progress(later, rehearsal.pod, name, progress) == later
    assert fold_progress(Chronicle(), rehearsal.pod, "sidecar", progress) == Chronicle()


def test_containers_stand_in_start_order_and_say_whom_they_wait_for() -> None:
    inits = [box("prepare"), box("mesh", restartPolicy="Always", startupProbe={"exec": {"command": ["true"]}})]
    pod = make_pod(containers=[box("app"), box("proxy", env=MARK)], initContainers=inits)
    acts = {"prepare": Act(runs=2), "mesh": Act(probe_passes=3), "proxy": Act(pull=2), "app": Act()}
    rehearsal = Rehearsal(pod, acts)
    waits = {}
    for second in (0.4, 4, 7, 9):
        told_so_far = played(rehearsal, second)
        waits[second] = {c.name: c.waits_for for c in told_so_far.containers if c.waits_for}
    assert [c.name for c in told_so_far.containers] == ["prepare", "mesh", "proxy", "app"]
    assert waits == {
        0.4: {"mesh": "prepare", "proxy": "prepare", "app": "prepare"},
        4: {"proxy": "mesh", "app": "mesh"},
        7: {"app": "proxy"},
        9: {},
    }
    mesh = only(story_of(told_so_far, "mesh"))
    assert mesh.started is not None
    assert mesh.up == mesh.started + timedelta(seconds=3), "started in the sense of the rules: the probe passed"


def test_what_never_started_keeps_saying_what_it_waited_for() -> None:
    rehearsal = Rehearsal(seed_pod(), {"app": Act(), "sidecar": Act(pull=3, pull_error="gone")})
    rehearsal.play(5)
    rehearsal.delete()
    app = story_of(played(rehearsal, 60), "app")
    assert (app.instances, app.waits_for) == ((), "sidecar")


def test_what_never_ran_keeps_the_reason_that_it_waited_for() -> None:
    """The kubelet's status of a pod that ended without it says ContainerStatusUnknown, and could not be located."""
    rehearsal = Rehearsal(seed_pod(), {"app": Act(), "sidecar": Act(pull=3, pull_error="no such manifest")})
    waiting = told(rehearsal.play(5))
    rehearsal.delete()
    sidecar = story_of(told(rehearsal.play(60), waiting).pods[0], "sidecar")
    assert (sidecar.state, sidecar.instances) == (State.TERMINATED, ())
    assert (sidecar.reason, "no such manifest" in sidecar.message) == ("ImagePullBackOff", True)
    assert ending_text(sidecar) == f"sidecar: never started: ImagePullBackOff: {sidecar.message}"
    assert condition(sidecar, at(60)).trouble == sidecar.message


def test_what_never_ran_for_want_of_its_pod_says_so() -> None:
    rehearsal = Rehearsal(make_pod(containers=[box("app")]), {"app": Act()})
    rehearsal.sandbox_error = "no such image"
    waiting = told(rehearsal.play(5))
    rehearsal.delete()
    app = story_of(told(rehearsal.play(60), waiting).pods[0], "app")
    assert ending_text(app) == "app: never started: FailedCreatePodSandBox: no such image"


def test_what_never_ran_and_waited_for_nothing_that_is_known_only_never_started() -> None:
    rehearsal = Rehearsal(seed_pod(), {"app": Act(), "sidecar": Act(pull=30)})
    waiting = told(rehearsal.play(5))
    rehearsal.delete()
    sidecar = story_of(told(rehearsal.play(60), waiting).pods[0], "sidecar")
    assert (sidecar.state, sidecar.instances) == (State.TERMINATED, ())
    assert ending_text(sidecar) == "sidecar: never started"


def test_a_warning_is_remembered_until_the_state_changes() -> None:
    rehearsal = Rehearsal(seed_pod(), {"app": Act(runs=8), "sidecar": Act(term=0.1)})
    rehearsal.play(3)
    rehearsal.news.append(ProbeFailed(key="app", reason="Unhealthy", message="Readiness probe failed: 503"))
    assert story_of(played(rehearsal, 4), "app").warning == "Unhealthy: Readiness probe failed: 503"
    assert story_of(played(rehearsal, 4), "sidecar").warning == ""
    assert story_of(played(rehearsal, 30), "app").warning == ""


def test_a_warning_of_the_very_first_look_is_not_lost() -> None:
    pod = make_pod(containers=[box("one", env=MARK), box("two", env=MARK)])
    first = played(Rehearsal(pod, {"one": Act(), "two": Act()}), 0)
    assert first.warning.startswith("SidecarMarkIgnored: Every regular container is marked")


def job(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "test", "namespace": "default"}, "spec": {"completions": 3}, "status": status}


def test_a_job_begins_with_its_first_word_and_ends_with_its_condition() -> None:
    chronicle = fold_job(Chronicle(), job(active=1), at(0))
    failed = [
        {"type": "FailureTarget", "status": "True"},
        {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "too often"},
    ]
    chronicle = fold_job(chronicle, job(failed=3, conditions=failed), at(9))
    chronicle = fold_job(chronicle, job(failed=3, conditions=failed), at(12))
    (story,) = chronicle.jobs
    assert (story.began, story.ended, story.condition, story.reason) == (at(0), at(9), "Failed", "BackoffLimitExceeded")
    assert (story.completions, story.active, story.succeeded, story.failed) == (3, 0, 0, 3)


@pytest.mark.parametrize("owner", ["test", ""])
def test_pods_belong_to_their_job_or_stand_alone(owner: str) -> None:
    chronicle = told(Rehearsal(make_pod(job=owner, containers=[box("app")]), {"app": Act()}).play(1))
    assert [j.name for j in chronicle.jobs] == ([owner] if owner else [])
    assert len(chronicle.lone_pods()) == (0 if owner else 1)
    assert [len(chronicle.pods_of(j)) for j in chronicle.jobs] == ([1] if owner else [])
