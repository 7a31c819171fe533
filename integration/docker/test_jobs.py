"""Jobs with sidecars. They are all started at once, because most of their time they wait for a deadline to pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from integration.docker.command import Run, conditions_of, seconds, status_of
from integration.docker.conftest import CommandIn
from integration.docker.pods import ALWAYS, MARK, example, job, on_term, shell
from integration.docker.records import KILL, TERM

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

FORMS = {"native": "test-sidecar-native.yaml", "marked": "test-sidecar-marked.yaml"}
KILLED = {f"{form}-{grace}": (form, grace) for form in FORMS for grace in (30, 2)}
ANSWERS = {f"{form}-answers-{code}": (form, code) for form in FORMS for code in (143, 0)}
LONGEST = 100.0  # seconds that any of these may take


def seed(form: str, grace: int) -> dict[str, Any]:
    """The example as it is; another grace than the default is written into it."""
    manifest = example(FORMS[form])
    if grace != 30:
        manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = grace
    return manifest


def answering(form: str, code: int) -> dict[str, Any]:
    sidecar = shell("sidecar", on_term(f"exit {code}"))
    if form == "native":
        return job("answers", shell("app", "sleep 1"), pod_spec={"initContainers": [sidecar | ALWAYS]})
    return job("answers", shell("app", "sleep 1"), sidecar | {"env": MARK})


@pytest.fixture(scope="module")
def runs(command_in: CommandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """Every Job of this file, by name, ended."""
    manifests = {name: seed(*variant) for name, variant in KILLED.items()}
    manifests |= {name: answering(*variant) for name, variant in ANSWERS.items()}
    manifests["fails"] = job("fails", shell("app", "exit 3"), backoffLimit=2)
    with command_in(tmp_path_factory.mktemp("jobs")) as command:
        files = {name: command.file(manifest, name=f"{name}.json") for name, manifest in manifests.items()}
        runs = {name: command.run("-o", "json", file) for name, file in files.items()}
        for run in runs.values():
            run.finish(LONGEST)
        yield runs


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
    assert grace - 0.3 < sidecar.signalled(KILL) - sidecar.signalled(TERM) < grace + 0.5
    assert sidecar.code == 137
    assert 0 <= sidecar.ended - sidecar.signalled(KILL) < 1


@pytest.mark.parametrize("name", KILLED)
def test_a_killed_sidecar_is_published_as_successful(runs: dict[str, Run], name: str) -> None:
    run = runs[name]
    status, sidecar = run.status("sidecar"), run.one("sidecar")
    ended = status["state"].pop("terminated")
    assert seconds(ended.pop("startedAt")) == pytest.approx(sidecar.started, abs=1)
    assert seconds(ended.pop("finishedAt")) == pytest.approx(sidecar.ended, abs=1)
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
    run = runs["fails"]
    apps = run.instances("app")
    assert [app.code for app in apps] == [3, 3, 3]
    assert len({app.uid for app in apps}) == 3
    waits = [later.created - earlier.ended for earlier, later in zip(apps, apps[1:], strict=False)]
    assert waits == [pytest.approx(10, abs=2.5), pytest.approx(20, abs=2.5)]
    assert run.process.returncode == 3
    assert conditions_of(run.job)["Failed"] == "BackoffLimitExceeded"
    assert (run.job["status"].get("succeeded", 0), run.job["status"]["failed"]) == (0, 3)
    assert [pod["status"]["phase"] for pod in run.pods] == ["Failed"] * 3
    assert {status_of(pod, "app")["state"]["terminated"]["exitCode"] for pod in run.pods} == {3}
