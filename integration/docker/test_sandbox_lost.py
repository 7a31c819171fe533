"""The sandbox container of a pod dies, and with it the pod's network."""

from __future__ import annotations

import pytest

from integration.docker.command import Command, Run
from integration.docker.pods import ALWAYS, UNTIL_TERM, on_term, pod, shell
from integration.docker.records import TERM, Records

pytestmark = pytest.mark.docker

LOSSES = ("kill", "rm -f")


def lose_sandbox(run: Run, records: Records, how: str) -> None:
    sandbox = run.until("start", "POD").container
    if how == "kill":
        records.client.kill(sandbox)
    else:
        records.client.remove_container(sandbox, force=True)


@pytest.mark.parametrize("how", LOSSES)
def test_a_pod_that_always_restarts_gets_a_new_one_and_runs_again(command: Command, records: Records, how: str) -> None:
    init, sidecar = shell("init", "exit 0"), shell("sidecar", UNTIL_TERM)
    run = command.run_json(
        pod("lost", shell("app", UNTIL_TERM), initContainers=[init, sidecar | ALWAYS], restartPolicy="Always")
    )
    run.until_sleeping("sidecar", "app")
    lose_sandbox(run, records, how)
    run.until_sleeping("app", count=2)
    run.interrupt()
    assert run.finish() == 130

    old, new = run.sandboxes
    assert (old.attempt, new.attempt) == (0, 1 if how == "kill" else 0)
    assert old.uid == new.uid
    for name in ("init", "sidecar", "app"):
        first, second = run.instances(name)
        assert (first.attempt, second.attempt) == (0, 1)
        assert first.ended < new.created < second.created


@pytest.mark.parametrize("how", LOSSES)
def test_a_pod_that_never_restarts_ends(command: Command, records: Records, how: str) -> None:
    app = shell("app", on_term("exit 4"))
    run = command.run_json(pod("lost", app, initContainers=[shell("sidecar", UNTIL_TERM) | ALWAYS]))
    run.until_sleeping("app", "sidecar")
    lose_sandbox(run, records, how)
    assert run.finish() == 4
    assert run.pod["status"]["phase"] == "Failed"
    assert len(run.sandboxes) == 1
    assert [instance.name for instance in run.instances()] == ["sidecar", "app"]
    assert run.one("app").signal_numbers == run.one("sidecar").signal_numbers == [TERM]
    assert run.one("app").ended <= run.one("sidecar").ended
