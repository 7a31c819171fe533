"""Jobs with sidecars, and one whose app fails: what Docker did, and what is published of it."""

from __future__ import annotations

import itertools

import pytest

from integration.docker.command import Command, Run, conditions_of, seconds, status_of
from integration.docker.long_jobs import ANSWERS, FAILS, KILLED, LONGEST
from integration.docker.pods import ALWAYS, IDLE, MARK, job, on_term, pod, shell
from integration.docker.records import KILL, TERM

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def runs(long_jobs: dict[str, Run]) -> dict[str, Run]:
    """The Jobs by name, ended."""
    for run in long_jobs.values():
        run.finish(LONGEST)
    return long_jobs


@pytest.mark.parametrize("name", KILLED)
def test_the_sidecar_starts_first_is_told_to_end_when_the_app_has_and_is_killed_one_grace_later(
    runs: dict[str, Run], name: str
) -> None:
    run, (_, grace) = runs[name], KILLED[name]
    sidecar, app = run.one("sidecar"), run.one("app")
    assert sidecar.started < app.created
    assert app.ended - app.started > 9.9
    assert app.signals == []
    assert sidecar.signal_numbers == [TERM, KILL]
    assert 0 <= sidecar.signalled(TERM) - app.ended < 1
    assert sidecar.signalled(KILL) - app.ended == pytest.approx(grace, abs=1)
    assert grace - 0.3 < sidecar.signalled(KILL) - sidecar.signalled(TERM) < grace + 1
    assert sidecar.code == 137
    assert 0 <= sidecar.ended - sidecar.signalled(KILL) < 3


@pytest.mark.parametrize("name", KILLED)
def test_a_killed_sidecar_is_published_as_successful(runs: dict[str, Run], name: str) -> None:
    run = runs[name]
    status, sidecar = run.status("sidecar"), run.one("sidecar")
    ended = status["state"].pop("terminated")
    assert seconds(ended.pop("startedAt")) == pytest.approx(sidecar.started, abs=1.5)
    assert seconds(ended.pop("finishedAt")) == pytest.approx(sidecar.ended, abs=1.5)
    assert ended == {
        "exitCode": 0,
        "reason": "Completed",
        "message": "Force this container to be success(137, Error, )",
        "containerID": f"docker://{sidecar.id}",
    }
    assert status["state"] == {}
    assert (status["ready"], status["restartCount"], status["lastState"]) == (False, 0, {})
    app = run.status("app")
    assert app["state"]["terminated"]["exitCode"] == 0
    assert app["state"]["terminated"]["reason"] == "Completed"


@pytest.mark.parametrize("name", [*KILLED, *ANSWERS])
def test_the_job_is_complete(runs: dict[str, Run], name: str) -> None:
    run = runs[name]
    assert run.process.returncode == 0
    assert "Complete" in conditions_of(run.job)
    assert (run.job["status"]["succeeded"], run.job["status"].get("failed", 0)) == (1, 0)
    assert run.pod["status"]["phase"] == "Succeeded"
    assert len(run.instances()) == 2


@pytest.mark.parametrize("name", KILLED)
def test_the_events_come_in_the_order_users_know(runs: dict[str, Run], name: str) -> None:
    story = runs[name].story("Pulled", "Created", "Started", "Killing")
    first = ["Pulled", "Created", "Started"]
    expected = [("sidecar", word) for word in first] + [("app", word) for word in first] + [("sidecar", "Killing")]
    assert story == expected


@pytest.mark.parametrize("name", KILLED)
def test_the_summary_says_what_was_done_to_the_sidecar(runs: dict[str, Run], name: str) -> None:
    form, grace = KILLED[name]
    assert f"sidecar: ignored TERM for {grace} s, killed, 137 -> 0 ({form} sidecar: " in str(runs[name].err)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_sidecar_that_ends_when_told_to_is_not_killed(runs: dict[str, Run], name: str) -> None:
    run, (_, code) = runs[name], ANSWERS[name]
    sidecar, app = run.one("sidecar"), run.one("app")
    assert sidecar.signal_numbers == [TERM]
    assert sidecar.code == code
    assert 0 <= sidecar.signalled(TERM) - app.ended < 1
    ended = run.status("sidecar")["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
    forgiven = f"Force this container to be success({code}, Error, )"
    assert ended.get("message") == (forgiven if code else None)


def test_a_failing_app_with_a_backoff_limit_of_2_gives_three_pods_and_a_failed_job(runs: dict[str, Run]) -> None:
    run = runs[FAILS]
    apps = run.instances("app")
    assert [app.code for app in apps] == [3, 3, 3]
    assert len({app.uid for app in apps}) == 3
    waits = [later.created - earlier.ended for earlier, later in itertools.pairwise(apps)]
    assert waits == [pytest.approx(10, abs=2.5), pytest.approx(20, abs=2.5)]
    assert run.process.returncode == 3
    assert conditions_of(run.job)["Failed"] == "BackoffLimitExceeded"
    assert (run.job["status"].get("succeeded", 0), run.job["status"]["failed"]) == (0, 3)
    assert [pod["status"]["phase"] for pod in run.pods] == ["Failed"] * 3
    assert {status_of(pod, "app")["state"]["terminated"]["exitCode"] for pod in run.pods} == {3}


def test_an_indexed_job_runs_so_many_at_a_time(command: Command) -> None:
    script = "echo index $JOB_COMPLETION_INDEX; sleep 1"
    manifest = job("indexed", shell("app", script), completions=3, parallelism=2, completionMode="Indexed")
    run = command.run("--logs", "-o", "json", command.file(manifest))
    assert run.finish() == 0
    assert (run.job["status"]["succeeded"], run.job["status"]["completedIndexes"]) == (3, "0-2")
    first, second, third = run.instances("app")
    assert second.started < first.ended
    assert third.created >= min(first.ended, second.ended)
    said = {line.partition(" | ")[2] for line in run.err.all() if " | " in line}
    assert said == {"index 0", "index 1", "index 2"}


def test_a_deadline_ends_the_job_and_its_sidecars(command: Command) -> None:
    sidecar = shell("sidecar", on_term("exit 143")) | ALWAYS
    app = shell("app", on_term("exit 0"))
    run = command.run_json(job("late", app, pod_spec={"initContainers": [sidecar]}, activeDeadlineSeconds=3))
    assert run.finish() == 1
    assert conditions_of(run.job)["Failed"] == "DeadlineExceeded"
    sidecar_ran, app_ran = run.one("sidecar"), run.one("app")
    assert sidecar_ran.signal_numbers == app_ran.signal_numbers == [TERM]
    assert app_ran.ended <= sidecar_ran.signalled(TERM)


def test_whose_exit_codes_are_forgiven_can_be_chosen(command: Command) -> None:
    stubborn = shell("native", IDLE) | ALWAYS
    manifest = pod(
        "forgiven",
        shell("app", "exit 0"),
        shell("marked", IDLE, env=MARK),
        initContainers=[stubborn],
        terminationGracePeriodSeconds=1,
    )
    file = command.file(manifest)
    runs = {choice: command.run("--forgive", choice, "-o", "json", file) for choice in ("marked", "none")}
    for run in runs.values():
        assert run.finish() == 0
        assert [run.one(name).code for name in ("native", "marked")] == [137, 137]
        assert run.pod["status"]["phase"] == "Succeeded"
    published = {
        choice: [run.status(name)["state"]["terminated"]["exitCode"] for name in ("native", "marked")]
        for choice, run in runs.items()
    }
    assert published == {"marked": [137, 0], "none": [137, 137]}
