"""A marked sidecar that fails while the app runs, under restartPolicy Never, which no sidecar heeds."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from integration.docker.command import Run, conditions_of, status_of
from integration.docker.long_jobs import LONGEST, RESTARTS, restarting_pod
from integration.docker.own_node import own_node
from integration.docker.records import Records

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def run(long_jobs: dict[str, Run]) -> Run:
    run = long_jobs[RESTARTS]
    run.finish(LONGEST)
    return run


def test_it_is_restarted_at_once_and_then_after_10_s(run: Run) -> None:
    first, second, third = run.instances("sidecar")
    assert [first.code, second.code, third.code] == [7, 7, 0]
    assert [first.attempt, second.attempt, third.attempt] == [0, 1, 2]
    assert second.started - first.ended < 2
    assert 10 <= third.started - second.ended < 12
    assert len(run.instances("app")) == 1


def test_the_job_completes_all_the_same(run: Run) -> None:
    assert run.process.returncode == 0
    assert "Complete" in conditions_of(run.job)
    status = run.status("sidecar")
    assert status["restartCount"] == 2
    assert status["state"]["terminated"]["exitCode"] == 0
    assert status["lastState"]["terminated"]["exitCode"] == 7


def test_it_is_shown_as_waiting_and_running_in_turn(run: Run) -> None:
    words = [word for name, word in run.story("Running", "CrashLoopBackOff", "Terminated") if name == "sidecar"]
    assert words == ["Running", "CrashLoopBackOff", "Running", "CrashLoopBackOff", "Running", "Terminated"]


async def test_it_is_never_published_as_terminated_while_the_app_runs(records: Records, tmp_path: Path) -> None:
    """Of all statuses that are published, not only of those the display shows."""
    async with own_node(records, tmp_path, backoff_first=3) as node:
        node.run(restarting_pod())
        await node.witness.until_phase("Succeeded", 60)
    assert records.left(node.name) == []

    seen = [{"status": status} for status in node.witness.published]
    app_over = [kind(status_of(pod, "app")["state"]) == "terminated" for pod in seen]
    before = seen[: app_over.index(True)]
    sidecar = [status_of(pod, "sidecar") for pod in before]
    assert {kind(status["state"]) for status in sidecar} == {"waiting", "running"}
    restarts = [status["restartCount"] for status in sidecar if kind(status["state"]) == "running"]
    assert [count for count, _ in itertools.groupby(restarts)] == [0, 1, 2]
    for status in sidecar:
        if status["restartCount"]:
            assert status["lastState"]["terminated"]["exitCode"] == 7
    assert {pod["status"]["phase"] for pod in before} == {"Pending", "Running"}
    assert seen[-1]["status"]["phase"] == "Succeeded"


def kind(state: Mapping[str, Any]) -> str:
    (found,) = state
    return found
